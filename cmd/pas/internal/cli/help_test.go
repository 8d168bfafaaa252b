package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
)

// commands are all commands with a help text of ours.
func commands() [][]string {
	return [][]string{
		{}, {"demo"}, {"up"}, {"order"}, {"order", "history"}, {"order", "republish"}, {"show"}, {"cancel"},
		{"inventory"}, {"inventory", "put"}, {"inventory", "restock"},
		{"dead-letters"}, {"dead-letters", "list"}, {"dead-letters", "show"}, {"dead-letters", "replay"}, {"dead-letters", "discard"},
		{"emails"}, {"emails", "list"}, {"emails", "retry"}, {"user"}, {"user", "export"}, {"user", "erase"},
		{"topics"}, {"topics", "create"}, {"topics", "list"}, {"topics", "describe"},
		{"simulate"}, {"tail"}, {"windows"}, {"windows", "history"}, {"rest"}, {"audit"}, {"audit", "log"}, {"replay"}, {"rebuild"}, {"migrate"}, {"version"},
	}
}

// TestHelpIsAsWritten compares each help text with its golden file. UPDATE_GOLDEN=1 writes them anew.
func TestHelpIsAsWritten(t *testing.T) {
	t.Parallel()
	for _, command := range commands() {
		name := strings.Join(append([]string{"pas"}, command...), "-")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := pas(t, nil, append(command, "--help")...)
			require.Equal(t, cli.ExitOK, got.code)
			require.Empty(t, got.stderr)
			golden := filepath.Join("testdata", "help", name+".txt")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(golden, []byte(got.stdout), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got.stdout)
		})
	}
}

func TestEveryHelpHasExamplesAndFitsTheScreen(t *testing.T) {
	t.Parallel()
	for _, command := range commands() {
		help := pas(t, nil, append(command, "--help")...).stdout
		require.Contains(t, help, "Examples:\n  ", "pas %v", command)
		for line := range strings.Lines(help) {
			require.LessOrEqual(t, len([]rune(line)), 170, line)
		}
	}
}

func TestEveryCommandIsListedAndHasAGoldenHelp(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{"completion": true, "help": true} // cobra's own
	for _, command := range commands() {
		covered[strings.Join(command, " ")] = true
	}
	var walk func(path []string)
	walk = func(path []string) {
		_, list, found := strings.Cut(pas(t, nil, append(path, "--help")...).stdout, "Available Commands:\n")
		if !found {
			return
		}
		for line := range strings.Lines(list) {
			fields := strings.Fields(line)
			if len(fields) == 0 {
				return
			}
			child := append(append([]string{}, path...), fields[0])
			require.True(t, covered[strings.Join(child, " ")], "no golden help for pas %v", child)
			if fields[0] != "completion" && fields[0] != "help" {
				walk(child)
			}
		}
	}
	walk(nil)
}

func TestCompletionKnowsCommandsServicesAndScenarios(t *testing.T) {
	t.Parallel()
	script := pas(t, nil, "completion", "bash")
	require.Equal(t, cli.ExitOK, script.code)
	require.Contains(t, script.stdout, "__start_pas")
	require.Contains(t, pas(t, nil, "__complete", "dead-letters", "").stdout, "replay")
	require.Contains(t, pas(t, nil, "__complete", "dead-letters", "list", "--service", "").stdout, "notifications")
	require.Contains(t, pas(t, nil, "__complete", "demo", "--only", "").stdout, "delivered-twice")
}
