package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/load"
	"pasdetrois/bench/report"
)

func found() *report.Results {
	batches := map[string]arm.Histogram{"order_placed": {Bounds: []float64{1, 2}, Counts: []float64{1, 3}, Sum: 7}}
	saturation := func(settled float64) arm.Saturation {
		return arm.Saturation{Settled: settled, Batches: batches, Cost: arm.Cost{
			CPUMicros: map[string]float64{"orders": 300, arm.Postgres: 100, arm.Kafka: 50}, PeakMiB: map[string]float64{"orders": 61.5}}}
	}
	r := &report.Results{Date: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC), Form: "quick", Real: true, Clients: 64,
		Versions: map[string]string{"kafka": "4.3", "go": "1.26"}, Host: report.Host{CPUs: 2, System: "linux/amd64", Stolen: 2.34},
		Rounds: []report.Round{{Round: 1, Arm: report.Pas, Saturation: saturation(2000)}, {Round: 2, Arm: report.Pas, Saturation: saturation(2400)},
			{Round: 1, Arm: report.Python, Saturation: arm.Saturation{Settled: 50, Cost: arm.Cost{CPUMicros: map[string]float64{"orders": 9000}}}}},
		Latency: []report.Loaded{{Arm: report.Pas, Round: 1, Share: 0.5, Rate: 1100, Timed: arm.Timed{
			Emails: load.Latency{P50: 12.3, P99: 45.6}, Batches: batches, Steps: []arm.Step{{Name: "until it is paid", P50: 3.5}}}}},
		Soak: []report.Sample{{Second: 10, MiB: map[string]float64{"orders": 60}, Goroutines: map[string]int{"orders": 900}},
			{Second: 20, MiB: map[string]float64{"orders": 72}}, {Second: 30, MiB: map[string]float64{"orders": 70}},
			{Second: 40, MiB: map[string]float64{"orders": 61}, Goroutines: map[string]int{"orders": 901}}},
		Missing: []report.Missing{{What: "idiomatic", Round: 1, Why: "it did not start"}}}
	r.Add(report.PgbenchSingle, 1, 1800)
	r.Judge()
	return r
}

func TestTextHasEveryArmAndEveryMissingNumber(t *testing.T) {
	t.Parallel()
	text := report.Text(found())
	for _, want := range []string{"pas", "2,200", "2,000", "2,400", "python", "1,800", "12.3", "45.6", "no number for idiomatic (round 1): it did not start"} {
		require.Contains(t, text, want)
	}
	lines := strings.Split(text, "\n")
	require.Equal(t, len(lines[0]), len(lines[1]), "columns are aligned")
	embedded := found()
	embedded.Real = false
	require.Contains(t, report.Text(embedded), "no figure counts")
	require.NotContains(t, text, "no figure counts")
}

// The page of the repository has every part that is generated, and what is around the parts stays.
func TestUpdateWritesThePartsOfThePage(t *testing.T) {
	t.Parallel()
	original, err := os.ReadFile("../../docs/performance.md")
	require.NoError(t, err)
	docs := t.TempDir()
	name := filepath.Join(docs, "performance.md")
	require.NoError(t, os.WriteFile(name, original, 0o600))
	for range 2 { // again changes nothing
		require.NoError(t, report.Update(docs, found()))
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, want := range []string{"# Performance", "Measured on 2026-03-14 09:26 UTC, quick form", "gave 2.3 % of the processors' time to other machines", "| pas | 2,200 | 2,000 | 2,400 | 2 | 450 |",
			"| pas | postgres | 100 |", "| pas | 50 % | 1,100 | 12.3 |", "| order_placed | 1.75 | 1.75 |", "| until it is paid | 3.50 |", "| orders | 60 | 61 | 72 | 900 | 901 |", "| G1 | ", "No number for idiomatic (round 1): it did not start",
			// 450 us an order and 4 messages in it: a million messages a second are 250,000 orders, 112.5 processors.
			"| all | 450 | 112 |"} {
			require.Equal(t, 1, strings.Count(string(content), want), "%s in\n%s", want, content)
		}
	}
}

func TestAPageWithoutAPartIsAnError(t *testing.T) {
	t.Parallel()
	docs := t.TempDir()
	require.Error(t, report.Update(docs, found()), "there is no page")
	require.NoError(t, os.WriteFile(filepath.Join(docs, "performance.md"), []byte("# Performance\n<!-- bench: run -->\n"), 0o600))
	require.Error(t, report.Update(docs, found()))
}

func TestResultsAreWrittenUnderTheirDate(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "results")
	name, err := found().Write(folder)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(folder, "2026-03-14T09-26-53Z.json"), name)
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	var read report.Results
	require.NoError(t, json.Unmarshal(content, &read))
	require.Equal(t, found(), &read)
}

// newest returns the newest committed results of a run without another revision, and their file.
func newest(t *testing.T) (newest report.Results, content []byte) {
	t.Helper()
	files, err := filepath.Glob("../results/*.json")
	require.NoError(t, err)
	for _, file := range files {
		read, err := os.ReadFile(file)
		require.NoError(t, err)
		var r report.Results
		d := json.NewDecoder(bytes.NewReader(read))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&r), file)
		if r.Against == "" {
			newest, content = r, read
		}
	}
	require.NotEmpty(t, content)
	return newest, content
}

// The keys of the results' JSON stay, so that old results can be compared with new ones.
func TestCommittedResultsKeepTheirKeysAndValues(t *testing.T) {
	t.Parallel()
	r, content := newest(t)
	again, err := json.Marshal(r)
	require.NoError(t, err)
	var before, after any
	require.NoError(t, json.Unmarshal(content, &before))
	require.NoError(t, json.Unmarshal(again, &after))
	require.True(t, reflect.DeepEqual(before, after))
}

// The page has the tables of the newest committed results, and of no other run.
func TestThePageIsThatOfTheNewestResults(t *testing.T) {
	t.Parallel()
	original, err := os.ReadFile("../../docs/performance.md")
	require.NoError(t, err)
	docs := t.TempDir()
	name := filepath.Join(docs, "performance.md")
	require.NoError(t, os.WriteFile(name, original, 0o600))
	r, _ := newest(t)
	r.Judge()
	require.NoError(t, report.Update(docs, &r))
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(original), string(content))
}
