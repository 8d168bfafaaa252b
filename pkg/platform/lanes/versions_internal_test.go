package lanes

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the package doc promises was seen with these versions. Older ones lose or reorder: sarama before 1.48 on a retry,
// watermill-kafka before 3.1 with the sarama that it brings.
func TestKafkaClientsAreNotOlderThanWhatWasMeasured(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	oldest := map[string][3]int{"github.com/IBM/sarama": {1, 61, 1}, "github.com/ThreeDotsLabs/watermill-kafka/v3": {3, 1, 4},
		"github.com/ThreeDotsLabs/watermill": {1, 5, 3}}
	for line := range strings.Lines(string(module)) {
		path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		want, ours := oldest[path]
		if !ours {
			continue
		}
		delete(oldest, path)
		var have [3]int
		_, err := fmt.Sscanf(version, "v%d.%d.%d", &have[0], &have[1], &have[2])
		require.NoError(t, err, line)
		require.GreaterOrEqual(t, slices.Compare(have[:], want[:]), 0, line)
	}
	require.Empty(t, oldest, "not found in go.mod")
}
