package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/hint"
	toolkafka "pasdetrois/toolbox/kafka"
)

// kafkaFlags are the flags for the address of Kafka and the prefix of topics.
type kafkaFlags struct {
	brokers []string
	prefix  string
}

// add adds the flags to a command and its subcommands.
func (f *kafkaFlags) add(cmd *cobra.Command) { f.addTo(cmd.PersistentFlags()) }

// flagSet is the part of a pflag.FlagSet that the flags need.
type flagSet interface {
	StringSliceVar(p *[]string, name string, value []string, usage string)
	StringVar(p *string, name, value, usage string)
}

// addTo adds the flags to one set, for commands whose subcommands do not use Kafka.
func (f *kafkaFlags) addTo(flags flagSet) {
	f.addBrokers(flags)
	flags.StringVar(&f.prefix, "topic-prefix", "", "put before every topic's name (default $KAFKA_TOPIC_PREFIX)")
}

// addBrokers adds --brokers only, for commands that take the prefix from elsewhere.
func (f *kafkaFlags) addBrokers(flags flagSet) {
	flags.StringSliceVar(&f.brokers, "brokers", nil, "bootstrap addresses, host:port (default $KAFKA_BROKERS, else localhost:9092)")
}

// kafka reads the same variables as the services, each also as …_FILE. Flags come first. An error about brokers
// names --brokers when that flag was given, since the user does not see the variable.
func (a *app) kafka(f kafkaFlags) (kafka.Config, error) {
	cfg, err := run.Parse[kafka.Config](a.Environ)
	if len(f.brokers) > 0 {
		cfg.Brokers = f.brokers
	}
	if f.prefix != "" {
		cfg.TopicPrefix = f.prefix
	}
	if err = errors.Join(err, cfg.Validate()); err != nil {
		text := err.Error()
		if len(f.brokers) > 0 {
			text = strings.ReplaceAll(text, "KAFKA_BROKERS", "--brokers")
		}
		return cfg, usagef("%s", text)
	}
	return cfg, nil
}

// withKafka makes a command's RunE that gets Kafka's configuration and the patience for all of its requests.
func (a *app) withKafka(f *kafkaFlags, run func(ctx context.Context, cfg kafka.Config, given []string) error) func(*cobra.Command, []string) error {
	return a.runs(func(cmd *cobra.Command, given []string) error {
		cfg, err := a.kafka(*f)
		if err != nil {
			return err
		}
		ctx, cancel := a.patient(cmd.Context(), kafkaAt(cfg))
		defer cancel()
		return run(ctx, cfg, given)
	})
}

// topics makes `pas topics`. The flags of Kafka are persistent, so each subcommand has them. An operator
// creates topics, and the services never do: a later change of the number of partitions moves orders to other
// partitions.
func (a *app) topics() *cobra.Command {
	flags := &kafkaFlags{}
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "Create, list and describe the four topics",
		Long: `The services use four topics and never create one: how many partitions and copies a topic has is a decision.
Adding partitions later moves orders to other partitions, so choose enough at once.`,
		Example: `  pas topics create --brokers kafka:9092 --replication-factor 3
  pas topics list
  pas topics describe orders --json`,
	}
	asGroup(cmd)
	flags.add(cmd)
	cmd.AddCommand(a.topicsCreate(flags), a.topicsList(flags), a.topicsDescribe(flags))
	return cmd
}

func partitions(n int32) string {
	if n == 1 {
		return "1 partition"
	}
	return fmt.Sprintf("%d partitions", n)
}

// topicView is a topic as --json shows it. list has the first three fields only.
type topicView struct {
	Name              string            `json:"name"`
	Partitions        int32             `json:"partitions"`
	ReplicationFactor int16             `json:"replication_factor"`
	Configs           map[string]string `json:"configs,omitempty"`
	HeldBack          []heldBackView    `json:"held_back,omitempty"`
}

// heldBackView is a partition whose last records no consumer gets yet, because a transaction is open.
type heldBackView struct {
	Partition int32 `json:"partition"`
	Records   int64 `json:"records"`
}

// topicsList makes `pas topics list`. It lists all topics with the prefix, not the four only.
func (a *app) topicsList(flags *kafkaFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the topics that exist",
		Example: `  pas topics list --brokers localhost:9092`,
		Args:    args(cobra.NoArgs),
		RunE: a.withKafka(flags, func(ctx context.Context, cfg kafka.Config, _ []string) error {
			infos, err := kafka.ListTopics(ctx, cfg)
			if err != nil {
				return toolkafka.Explain(cfg, err)
			}
			if a.json {
				return a.printer().JSON(map[string]any{"items": views(infos)})
			}
			if len(infos) == 0 {
				a.printer().Line("No topics: create them with `pas topics create`.")
				return nil
			}
			rows := make([][]string, len(infos))
			for i, t := range infos {
				rows[i] = []string{t.Name, strconv.Itoa(int(t.Partitions)), strconv.Itoa(int(t.ReplicationFactor))}
			}
			a.printer().Table([]string{"topic", "partitions", "replicas"}, rows, "partitions", "replicas")
			return nil
		}),
	}
}

func views(infos []kafka.TopicInfo) []topicView {
	list := make([]topicView, len(infos))
	for i, t := range infos {
		list[i] = topicView{Name: t.Name, Partitions: t.Partitions, ReplicationFactor: t.ReplicationFactor, Configs: t.Configs}
	}
	return list
}

// topicsDescribe makes `pas topics describe`. An open transaction stops every consumer of a partition silently,
// so this command reports the records behind one.
func (a *app) topicsDescribe(flags *kafkaFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "describe [TOPIC…]",
		Short: "Describe the four topics, or those named: partitions, copies, settings, records behind an open transaction",
		Example: `  pas topics describe
  pas topics describe orders --json`,
		RunE: a.withKafka(flags, func(ctx context.Context, cfg kafka.Config, names []string) error {
			if len(names) == 0 {
				names = messages.TopicNames()
			}
			infos, err := kafka.ListTopics(ctx, cfg)
			if err != nil {
				return toolkafka.Explain(cfg, err)
			}
			var found []kafka.TopicInfo
			for _, name := range names {
				i := slices.IndexFunc(infos, func(t kafka.TopicInfo) bool { return t.Name == name })
				if i < 0 {
					return hint.Add(fmt.Errorf("there is no topic %q", cfg.TopicPrefix+name), "create the four topics with `pas topics create`%s", toolkafka.Unseen(cfg))
				}
				found = append(found, infos[i])
			}
			// A short transaction appears here as well; only one that stays is a problem.
			held, err := feed.HeldBack(ctx, cfg, names)
			if err != nil {
				return toolkafka.Explain(cfg, err)
			}
			if a.json {
				items := views(found)
				for i := range items {
					for _, w := range held {
						if w.Topic == items[i].Name {
							items[i].HeldBack = append(items[i].HeldBack, heldBackView{w.Partition, w.Records})
						}
					}
				}
				return a.printer().JSON(map[string]any{"items": items})
			}
			p := a.printer()
			for _, t := range found {
				p.Line("%s  %s, replication factor %d", p.Bold(cfg.TopicPrefix+t.Name), partitions(t.Partitions), t.ReplicationFactor)
				for _, key := range slices.Sorted(maps.Keys(t.Configs)) {
					p.Line("  %s = %s", key, t.Configs[key])
				}
			}
			for _, w := range held {
				p.Line("%s. If this stays, find and end it with kafka-transactions.sh.", w)
			}
			return nil
		}),
	}
}
