package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/run"
)

func TestTheManualHasTheSettingsThatTheServicesRead(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../" + document)
	require.NoError(t, err)
	now, err := updated(string(manual))
	require.NoError(t, err)
	require.Equal(t, now, string(manual), "run `make generate`")
	_, err = updated(strings.ReplaceAll(string(manual), "<!--", ""))
	require.ErrorContains(t, err, "no place")
}

func TestASettingThatServicesReadWithOtherDefaultsShowsEach(t *testing.T) {
	t.Parallel()
	settings := map[string][]run.Variable{
		"a": {{Name: "ADDR", Default: ":1", Meaning: "x|y"}, {Name: "LOGIN"}},
		"b": {{Name: "ADDR", Default: ":2"}, {Name: "OWN"}},
	}
	table := servicesTable([]string{"a", "b"}, func(service string) []run.Variable { return settings[service] }, []run.Variable{{Name: "LOGIN"}})
	require.Equal(t, "| variable | services | default | meaning |\n|---|---|---|---|\n| ADDR | all | a :1, b :2 | x\\|y |\n| OWN | b |  |  |\n", table)
}

func TestEverySettingSaysWhatItMeans(t *testing.T) {
	t.Parallel()
	for _, service := range messages.Services() {
		require.Greater(t, len(settingsOf(service)), 20)
		for _, v := range settingsOf(service) {
			require.NotEmpty(t, v.Meaning, v.Name)
		}
	}
}
