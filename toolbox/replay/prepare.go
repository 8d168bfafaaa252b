package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/client"
)

// UnknownTopicError says that the service does not read a topic. It is a mistake of the caller.
type UnknownTopicError struct {
	Service, Topic string
	Reads          []string
}

func (e *UnknownTopicError) Error() string {
	return fmt.Sprintf("%s does not read the topic %q: it reads %s", e.Service, e.Topic, strings.Join(e.Reads, ", "))
}

// Usage marks a mistake in the arguments.
func (e *UnknownTopicError) Usage() {}

// OtherServiceError says that another service answers at the admin URL.
type OtherServiceError struct{ Service, Admin, Group string }

func (e *OtherServiceError) Error() string {
	return fmt.Sprintf("%s is not %s: it reads as the consumer group %s", e.Admin, e.Service, e.Group)
}

// Hint says how to name the service.
func (e *OtherServiceError) Hint() string {
	return fmt.Sprintf("give the admin URL of %s with --admin or PAS_%s_ADMIN_URL", e.Service, strings.ToUpper(e.Service))
}

// serviceError adds a hint to the error of a request to the service. Its text is the error's own.
type serviceError struct {
	service string
	err     error
}

func (e *serviceError) Error() string { return e.err.Error() }
func (e *serviceError) Unwrap() error { return e.err }

// Hint says how to reach the service.
func (e *serviceError) Hint() string {
	if client.StatusOf(e.err) != 0 {
		return fmt.Sprintf("this %s may be older than this pas", e.service)
	}
	if unreachable := (*client.UnreachableError)(nil); errors.As(e.err, &unreachable) {
		return fmt.Sprintf("start the system with `pas up`, or say where the service is with --admin or PAS_%s_ADMIN_URL", strings.ToUpper(e.service))
	}
	return ""
}

// ofService wraps the error of a question to the service; nil stays nil.
func ofService(service string, err error) error {
	if err == nil {
		return nil
	}
	return &serviceError{service, err}
}

// prepare finds mistakes before anything changes: wrong URLs, replicas of different services, unknown topics, a bad
// place to begin. It also finds a Kafka or database that does not answer, and missing rights. All of it takes
// Config.OpenTime at most.
func (r *run) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.OpenTime)
	defer cancel()
	for i, replica := range r.Replicas {
		consumers, err := replica.Consumers(ctx, r.Service)
		if err != nil {
			return ofService(r.Service, err)
		}
		for _, g := range consumers.Groups {
			if !strings.HasSuffix(g.Group, r.Service+"."+g.Topic) {
				return &OtherServiceError{Service: r.Service, Group: g.Group, Admin: replica.Endpoint(r.Service).Admin}
			}
		}
		if i == 0 {
			r.all = consumers.Groups
		} else if !slices.Equal(r.all, consumers.Groups) {
			return fmt.Errorf("%s and %s are not replicas of one service: their consumer groups differ",
				r.Replicas[0].Endpoint(r.Service).Admin, replica.Endpoint(r.Service).Admin)
		}
	}
	var reads []string
	for _, g := range r.all {
		reads = append(reads, g.Topic)
		if len(r.Topics) == 0 || slices.Contains(r.Topics, g.Topic) {
			r.selected = append(r.selected, g)
		}
	}
	for _, topic := range r.Topics {
		if !slices.Contains(reads, topic) {
			return &UnknownTopicError{Service: r.Service, Topic: topic, Reads: reads}
		}
	}
	var err error
	if r.brokers, err = connect(ctx, r.Kafka); err != nil {
		return err
	}
	if err := r.plan(ctx); err != nil {
		return err
	}
	return reachable(ctx, r.Database, r.Service)
}

// plan sets the groups: those selected with targets, the others with their committed offsets alone. causes needs the
// offsets of all groups, because any of the service's topics may explain a difference.
func (r *run) plan(ctx context.Context) error {
	r.groups = nil
	for _, g := range r.all {
		var planned group
		var err error
		if slices.Contains(r.selected, g) {
			planned, err = r.brokers.plan(ctx, g, r.From, r.Only)
		} else {
			planned, err = r.brokers.far(ctx, g)
		}
		if err != nil {
			return err
		}
		r.groups = append(r.groups, planned)
	}
	return nil
}

// lookAgain plans once more after commitTime. A service commits an offset a little after it has handled the record, so
// a group may seem to have handled nothing.
func (r *run) lookAgain(ctx context.Context) error {
	if !wait.Sleep(ctx, commitTime) {
		return ctx.Err()
	}
	return r.plan(ctx)
}

// again returns the number of offsets that all groups read again.
func (r *run) again() (n int64) {
	for _, g := range r.groups {
		n += g.again()
	}
	return n
}

// reachable makes sure that the state can be read later. EXPLAIN fails for a view that is missing or may not be read,
// and reads no row.
func reachable(ctx context.Context, databaseURL, service string) error {
	conn, err := pgdb.ConnectShared(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("connect to the database of %s: %w", service, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tx, err := conn.Begin(ctx)
	if err == nil {
		_, err = tx.Exec(ctx, "SET LOCAL search_path = "+pgx.Identifier{service}.Sanitize())
	}
	for _, t := range tables(service) {
		if err == nil {
			_, err = tx.Exec(ctx, "EXPLAIN "+t.sql())
		}
	}
	if err != nil {
		return fmt.Errorf("read the database of %s: %w", service, err)
	}
	return nil
}
