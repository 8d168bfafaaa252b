//go:build mirror

package mirror

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/e2e/programs"
)

// settings are those of docs/operations.md, with short intervals and one copy of everything. A worker that was killed is
// waited for by the next one: five minutes, unless scheduled.rebalance.max.delay.ms says otherwise.
const settings = `clusters = first, second
first.bootstrap.servers = %s
second.bootstrap.servers = %s
first->second.enabled = true
first->second.topics = orders|payments|notifications|order-failures
first->second.groups = (orders|payments|notifications)\\..*
replication.policy.class = org.apache.kafka.connect.mirror.IdentityReplicationPolicy
first.consumer.isolation.level = read_committed
second.producer.acks = all
sync.topic.acls.enabled = false
sync.group.offsets.enabled = true
emit.heartbeats.enabled = false
replication.factor = 1
checkpoints.topic.replication.factor = 1
heartbeats.topic.replication.factor = 1
offset-syncs.topic.replication.factor = 1
offset.storage.replication.factor = 1
status.storage.replication.factor = 1
config.storage.replication.factor = 1
sync.group.offsets.interval.seconds = 1
emit.checkpoints.interval.seconds = 1
second.offset.flush.interval.ms = 60000
second.scheduled.rebalance.max.delay.ms = 0
second.session.timeout.ms = 6000
second.heartbeat.interval.ms = 2000
`

// mirror is MirrorMaker 2 as a process of its own.
type mirror struct {
	jars, config string
	logs         *os.File
	process      *exec.Cmd
}

func newMirror(t *testing.T, first, second *cluster) *mirror {
	t.Helper()
	m := &mirror{jars: os.Getenv("MIRROR_JARS")}
	require.NotEmpty(t, m.jars, "MIRROR_JARS must name the folder of MirrorMaker's jars (`make test SUITE=mirror` does)")
	m.config = filepath.Join(t.TempDir(), "mm2.properties")
	require.NoError(t, os.WriteFile(m.config, fmt.Appendf(nil, settings, first.brokers, second.brokers), 0o644))
	var err error
	m.logs, err = os.Create(filepath.Join(programs.Logs(t), "mirrormaker.log"))
	require.NoError(t, err)
	t.Cleanup(func() {
		m.kill()
		_ = m.logs.Close()
	})
	return m
}

func (m *mirror) start(t *testing.T) {
	t.Helper()
	m.process = exec.Command("java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=WARN", "-cp", filepath.Join(m.jars, "*"),
		"org.apache.kafka.connect.mirror.MirrorMaker", m.config)
	m.process.Stdout, m.process.Stderr = m.logs, m.logs
	require.NoError(t, m.process.Start())
}

// kill ends it with SIGKILL: what it copied last is copied again by the next one.
func (m *mirror) kill() {
	if m.process != nil {
		_ = m.process.Process.Kill()
		_ = m.process.Wait()
		m.process = nil
	}
}
