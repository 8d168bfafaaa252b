package audit_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkAudit measures `pas audit` as a process of its own: how long it takes and the most memory that it has at a time.
// PAS_AUDIT_ORDERS says over how many orders.
func BenchmarkAudit(b *testing.B) {
	orders := 20_000
	if given := os.Getenv("PAS_AUDIT_ORDERS"); given != "" {
		var err error
		orders, err = strconv.Atoi(given)
		require.NoError(b, err)
	}
	binary := filepath.Join(b.TempDir(), "pas")
	built, err := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", binary, "pasdetrois/cmd/pas").CombinedOutput()
	require.NoError(b, err, string(built))
	p := generate(b, orders, true)
	for name, args := range map[string][]string{"databases": {"audit", "--json"}, "databases_and_topics": {"audit", "--json", "--topics"}} {
		b.Run(name, func(b *testing.B) {
			most := int64(0)
			for b.Loop() {
				pas := exec.CommandContext(b.Context(), binary, args...)
				pas.Env = append(os.Environ(), "AUDIT_DATABASE_URL="+p.config(b, p.adminURL).OrdersURL,
					"KAFKA_BROKERS="+strings.Join(p.topics.Kafka.Brokers, ","), "KAFKA_TOPIC_PREFIX="+p.topics.Kafka.TopicPrefix)
				pas.Stderr = os.Stderr
				out, err := pas.Output()
				require.NoError(b, err, string(out))
				var report struct {
					Orders int  `json:"orders"`
					Passed bool `json:"passed"`
				}
				require.NoError(b, json.Unmarshal(out, &report))
				require.True(b, report.Passed)
				require.Equal(b, orders, report.Orders)
				most = max(most, pas.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
				b.ReportMetric(pas.ProcessState.UserTime().Seconds()+pas.ProcessState.SystemTime().Seconds(), "cpu-s")
			}
			b.ReportMetric(float64(most)/1024, "MiB") // Linux counts in KiB
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
		})
	}
}
