//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"pasdetrois/bench/process"
	"pasdetrois/e2e/programs"
	"pasdetrois/toolbox/client"
)

// links are the proxies of all replicas: one to Kafka and one to Postgres each, and one from the customers to orders.
// Clients of Kafka go to the addresses that it advertises, so Kafka gets a listener for each replica, which advertises the
// replica's proxy.
type links struct {
	*field
	api   *toxiproxy.ApiServer
	all   []*toxiproxy.Proxy
	kafka []*toxiproxy.Proxy // of the replicas, in their order; each is taken once
	free  []string           // addresses
	n     int                // of replicas joined
}

const linkedPorts = 4 * replicasEach * 3

// link starts Kafka anew with a listener for each replica.
func (f *field) link(addresses []string) *links {
	f.t.Helper()
	require.NotNil(f.t, f.broker, "the broker must be ours to start anew: `make chaos` starts one")
	zerolog.SetGlobalLevel(zerolog.Disabled) // its kinds of faults write to the global logger
	l := &links{field: f, api: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), free: addresses}
	f.t.Cleanup(func() {
		for _, p := range l.all {
			p.Stop()
		}
	})
	var listeners, advertised, kinds []string
	for n := range replicasEach * 3 {
		at := l.take()
		l.kafka = append(l.kafka, l.proxy(fmt.Sprintf("kafka of replica %d", n+1), at))
		name := fmt.Sprintf("R%d", n+1)
		listeners = append(listeners, name+"://"+at)
		advertised = append(advertised, name+"://"+l.kafka[n].Listen)
		kinds = append(kinds, name+":PLAINTEXT")
	}
	require.NoError(f.t, l.startKafka(listeners, advertised, kinds))
	return l
}

func (l *links) take() (address string) {
	address, l.free = l.free[0], l.free[1:]
	return address
}

func (l *links) proxy(name, upstream string) *toxiproxy.Proxy {
	p := toxiproxy.NewProxy(l.api, name, l.take(), upstream)
	require.NoError(l.t, p.Start())
	l.all = append(l.all, p)
	return p
}

// join lets a replica go through proxies from its start, and returns the address for its customers.
func (l *links) join(r *replica) (public string) {
	postgres := l.proxy("postgres of "+r.spec.Name, fmt.Sprintf("127.0.0.1:%d", l.db.port))
	kafka := l.kafka[l.n]
	kafka.Name = "kafka of " + r.spec.Name
	l.n++
	for i, setting := range r.spec.Env {
		switch {
		case strings.HasPrefix(setting, "DATABASE_URL="):
			r.spec.Env[i] = strings.Replace(setting, postgres.Upstream, postgres.Listen, 1)
		case strings.HasPrefix(setting, "KAFKA_BROKERS="):
			r.spec.Env[i] = "KAFKA_BROKERS=" + kafka.Listen
		}
	}
	if r.service != client.Orders {
		return r.public
	}
	return l.proxy("customers of "+r.spec.Name, r.public).Listen
}

// startKafka ends the broker and starts it with more listeners. When the row is over it runs as before.
func (l *links) startKafka(listeners, advertised, kinds []string) error {
	config := filepath.Join(os.Getenv("KAFKA_DIR"), "node1", "server.properties")
	content, err := os.ReadFile(config)
	if err != nil {
		return fmt.Errorf("start Kafka with more listeners: %w", err)
	}
	args := []string{"run-class", "kafka.Kafka", config}
	more := map[string][]string{"listeners": listeners, "advertised.listeners": advertised, "listener.security.protocol.map": kinds}
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if added, known := more[key]; known {
			args = append(args, "--override", key+"="+value+","+strings.Join(added, ","))
		}
	}
	if err := l.broker.Kill(l.ctx); err != nil {
		return err
	}
	l.t.Cleanup(func() { require.NoError(l.t, l.broker.Start(context.WithoutCancel(l.ctx))) })
	p, err := process.Start(process.Spec{Name: "kafka", Path: os.Getenv("KAFKA_LOCAL"), Args: args, Logs: programs.Logs(l.t),
		Env: []string{"KAFKA_DIR=" + os.Getenv("KAFKA_DIR"), "JAVA_HOME=" + os.Getenv("JAVA_HOME")}})
	if err != nil {
		return err
	}
	l.t.Cleanup(func() { _ = p.Stop() })
	return l.until(readyLimit, "Kafka answers", func(ctx context.Context) error {
		if err := p.Alive(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := l.field.kafka.Lag(ctx)
		return err
	})
}

// fault is a kind of fault of a link: it begins, and what it returns ends it.
type fault struct {
	name  string
	begin func(p *toxiproxy.Proxy) (end func(ctx context.Context) error, err error)
}

func toxic(name, kind, stream, attributes string) fault {
	return fault{name, func(p *toxiproxy.Proxy) (func(context.Context) error, error) {
		text := fmt.Sprintf(`{"name":"fault","type":%q,"stream":%q,"toxicity":1,"attributes":{%s}}`, kind, stream, attributes)
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			return nil, fmt.Errorf("%s of %s: %w", name, p.Name, err)
		}
		return func(ctx context.Context) error { return p.Toxics.RemoveToxic(ctx, "fault") }, nil
	}}
}

func linkFaults() []fault {
	return []fault{
		toxic("late", "latency", "downstream", `"latency":400,"jitter":300`),
		toxic("slow", "bandwidth", "upstream", `"rate":16`),
		toxic("half open: answers are lost", "timeout", "downstream", `"timeout":0`),
		toxic("half open: requests are lost", "timeout", "upstream", `"timeout":0`),
		{"cut", func(p *toxiproxy.Proxy) (func(context.Context) error, error) {
			p.Stop()
			return func(context.Context) error { return p.Start() }, nil
		}},
	}
}

// network disturbs each link in each way, in a random order.
func (f *field) network() error {
	kinds := linkFaults()
	var order []int
	for len(order) < f.size {
		order = append(order, f.rng.Perm(len(kinds)*len(f.links.all))...)
	}
	for _, choice := range order[:f.size] {
		link, kind := f.links.all[choice/len(kinds)], kinds[choice%len(kinds)]
		if err := f.wait(2 * time.Second); err != nil {
			return err
		}
		lasting := f.lasting()
		f.faulted("%s: %s for %.1f s", link.Name, kind.name, lasting.Seconds())
		end, err := kind.begin(link)
		if err != nil {
			return err
		}
		if err := pause(f.ctx, lasting); err != nil {
			return err
		}
		if err := end(f.ctx); err != nil {
			return fmt.Errorf("mend %s: %w", link.Name, err)
		}
		if err := f.recovered(link.Name + " was mended"); err != nil {
			return err
		}
	}
	return nil
}
