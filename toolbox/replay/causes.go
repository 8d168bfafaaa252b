package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/toolbox/feed"
)

// causes finds out whether something else than the replay may have changed a row. Its use has three steps: suspect
// names every row that differs, read collects the messages about these rows, and explained judges each row. One
// goroutine uses it. Memory grows with the rows that differ, not with the topics.
type causes struct {
	service string
	kafka   kafka.Config
	groups  []group
	trusted *signing.Keys

	asked map[string]bool            // the suspects, by order or message id
	old   map[string]map[string]bool // ids of messages about a suspect that the service had handled before
	fresh map[string]map[string]bool // and of those that it had not handled
	gone  map[[16]byte]bool          // tombstones of suspects that retention has removed
}

// newCauses takes the groups with the offsets that they had committed at the pause.
func newCauses(service string, kafka kafka.Config, groups []group, trusted *signing.Keys) *causes {
	return &causes{service: service, kafka: kafka, groups: groups, trusted: trusted, asked: map[string]bool{},
		old: map[string]map[string]bool{}, fresh: map[string]map[string]bool{}}
}

// suspect adds a row that differs. A row that names no order and no message cannot be explained by one.
func (c *causes) suspect(ch change) {
	for _, r := range []*row{ch.was, ch.is} {
		if r != nil && r.about != "" {
			c.asked[r.about] = true
		}
	}
}

// explained reports whether something else than the replay explains the change. The rules, in this order:
//
//  0. The row is gone, and retention has removed its order or its payment.
//  1. A dead letter was added for a record that the service had not handled before. Other changes of dead letters count.
//  2. The row reached its present state without a message, and had not done so before.
//  3. One of the row's messages is new. A later copy of an old message is not: its id is among the old ones.
func (c *causes) explained(ch change) bool {
	r := ch.is
	if r == nil {
		r = ch.was
	}
	if ch.is == nil && c.gone[retention.ID(r.about)] {
		return true
	}
	if tables(c.service)[r.table].positions {
		return ch.was == nil && c.isNew(r.key)
	}
	if ch.is != nil && ch.is.alone != "" && (ch.was == nil || ch.was.alone != ch.is.alone) {
		return true
	}
	for id := range c.fresh[r.about] {
		if !c.old[r.about][id] {
			return true
		}
	}
	return false
}

// removedSQL reads the tombstones of the service that has the schema.
const removedSQL = `SELECT id FROM %s.audit_removed WHERE id = ANY($1::uuid[])`

// readRemoved reads which suspects retention has removed. Notifications keep their rows.
func (c *causes) readRemoved(ctx context.Context, databaseURL string) error {
	if c.service == messages.ServiceNotifications {
		return nil
	}
	conn, err := pgdb.ConnectShared(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("connect to the database of %s: %w", c.service, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	found, err := conn.Query(ctx, fmt.Sprintf(removedSQL, pgx.Identifier{c.service}.Sanitize()), retention.IDs(slices.Collect(maps.Keys(c.asked))))
	if err == nil {
		c.gone = map[[16]byte]bool{}
		var id [16]byte
		_, err = pgx.ForEachRow(found, []any{&id}, func() error {
			c.gone[id] = true
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("read what retention removed of %s: %w", c.service, err)
	}
	return nil
}

// isNew reports whether the record at a position, written topic/partition@offset, was not handled before the pause. A
// position in a topic that the service does not read, and one that cannot be parsed, is not new: the difference counts
// then.
func (c *causes) isNew(position string) bool {
	place, at, _ := strings.Cut(position, "@")
	offset, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return false
	}
	for _, g := range c.groups {
		if number, ok := strings.CutPrefix(place, g.Topic+"/"); ok {
			partition, err := strconv.ParseInt(number, 10, 32)
			return err == nil && offset >= g.committed[int32(partition)]
		}
	}
	return false
}

// read reads the service's topics from their beginning to their present ends, and collects the messages about the
// suspects. A message that retention has deleted is missing: its change then counts as a difference, or a copy of it
// counts as new.
func (c *causes) read(ctx context.Context) error {
	cfg := feed.Config{Kafka: c.kafka, Start: feed.Start{Beginning: true}, OpenTime: openTime}
	cfg.Kafka.TopicPrefix, cfg.Kafka.GroupPrefix = "", "" // the service says the whole names
	contract := map[string]group{}
	for _, g := range c.groups {
		cfg.Topics = append(cfg.Topics, g.KafkaTopic)
		contract[g.KafkaTopic] = g
	}
	f, err := feed.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		records, err := f.Poll(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("look for what else changed the rows: %w", err)
		}
		for _, r := range records {
			c.note(r, contract[r.Topic])
		}
	}
}

// note adds a record's message to the old or the new ones, if it is about a suspect. A record that the service would
// park, or whose event it does not handle, cannot change a row.
func (c *causes) note(r *kgo.Record, g group) {
	r.Topic = g.Topic // as the contract calls it
	m, err := c.trusted.Decode(feed.Record(r))
	if err != nil || !messages.Consumes(c.service, m.Event.EventName()) {
		return
	}
	into := c.old
	if r.Offset >= g.committed[r.Partition] {
		into = c.fresh
	}
	for _, about := range []string{m.Event.Order(), m.ID} {
		if !c.asked[about] {
			continue
		}
		if into[about] == nil {
			into[about] = map[string]bool{}
		}
		into[about][m.ID] = true
	}
}
