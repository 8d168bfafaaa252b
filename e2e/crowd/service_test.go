//go:build crowd

package crowd

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/e2e/programs"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// largeBatch is what the topics take: Kafka's own default, which is more than the contract asks for.
const largeBatch = 1 << 20

// service is a program that runs with a memory limit.
type service struct {
	t       *testing.T
	public  string
	admin   string
	process *exec.Cmd
	ended   chan error
	limit   int64
	log     string
	brokers []string
	db      *testkit.DB
	prefix  string // of topics
}

// shipped returns the memory limit that compose gives a service.
func shipped(t *testing.T, name string) int64 {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(programs.Root, "deploy/compose/compose.yaml"))
	require.NoError(t, err)
	var file struct {
		Services map[string]struct {
			Limit string `yaml:"mem_limit"`
		}
	}
	require.NoError(t, yaml.Unmarshal(content, &file))
	mib, err := strconv.Atoi(strings.TrimSuffix(file.Services[name].Limit, "m"))
	require.NoError(t, err, "%s has the limit %q", name, file.Services[name].Limit)
	return int64(mib) << 20
}

// start starts a service with the memory that compose gives it, or with CROWD_MIB.
func start(t *testing.T, name string) *service {
	t.Helper()
	limit := shipped(t, name)
	if given := os.Getenv("CROWD_MIB"); given != "" {
		mib, err := strconv.Atoi(given)
		require.NoError(t, err, "CROWD_MIB")
		limit = int64(mib) << 20
	}
	brokers, prefix := testkit.Brokers(t), testkit.Prefix(t)
	topics := stack.Topics(1)
	for i := range topics {
		topics[i].MaxBytes = largeBatch
	}
	_, err := kafka.CreateTopics(t.Context(), kafka.Config{Brokers: brokers, TopicPrefix: prefix, GroupPrefix: prefix}, topics)
	require.NoError(t, err)
	db := testkit.Database(t, migrations.Up)
	address := programs.FreeAddresses(t, 2)
	s := &service{t: t, public: address[0], admin: address[1], limit: limit, brokers: brokers, prefix: prefix, db: db, ended: make(chan error, 1),
		log: filepath.Join(t.TempDir(), "log")}
	path := filepath.Join(programs.Build(t), name)
	cmd := exec.Command(path)
	environ := []string{"HTTP_ADDR=" + s.public, "ADMIN_ADDR=" + s.admin, "DATABASE_URL=" + db.URL(name),
		"KAFKA_BROKERS=" + strings.Join(brokers, ","), "KAFKA_TOPIC_PREFIX=" + prefix, "KAFKA_GROUP_PREFIX=" + prefix}
	if group, ok := limited(t, s.limit); ok {
		t.Logf("%d MiB in %s", s.limit>>20, group)
		cmd = exec.Command("sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$1"`, group, path)
	} else {
		t.Logf("no cgroup can be made here: GOMEMLIMIT instead of %d MiB", s.limit>>20)
		environ = append(environ, fmt.Sprintf("GOMEMLIMIT=%d", s.limit*85/100))
	}
	out, err := os.Create(s.log)
	require.NoError(t, err)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, out, out
	require.NoError(t, cmd.Start())
	s.process = cmd
	go func() {
		s.ended <- cmd.Wait()
		_ = out.Close()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if err := <-s.ended; t.Failed() {
			text, _ := os.ReadFile(s.log)
			t.Logf("it ended: %v\n%s", err, text[max(0, len(text)-4000):])
		}
	})
	testkit.Eventually(t, func() error { return s.healthy("/readyz") })
	return s
}

// limited makes a cgroup with the memory limit, where the machine lets us.
func limited(t *testing.T, limit int64) (folder string, ok bool) {
	t.Helper()
	folder, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes" // version 1
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		folder, file = "/sys/fs/cgroup", "memory.max"
	}
	folder = filepath.Join(folder, fmt.Sprintf("pasdetrois-crowd-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-")))
	if os.Mkdir(folder, 0o755) != nil {
		return "", false
	}
	t.Cleanup(func() { _ = syscall.Rmdir(folder) })
	// The file is there when the machine lets us limit memory. It is not to be created.
	limits, err := os.OpenFile(filepath.Join(folder, file), os.O_WRONLY, 0)
	if err != nil {
		return "", false
	}
	defer limits.Close()
	_, err = fmt.Fprint(limits, limit)
	return folder, err == nil
}

// healthy asks the admin side. Its limit is for a busy machine: a probe of Kubernetes waits 3 s, and several late answers restart a
// container.
func (s *service) healthy(path string) error {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + s.admin + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", path, resp.StatusCode)
	}
	return nil
}

var memoryLine = regexp.MustCompile(`(?m)^(VmHWM|RssAnon):\s+(\d+) kB$`)

// memory returns how much memory the process has of its own now, and how much it had at most. The pages of the program's file
// are its own only in the second number: the kernel drops them when somebody needs the memory.
func (s *service) memory() (now, most int64) {
	s.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	require.NoError(s.t, err)
	for _, m := range memoryLine.FindAllStringSubmatch(string(content), -1) {
		kib, err := strconv.ParseInt(m[2], 10, 64)
		require.NoError(s.t, err)
		if m[1] == "RssAnon" {
			now = kib << 10
		} else {
			most = kib << 10
		}
	}
	return now, most
}

// requireAlive expects the process to run, within its limit, and to be healthy.
func (s *service) requireAlive() {
	s.t.Helper()
	select {
	case err := <-s.ended:
		s.ended <- err
		require.FailNow(s.t, "the service ended", "%v", err)
	default:
	}
	now, most := s.memory()
	s.t.Logf("  memory %d MiB, %d at most", now>>20, most>>20)
	require.Less(s.t, most, s.limit)
	require.NoError(s.t, s.healthy("/livez"))
	require.NoError(s.t, s.healthy("/readyz?for=requests"))
}
