package embedded

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/twmb/franz-go/pkg/kfake"
)

// BrokerConfig configures StartBroker.
type BrokerConfig struct {
	Port    int    // 0 = any free port
	DataDir string // "" = in memory only
	Log     *slog.Logger
}

// Broker is an in-process broker (kfake). It is for demonstrations and fast tests: its durability and speed say nothing about
// those of Kafka. Clients of this machine reach it over TCP, also from other processes. It ends with this process.
type Broker struct{ cluster *kfake.Cluster }

// StartBroker starts the broker on loopback, without topics and without auto-creation. With a DataDir it has the topics and
// records of the last run.
func StartBroker(cfg BrokerConfig) (*Broker, error) {
	opts := []kfake.Opt{kfake.NumBrokers(1)}
	if cfg.Port != 0 {
		opts = append(opts, kfake.Ports(cfg.Port))
	}
	if cfg.DataDir != "" {
		if err := os.MkdirAll(cfg.DataDir, 0o755); err != nil {
			return nil, fmt.Errorf("make the broker's folder: %w", err)
		}
		opts = append(opts, kfake.DataDir(cfg.DataDir))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	return &Broker{cluster}, nil
}

// Addrs returns the bootstrap addresses.
func (b *Broker) Addrs() []string { return b.cluster.ListenAddrs() }

// Stop ends the broker and closes its connections.
func (b *Broker) Stop() { b.cluster.Close() }
