package crowd

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"pasdetrois/e2e/programs"
)

// What keeps running has room on a machine with 2 GB for it, and the file's header says how much it is.
func TestTheLimitsOfComposeFitIntoTwoGigabytes(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(programs.Root, "deploy/compose/compose.yaml"))
	require.NoError(t, err)
	var file struct {
		Services map[string]struct {
			Limit   string `yaml:"mem_limit"`
			Restart string
		}
	}
	require.NoError(t, yaml.Unmarshal(content, &file))
	sum := 0
	for name, s := range file.Services {
		if s.Restart != "unless-stopped" { // a job, which ends
			continue
		}
		mib, err := strconv.Atoi(strings.TrimSuffix(s.Limit, "m"))
		require.NoError(t, err, name)
		sum += mib
	}
	require.Less(t, sum<<20, 2_000_000_000)
	require.Contains(t, string(content), fmt.Sprintf("%d,%03d MiB", sum/1000, sum%1000))
}
