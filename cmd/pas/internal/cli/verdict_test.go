package cli

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/scenario"
)

func TestDemoWithAScenarioThatFailsExitsOneAndSaysWhereTheLogIs(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	a := &app{Program: Program{Stdout: &stdout}, ran: true}
	err := a.play(t.Context(), []scenario.Scenario{{Name: "impossible", Title: "cannot be", Needs: []scenario.Need{"a miracle"}}}, "")
	require.ErrorIs(t, err, errScenarios)
	require.Contains(t, stdout.String(), "FAIL")
	require.Contains(t, stdout.String(), "needs a miracle")
	require.Contains(t, stdout.String(), "0 of 1 scenarios passed")
	line := explain(err)
	require.Regexp(t, `^not every scenario passed: impossible; the services' logs are in `, line)
	path := regexp.MustCompile(`[^ ]+$`).FindString(line)
	log, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEmpty(t, log)
	require.NoError(t, os.Remove(path))
}

func TestErrorsAreOneLineWhateverTheySay(t *testing.T) {
	t.Parallel()
	require.Equal(t, `first; second \x1b[31m`, oneLine(errors.Join(errors.New("first"), errors.New("  second \x1b[31m\r\n")).Error()))
}
