package windows

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/messages/messagestest"
)

// inPython returns what the Spark job reads of the records, in the notation of inGo.
func inPython(t *testing.T, records []*kgo.Record) []string {
	t.Helper()
	var in, stderr bytes.Buffer
	for _, r := range records {
		var value any
		if r.Value != nil {
			value = base64.StdEncoding.EncodeToString(r.Value)
		}
		var headers [][2]string
		for _, h := range r.Headers {
			headers = append(headers, [2]string{h.Key, base64.StdEncoding.EncodeToString(h.Value)})
		}
		line, err := json.Marshal(map[string]any{"topic": r.Topic, "ms": r.Timestamp.UnixMilli(), "value": value, "headers": headers})
		require.NoError(t, err)
		in.Write(append(line, '\n'))
	}
	python := exec.CommandContext(t.Context(), "python3", "-B", filepath.Join(sparkFolder, "testdata", "read_lines.py")) // it needs no Spark
	python.Stdin, python.Stderr = &in, &stderr
	out, err := python.Output()
	require.NoError(t, err, stderr.String())
	var read []string
	for line := range bytes.Lines(out) {
		var event []any
		require.NoError(t, json.Unmarshal(line, &event), string(line))
		if event == nil {
			read = append(read, "no event")
			continue
		}
		read = append(read, fmt.Sprintf("%q %.0f %v %.0f %v %v", event...))
	}
	return read
}

// inGo returns what `pas windows` reads of the records.
func inGo(records []*kgo.Record) []string {
	var read []string
	for _, r := range records {
		e, err := readEvent(r)
		if err != nil {
			read = append(read, "no event")
			continue
		}
		read = append(read, fmt.Sprintf("%q %d %s %d %v %v", e.name, e.at, e.currency, e.minor, e.badAmount, e.ahead))
	}
	return read
}

func TestTheSparkJobReadsTheTableAsPasDoes(t *testing.T) {
	t.Parallel()
	received := time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC)
	var records []*kgo.Record
	for _, c := range messagestest.Cases() {
		r := &kgo.Record{Topic: messages.TopicOrders, Value: c.Value, Timestamp: received}
		for _, h := range c.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		records = append(records, r)
		elsewhere := *r
		elsewhere.Topic = "web-events"
		records = append(records, &elsewhere)
	}
	goes, python := inGo(records), inPython(t, records)
	require.Len(t, python, len(goes))
	for i, r := range records {
		require.Equal(t, goes[i], python[i], "topic %s, value %q, headers %v", r.Topic, r.Value, r.Headers)
	}
}

// Each event of the contract is read on each topic, with and without its name in the body.
func TestTheSparkJobReadsEachEventAsPasDoes(t *testing.T) {
	t.Parallel()
	var records []*kgo.Record
	for _, typ := range messages.Registry() {
		r, err := messages.Message{ID: "m", Source: typ.Owner, Event: typ.Example, Time: time.UnixMilli(1_772_366_401_000)}.Record()
		require.NoError(t, err)
		headers := make([]kgo.RecordHeader, len(r.Headers))
		for i, h := range r.Headers {
			headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
		}
		nameless := bytes.Replace(r.Value, []byte(`"event":"`+typ.Name+`",`), nil, 1)
		for _, topic := range append(messages.TopicNames(), "web-events") {
			for _, value := range [][]byte{r.Value, nameless} {
				records = append(records, &kgo.Record{Topic: topic, Value: value, Timestamp: r.Time, Headers: headers},
					&kgo.Record{Topic: topic, Value: value, Timestamp: r.Time})
			}
		}
	}
	goes, python := inGo(records), inPython(t, records)
	require.Len(t, python, len(goes))
	for i, r := range records {
		require.Equal(t, goes[i], python[i], "topic %s, value %q, headers %v", r.Topic, r.Value, r.Headers)
	}
}

// TestTheSparkJobReadsMixturesAsPasDoes: what readers of JSON in two languages may understand differently, at random.
func TestTheSparkJobReadsMixturesAsPasDoes(t *testing.T) {
	t.Parallel()
	values := oddMixtures(20_000)
	random := rand.New(rand.NewPCG(10, 0))
	topics := append(messages.TopicNames(), "web-events")
	records := make([]*kgo.Record, len(values))
	for i, value := range values {
		records[i] = &kgo.Record{Topic: topics[random.IntN(len(topics))], Value: []byte(value), Timestamp: time.UnixMilli(1_772_366_401_000),
			Headers: oddHeaders(random)}
	}
	goes, python := inGo(records), inPython(t, records)
	require.Len(t, python, len(goes))
	for i, r := range records {
		require.Equal(t, goes[i], python[i], "topic %s, value %q, headers %v", r.Topic, r.Value, r.Headers)
	}
}
