package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// MaxBatchBytes is the max.message.bytes of the contract's topics. Kafka counts a batch as it is stored, so with
	// compression. The contract reads 64 KiB of a record; the rest is room for its headers.
	MaxBatchBytes = 128 << 10
	// Retention is the retention.ms of the contract's topics: what is set nowhere changes with the cluster's default.
	Retention = 7 * 24 * time.Hour

	// MaxInflated is how much one batch may inflate to, in bytes, and still be read by the services. Tools that read the same
	// topics have the same bound: they would else know of messages that no service handled.
	MaxInflated = 2 << 20

	maxBytesSetting  = "max.message.bytes"
	retentionSetting = "retention.ms"
	minISRSetting    = "min.insync.replicas"
)

// settings are the topic's own settings; what is absent is the cluster's default.
func (s TopicSpec) settings() map[string]string {
	settings := map[string]string{}
	if s.MinISR > 0 {
		settings[minISRSetting] = strconv.Itoa(int(s.MinISR))
	}
	if s.MaxBytes > 0 {
		settings[maxBytesSetting] = strconv.Itoa(int(s.MaxBytes))
	}
	if s.Retention > 0 {
		settings[retentionSetting] = strconv.FormatInt(s.Retention.Milliseconds(), 10)
	}
	return settings
}

// TopicDifference is an existing topic that has other settings than its specification.
type TopicDifference struct {
	Topic string            // prefix included
	Is    map[string]string // the settings that differ, as they are
	Want  map[string]string // the same settings, as the specification has them
}

// Change is the command that makes the topic as its specification says.
func (d TopicDifference) Change(brokers []string) string {
	pairs := make([]string, 0, len(d.Want))
	for _, key := range slices.Sorted(maps.Keys(d.Want)) {
		pairs = append(pairs, key+"="+d.Want[key])
	}
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s",
		strings.Join(brokers, ","), d.Topic, strings.Join(pairs, ","))
}

// DifferentTopics returns the existing topics with other settings than specified. It changes nothing: an operator may have
// had a reason. A topic whose settings we may not see is left out.
func DifferentTopics(ctx context.Context, cfg Config, specs []TopicSpec) ([]TopicDifference, error) {
	var differences []TopicDifference
	err := administer(ctx, cfg, func(admin *kadm.Client) error {
		for _, s := range specs {
			want := s.settings()
			if len(want) == 0 {
				continue
			}
			d := TopicDifference{Topic: cfg.TopicPrefix + s.Name, Is: map[string]string{}, Want: map[string]string{}}
			described, err := admin.DescribeTopicConfigs(ctx, d.Topic)
			if err == nil {
				var topic kadm.ResourceConfig
				topic, err = described.On(d.Topic, nil)
				err = cmp.Or(err, topic.Err)
				for _, c := range topic.Configs {
					if value, ok := want[c.Key]; ok && value != c.MaybeValue() {
						d.Is[c.Key], d.Want[c.Key] = c.MaybeValue(), value
					}
				}
			}
			switch {
			case errors.Is(err, kerr.TopicAuthorizationFailed):
			case err != nil:
				return fmt.Errorf("settings of topic %s: %w", d.Topic, err)
			case len(d.Want) > 0:
				differences = append(differences, d)
			}
		}
		return nil
	})
	return differences, err
}
