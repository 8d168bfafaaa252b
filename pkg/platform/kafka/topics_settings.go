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
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// MaxBatchBytes is the max.message.bytes of the contract's topics. Kafka counts a batch as it is stored, so with
	// compression. The contract reads 64 KiB of a record; the rest is room for its headers.
	MaxBatchBytes = 128 << 10
	// Retention is the retention.ms of the contract's topics. The topics set it themselves: a change of the cluster's default
	// must not delete records that a stopped service has yet to read.
	Retention = 7 * 24 * time.Hour

	// MaxInflated is the largest size, in bytes, to which one batch may inflate and still be read by the services. Tools that
	// read the same topics have the same bound: they would otherwise show messages that no service handled.
	MaxInflated = 2 << 20

	maxBytesSetting  = "max.message.bytes"
	retentionSetting = "retention.ms"
	minISRSetting    = "min.insync.replicas"
)

// settings returns the settings of the topic itself. The cluster's default applies to every other setting.
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

// TopicDifference is an existing topic that has other settings than its specification. Is and Want have the same keys.
type TopicDifference struct {
	Topic string            // prefix included
	Is    map[string]string // the settings that differ, with the broker's values
	Want  map[string]string // the same settings, with the specification's values
}

// Change returns the command that gives the topic the settings of its specification. An operator runs it. It has no login in
// it, and its keys are sorted, so the same difference prints the same text.
func (d TopicDifference) Change(brokers []string) string {
	pairs := make([]string, 0, len(d.Want))
	for _, key := range slices.Sorted(maps.Keys(d.Want)) {
		pairs = append(pairs, key+"="+d.Want[key])
	}
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s",
		strings.Join(brokers, ","), d.Topic, strings.Join(pairs, ","))
}

// DifferentTopics returns the existing topics with other settings than specified. It changes nothing: an operator may have
// had a reason. A topic whose settings this login may not read is left out. Any other error ends the comparison, also that
// of a topic which does not exist, so create the topics first.
func DifferentTopics(ctx context.Context, cfg Config, specs []TopicSpec) ([]TopicDifference, error) {
	var differences []TopicDifference
	err := administer(ctx, cfg, func(admin *kadm.Client, _ *kgo.Client) error {
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
