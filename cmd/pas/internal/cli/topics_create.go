package cli

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/kafka"
	toolkafka "pasdetrois/toolbox/kafka"
)

// maxPartitions is a guard against typing errors: partitions cannot be removed again.
const maxPartitions = 10_000

// topicName matches the names that Kafka accepts for topics.
var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)

// topicsCreate makes `pas topics create`. It only adds missing topics. An existing one is never changed,
// because more partitions would move orders to other partitions; its differences are shown together with the
// command that changes them.
func (a *app) topicsCreate(flags *kafkaFlags) *cobra.Command {
	var replication, minISR int16
	var partitions []string
	cmd := &cobra.Command{
		Use:   "create [TOPIC…]",
		Short: "Create those of the four topics, or of those named, that are missing",
		Long: `Create those of the four topics that are missing: orders with 6 partitions, payments, notifications and
order-failures with 3 each. With names, create those topics instead: one that is none of the four needs --partitions.
The four take batches of at most 128 KiB (max.message.bytes) and keep them for 7 days (retention.ms).
Running it again changes nothing: it says which existing topic has other settings, and the command that changes them.
A topic with fewer partitions than asked is an error.`,
		Example: `  pas topics create
  pas topics create --brokers kafka-1:9092,kafka-2:9092 --replication-factor 3 --min-isr 2
  pas topics create --partitions orders=12,payments=6
  pas topics create web-events --partitions 1`,
		RunE: a.withKafka(flags, func(ctx context.Context, cfg kafka.Config, names []string) error {
			if replication < 1 && replication != -1 {
				return usagef("--replication-factor %d is less than 1", replication)
			}
			// With -1 the cluster decides the number of copies, so min-isr cannot be compared with it.
			if minISR < 0 || replication > 0 && minISR > replication {
				return usagef("--min-isr %d is not between 0 and the replication factor %d", minISR, replication)
			}
			specs, err := topicSpecs(names, replication, partitions)
			if err != nil {
				return err
			}
			for i := range specs {
				specs[i].MinISR = minISR
			}
			created, err := kafka.CreateTopics(ctx, cfg, specs)
			if err != nil {
				return toolkafka.Explain(cfg, err)
			}
			// The comparison needs existing topics, so it comes after the creation.
			different, err := kafka.DifferentTopics(ctx, cfg, specs)
			if err != nil {
				return toolkafka.Explain(cfg, err)
			}
			return a.showCreated(cfg, specs, created, different)
		}),
	}
	cmd.Flags().Int16Var(&replication, "replication-factor", 1, "copies of each partition: 3 on a real cluster, -1 = what the cluster is set to")
	cmd.Flags().Int16Var(&minISR, "min-isr", 0, "copies that a write waits for: 2 of 3 (0 = what the cluster is set to)")
	cmd.Flags().StringSliceVar(&partitions, "partitions", nil, "numbers of partitions: 1 for all, or such as orders=12,payments=6")
	return cmd
}

// topicSpecs returns the named topics, or the four, with the given numbers of partitions. Later values of
// --partitions override earlier ones. A topic without any number is an error: there is no default that suits
// every topic.
func topicSpecs(names []string, replication int16, partitions []string) ([]kafka.TopicSpec, error) {
	specs, err := namedSpecs(names, replication)
	if err != nil {
		return nil, err
	}
	known := make([]string, len(specs))
	for i, s := range specs {
		known[i] = s.Name
	}
	for _, given := range partitions {
		name, number, one := strings.Cut(given, "=")
		if !one {
			// A number alone counts for every topic.
			name, number = "", given
		}
		n, err := strconv.Atoi(number)
		switch {
		case err != nil:
			return nil, usagef("--partitions %q is neither a number nor TOPIC=NUMBER", given)
		case one && !slices.Contains(known, name):
			return nil, usagef("--partitions names %q, which is not one of %s", name, strings.Join(known, ", "))
		case n < 1 || n > maxPartitions:
			return nil, usagef("--partitions %s is not between 1 and %d", given, maxPartitions)
		}
		for i := range specs {
			if !one || specs[i].Name == name {
				specs[i].Partitions = int32(n)
			}
		}
	}
	for _, s := range specs {
		if s.Partitions == 0 {
			return nil, usagef("say how many partitions %s shall have: --partitions 1", s.Name)
		}
	}
	return specs, nil
}

// namedSpecs returns the named topics, once each. One of the four keeps its settings; any other has 0
// partitions for now.
func namedSpecs(names []string, replication int16) ([]kafka.TopicSpec, error) {
	four := stack.Topics(replication)
	if len(names) == 0 {
		return four, nil
	}
	var specs []kafka.TopicSpec
	for _, name := range names {
		if !topicName.MatchString(name) || name == "." || name == ".." {
			return nil, usagef("%q is no topic's name: use letters, digits, '.', '_' and '-'", name)
		}
		if slices.ContainsFunc(specs, func(s kafka.TopicSpec) bool { return s.Name == name }) {
			continue
		}
		spec := kafka.TopicSpec{Name: name, ReplicationFactor: replication}
		if i := slices.IndexFunc(four, func(s kafka.TopicSpec) bool { return s.Name == name }); i >= 0 {
			spec = four[i]
		}
		specs = append(specs, spec)
	}
	return specs, nil
}
