package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/platform/wait"
)

// TopicSpec is one topic to create.
type TopicSpec struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16         // -1 = the cluster's default
	MinISR            int16         // copies that a write needs; 0 = the cluster's default
	MaxBytes          int32         // of one batch, as it is stored; 0 = the cluster's default
	Retention         time.Duration // 0 = the cluster's default
}

// TopicInfo describes an existing topic.
type TopicInfo struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	Configs           map[string]string // those that differ from the broker's defaults
}

// CreateTopics creates the missing topics (prefix added) and returns the names that it created. A topic with fewer
// partitions than asked for is an error: adding partitions moves keys to other partitions, so a person must decide. A topic
// with more partitions, or with other settings, is left as it is; DifferentTopics reports the settings.
//
// The controller is asked to create the listed topics, too: a broker lists a topic for a moment after its deletion.
//
// An error about one topic does not stop the others: all errors come joined, with the names that were created. A second call
// creates the rest, so callers may repeat it, and several programs may run it at the same time.
func CreateTopics(ctx context.Context, cfg Config, specs []TopicSpec) ([]string, error) {
	var created []string
	err := administer(ctx, cfg, func(admin *kadm.Client, _ *kgo.Client) error {
		existing, err := listed(ctx, admin)
		if err != nil {
			return err
		}
		var errs []error
		for _, s := range specs {
			name := cfg.TopicPrefix + s.Name
			if have := len(existing[name].Partitions); existing.Has(name) && have < int(s.Partitions) {
				errs = append(errs, fmt.Errorf("topic %s exists with %d partitions instead of %d: adding partitions moves keys, so decide: use kafka-topics --alter; or stop every service and tool that reads it, delete it, and create it again",
					name, have, s.Partitions))
				continue
			}
			settings := make(map[string]*string)
			for key, value := range s.settings() {
				settings[key] = &value
			}
			answer, err := admin.CreateTopic(ctx, s.Partitions, s.ReplicationFactor, settings, name)
			switch {
			case err == nil:
				created = append(created, name)
			case errors.Is(err, kerr.TopicAlreadyExists): // another program may have created it since the list was read
			case existing.Has(name): // whoever may not create topics may use those that exist
			default:
				errs = append(errs, notCreated(name, answer.ErrMessage, err))
			}
		}
		return refused(cfg, append(errs, known(ctx, admin, created)))
	})
	return created, err
}

// notCreated returns err in words, with the topic and the broker's message: only that names the wrong setting or the policy.
func notCreated(topic, message string, err error) error {
	text := fmt.Sprintf("create topic %s: %v", topic, Readable(err))
	if message = strings.TrimRight(message, ". \n"); message != "" {
		text += ": " + message
	}
	return &inWords{text, err}
}

// refused joins the errors of several topics. A refusal with a known remedy gets that as well, and keeps every topic's error.
func refused(cfg Config, errs []error) error {
	joined := errors.Join(errs...)
	var known *Problem
	if !errors.As(cfg.Explain(joined), &known) || known.Unreachable != "" {
		return joined
	}
	return &Problem{Text: fmt.Sprintf("%s (%s)", known.Text, strings.ReplaceAll(joined.Error(), "\n", "; ")), Err: joined}
}

// knownTime bounds the wait until the brokers list a new topic.
const knownTime = 30 * time.Second

// known waits until the brokers list the topics. Kafka answers that a topic is created before every broker lists it. A service
// that starts in between would report the topic as missing. An error means that the topics exist, but not yet everywhere.
func known(ctx context.Context, admin *kadm.Client, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, knownTime)
	defer cancel()
	for {
		existing, err := listed(ctx, admin)
		if err != nil {
			return err
		}
		missing := slices.IndexFunc(names, func(name string) bool { return !existing.Has(name) })
		if missing < 0 {
			return nil
		}
		if !wait.Sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("topic %s was created, and the brokers do not list it: %w", names[missing], ctx.Err())
		}
	}
}

// listed returns the topics that exist and that this login may describe, without their settings: a shared Kafka has many
// topics, and their settings take long.
func listed(ctx context.Context, admin *kadm.Client) (kadm.TopicDetails, error) {
	topics, err := admin.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return topics, nil
}

// ListTopics describes every topic that has the prefix, sorted, without the prefix. It leaves Kafka's internal topics out.
// An empty prefix matches the topics of other installations as well. Values that the broker marks as sensitive are left out.
// A topic whose settings this login may not read is listed without settings.
func ListTopics(ctx context.Context, cfg Config) ([]TopicInfo, error) {
	var infos []TopicInfo
	err := administer(ctx, cfg, func(admin *kadm.Client, client *kgo.Client) error {
		existing, err := listed(ctx, admin)
		if err != nil {
			return err
		}
		var names []string
		for _, t := range existing.Sorted() {
			short, ours := strings.CutPrefix(t.Topic, cfg.TopicPrefix)
			if !ours || strings.HasPrefix(t.Topic, "__") || t.Err != nil { // an error: deleted a moment ago
				continue
			}
			names = append(names, t.Topic)
			infos = append(infos, TopicInfo{Name: short, Partitions: int32(len(t.Partitions)),
				ReplicationFactor: int16(t.Partitions.NumReplicas()), Configs: map[string]string{}})
		}
		if len(names) == 0 {
			return nil
		}
		settings, err := settingsOf(ctx, client, names)
		if err != nil {
			return fmt.Errorf("list topics: %w", err)
		}
		for i, name := range names {
			maps.Copy(infos[i].Configs, settings[name])
		}
		return nil
	})
	return infos, err
}

// settingsOf returns the settings of each topic that differ from the broker's defaults. A topic whose settings are forbidden has
// an empty map. kadm's DescribeTopicConfigs would fail for all topics because of one forbidden topic.
func settingsOf(ctx context.Context, client *kgo.Client, topics []string) (map[string]map[string]string, error) {
	request := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range topics {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, name
		request.Resources = append(request.Resources, resource)
	}
	answer, err := request.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	settings := make(map[string]map[string]string, len(topics))
	for _, r := range answer.Resources {
		own := map[string]string{}
		for _, c := range r.Configs {
			if c.Value != nil && !c.IsSensitive && c.Source != kmsg.ConfigSourceDefaultConfig {
				own[c.Name] = *c.Value
			}
		}
		settings[r.ResourceName] = own
	}
	return settings, nil
}

const (
	// listAge is the shortest age at which the client replaces its list of topics. The usual 5 s hide a new topic.
	listAge = 10 * time.Millisecond
	// adminRetries bounds the attempts of a request. Attempts that time out begin for 30 s, the client's own limit, unless ctx
	// ends earlier. Attempts that are refused at once end within a second, because they are adminPause apart.
	adminRetries = 10
	adminPause   = 100 * time.Millisecond
)

// administer validates cfg, and runs fn with a connection for administration that it closes afterwards. An error is explained.
// Once ctx has ended, the error says that Kafka does not answer: the client's own error names only the call that was cut short.
func administer(ctx context.Context, cfg Config, fn func(*kadm.Client, *kgo.Client) error) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	options, err := Options(cfg.Brokers, cfg.Access)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(options, kgo.ClientID(ClientID("tool")+"-admin"), kgo.RequestRetries(adminRetries),
		kgo.RetryBackoffFn(func(int) time.Duration { return adminPause }), kgo.MetadataMinAge(listAge))...)
	if err != nil {
		return fmt.Errorf("connect to %v: %w", cfg.Brokers, err)
	}
	defer client.Close()
	err = cfg.Explain(fn(kadm.NewClient(client), client))
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("kafka at %v does not answer: %w", cfg.Brokers, ctx.Err())
	}
	// franz-go guesses from the first bytes that the peer speaks TLS or HTTP, in an error without a type and without an address.
	var known *Problem
	var answered *kerr.Error
	if err != nil && !errors.As(err, &known) && !errors.As(err, &answered) {
		return fmt.Errorf("connect to Kafka at %s: %w", strings.Join(cfg.Brokers, ","), err)
	}
	return err
}
