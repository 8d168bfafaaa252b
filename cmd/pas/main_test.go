package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestRunAnswersAndReturnsTheExitCode(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, 0, run(t.Context(), []string{"version"}, &stdout, &stderr))
	require.Contains(t, stdout.String(), "pas 1.")
	require.Empty(t, stderr.String())
	require.Equal(t, 2, run(t.Context(), []string{"nothing"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "pas has no command")
}

func TestAnOutputThatNobodyReadsEndsTheCommand(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	broken := make(chan struct{}, 1)
	p := &pipe{writer, func() { broken <- struct{}{} }}
	_, err = p.Write([]byte("x"))
	require.Error(t, err)
	<-broken
	require.NoError(t, writer.Close())
}
