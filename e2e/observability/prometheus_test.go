//go:build observability

package observability_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

const configFolder = "../../deploy/compose/prometheus"

// prometheus is a real one, with the configuration of deploy/compose.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus starts the binary that PROMETHEUS names. It scrapes s; all else is as in deploy/compose, but faster.
func startPrometheus(t *testing.T, s *stack.Stack) *prometheus {
	t.Helper()
	binary := os.Getenv("PROMETHEUS")
	require.NotEmpty(t, binary, "PROMETHEUS must name a Prometheus binary: `make test SUITE=observability` builds one")
	folder := t.TempDir()
	config := filepath.Join(folder, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, scraping(t, s), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())

	var output bytes.Buffer
	command := exec.Command(binary, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"),
		"--web.listen-address="+address, "--web.external-url=http://localhost:9090")
	command.Stdout, command.Stderr = &output, &output
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if t.Failed() {
			t.Log(output.String())
		}
	})
	p := &prometheus{t: t, url: "http://" + address}
	testkit.Eventually(t, func() error {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", resp.Status)
		}
		return nil
	})
	return p
}

// scraping returns deploy/compose's configuration with the stack's addresses in place of the containers' names.
func scraping(t *testing.T, s *stack.Stack) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(configFolder, "prometheus.yml"))
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, yaml.Unmarshal(content, &config))
	global := config["global"].(map[string]any)
	global["scrape_interval"], global["scrape_timeout"], global["evaluation_interval"] = "1s", "1s", "1s"
	rules, err := filepath.Abs(filepath.Join(configFolder, "alerts.yml"))
	require.NoError(t, err)
	require.Equal(t, []any{"alerts.yml"}, config["rule_files"])
	config["rule_files"] = []string{rules}
	jobs := config["scrape_configs"].([]any)
	require.Len(t, jobs, len(messages.Services()))
	for _, j := range jobs {
		job := j.(map[string]any)
		admin := adminAddress(t, s, job["job_name"].(string))
		delete(job, "dns_sd_configs")
		job["static_configs"] = []any{map[string]any{"targets": []string{admin}}}
	}
	content, err = yaml.Marshal(config)
	require.NoError(t, err)
	return content
}

func adminAddress(t *testing.T, s *stack.Stack, service string) string {
	t.Helper()
	u, err := url.Parse(s.Client().Endpoint(service).Admin)
	require.NoError(t, err)
	return u.Host
}

// get asks Prometheus' API and decodes its data into out.
func (p *prometheus) get(path string, query url.Values, out any) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/"+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", query.Get("query"), answer.Error)
	}
	return json.Unmarshal(answer.Data, out)
}

// sample is one element of an answer to a query.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

func (s sample) number() string { return fmt.Sprint(s.Value[1]) }

// query returns what an expression of the dashboard gives now.
func (p *prometheus) query(expr string) ([]sample, error) {
	var data struct{ Result []sample }
	err := p.get("query", url.Values{"query": {strings.ReplaceAll(expr, "$__rate_interval", "30s")}}, &data)
	return data.Result, err
}
