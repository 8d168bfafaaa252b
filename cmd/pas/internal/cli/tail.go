package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/tail"
)

// tailView is a record as --json shows it. Bytes that are not UTF-8 are base64 in a field of another name. A
// readable value is in Value as JSON; an unreadable one in Text or ValueBase64. A missing key differs from an
// empty one.
type tailView struct {
	Topic       string              `json:"topic"`
	Partition   int32               `json:"partition"`
	Offset      int64               `json:"offset"`
	Time        time.Time           `json:"time"`
	Key         *string             `json:"key,omitempty"`
	KeyBase64   []byte              `json:"key_base64,omitempty"`
	Event       string              `json:"event,omitempty"`
	NotSigned   bool                `json:"not_signed,omitempty"`
	Headers     []map[string]string `json:"headers,omitempty"`
	Value       json.RawMessage     `json:"value,omitempty"`
	Text        *string             `json:"text,omitempty"`
	ValueBase64 []byte              `json:"value_base64,omitempty"`
}

// tail makes `pas tail`. Alone it joins no consumer group and commits nothing, so it disturbs no service. With
// --group it commits, and a later run resumes there.
//
// Filters are combined with AND. A record without readable fields meets no filter on fields; the summary counts
// it as unreadable.
func (a *app) tail() *cobra.Command {
	kafka, start := &kafkaFlags{}, &startFlags{}
	var filter tail.Filter
	var grep, group string
	var most int
	var headers bool
	cmd := &cobra.Command{
		Use:   "tail TOPIC…",
		Short: "Show what comes over topics, filtered and coloured",
		Long: `Show the records of one or more topics as they come, until Ctrl-C: time, topic/partition@offset, event, key, value.
Alone it starts with what comes from now on and leaves no trace; --group joins a consumer group, which begins where it
stopped the last time.

Values and events are read as the services read them. A record whose type no service acts on is shown as "unknown: TYPE";
--event unknown selects all of these.

Filters can be combined; a record must meet all. A value that is no JSON object, or that has a key twice, has no fields:
--order, --user and --event skip it, without them it is shown as it is. The summary goes to standard error; it says how many
records were unreadable and how many had no value. With EVENT_TRUSTED_KEYS, as the services have it, events that move money are
marked when no trusted key has signed them. With --json, each record is one JSON document on one line.`,
		Example: `  pas tail orders payments order-failures
  pas tail payments --since 10m --event payment_captured,payment_refunded
  pas tail orders payments notifications --from-beginning --no-follow --order 1001 --headers
  pas tail web-events --grep 'sku.*swan' --max 5 --json
  pas tail orders --group watchers --from-beginning`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: a.runs(func(cmd *cobra.Command, topics []string) error {
			cfg, err := a.feed(kafka, start, topics)
			if err != nil {
				return err
			}
			switch {
			case most < 0:
				return usagef("--max %d is less than 0", most)
			// A group's members share the partitions, so one member cannot find the end of a topic.
			case group != "" && !cfg.Follow:
				return usagef("--no-follow reads alone: leave out --group")
			// Kafka would give this command partitions of the service, whose records it would then miss.
			case slices.Contains(stack.Groups(a.Environ["KAFKA_GROUP_PREFIX"]), group):
				return usagef("--group %q belongs to a service that would lose messages: choose another name", group)
			}
			if filter.Grep, err = pattern(grep); err != nil {
				return usagef("--grep %q is no regular expression: %s", grep, err)
			}
			if cfg.Trusted, err = a.trusted(); err != nil {
				return err
			}
			cfg.Group = group
			// JSON is not escaped for HTML: <, > and & in values stay readable.
			p, out := a.printer(), json.NewEncoder(a.Stdout)
			out.SetEscapeHTML(false)
			answered := a.waits(kafkaAt(cfg.Kafka))
			summary, err := tail.Run(cmd.Context(), tail.Config{
				Feed: cfg, Filter: filter, Max: most,
				Ready: func() {
					answered()
					a.note("Reading %s; Ctrl-C ends.", strings.Join(topics, ", "))
				},
				Show: func(r tail.Record) error {
					if a.json {
						return out.Encode(viewRecord(r, headers))
					}
					showRecord(p, r, headers)
					return nil
				},
				PassOver: a.notePassed,
			})
			answered()
			if err != nil {
				return err
			}
			a.note("Read %d: %d shown, %d skipped; %d unreadable%s.%s", summary.Read, summary.Shown, summary.Skipped, summary.Unreadable,
				empty(summary.Empty), passedOver(summary.PassedOver))
			a.noteWaiting(summary.Waiting)
			return nil
		}),
	}
	kafka.add(cmd)
	start.add(cmd)
	f := cmd.Flags()
	f.StringVar(&group, "group", "", "join this consumer group instead of reading alone")
	f.StringVar(&grep, "grep", "", "only records whose key or value matches this regular expression")
	f.StringVar(&filter.Order, "order", "", "only records of the order with this id")
	f.StringVar(&filter.User, "user", "", "only records of this user")
	f.StringSliceVar(&filter.Events, "event", nil, "only these events, such as payment_captured,payment_failed")
	f.BoolVar(&headers, "headers", false, "show the headers as well")
	f.IntVar(&most, "max", 0, "end after so many shown records (0 = never)")
	return cmd
}

// pattern compiles --grep. "" means no filter. The error loses the prefix of the regexp package.
func pattern(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return compiled, nil
}

// note writes a line beside the requested output, to standard error, so that a pipe gets records only.
func (a *app) note(format string, args ...any) {
	p := render.New(a.Stderr, a.colour, a.Environ)
	p.Line("%s", p.Dim(fmt.Sprintf(format, args...)))
}

// empty returns the count of records without a value, as part of a summary; it is "" for 0.
func empty(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d without a value", n)
}

// showRecord writes one line for a record, with local time, and one line for each header. An unreadable value
// is shown as escaped text, with the reason in front.
func showRecord(p *render.Printer, r tail.Record, headers bool) {
	value := render.Plain(string(r.Value))
	switch {
	case r.Value == nil:
		value = p.Dim("(no value)")
	case r.Unreadable == messages.ReasonNotJSON:
		value = p.Dim("(no JSON) ") + value
	case r.Unreadable != "":
		value = p.Dim("("+strings.ReplaceAll(r.Unreadable, "_", " ")+") ") + value
	}
	if r.NotSigned {
		value = p.Bad("(not signed) ") + value
	}
	event, key := r.Event, ""
	if event == "" {
		event = "-"
	}
	if r.Key != nil {
		key = "  key=" + render.Plain(string(r.Key))
	}
	p.Line("%s  %s/%d@%d  %s%s  %s", p.Dim(r.Time.Local().Format("2006-01-02 15:04:05.000")), r.Topic, r.Partition, r.Offset,
		p.Event(render.Plain(event)), key, value)
	if headers {
		for _, h := range r.Headers {
			p.Line("    %s", p.Dim(render.Plain(h.Key)+": "+render.Plain(h.Value)))
		}
	}
}

// viewRecord makes the JSON of a record. Headers are a list, since Kafka allows a name twice.
func viewRecord(r tail.Record, headers bool) tailView {
	view := tailView{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Time.UTC(), Event: r.Event, NotSigned: r.NotSigned}
	view.Key, view.KeyBase64 = textOrBytes(r.Key)
	if r.Unreadable == "" {
		view.Value = r.Value
	} else {
		view.Text, view.ValueBase64 = textOrBytes(r.Value)
	}
	if headers {
		for _, h := range r.Headers {
			view.Headers = append(view.Headers, map[string]string{"key": h.Key, "value": h.Value})
		}
	}
	return view
}

// textOrBytes returns b as text when it is UTF-8, and as bytes otherwise. For nil both results are nil.
func textOrBytes(b []byte) (*string, []byte) {
	switch {
	case b == nil:
		return nil, nil
	case !utf8.Valid(b):
		return nil, b
	}
	s := string(b)
	return &s, nil
}
