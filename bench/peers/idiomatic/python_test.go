//go:build clients

package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Python peer keeps the same contract with the harness. It needs python3 with venv, and a package index.
func TestKafkaPythonPeerSettlesFiftyOrders(t *testing.T) {
	t.Parallel()
	start, err := filepath.Abs(filepath.Join("..", "python", "start"))
	require.NoError(t, err)
	p := newPeer(t, []string{start})
	out, err := exec.CommandContext(t.Context(), start, "--help").CombinedOutput() // installs the packages
	require.ErrorContains(t, err, "exit status 2", "%s", out)
	p.settles()
}
