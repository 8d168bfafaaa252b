package rest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// consumers are all instances, each under its group and name. An instance leaves the map before it ends: its name is
// free at once, and no call finds an ending instance. ending counts the instances between the two.
type consumers struct {
	server *Server
	mu     sync.Mutex
	all    map[instanceID]*entry
	ending sync.WaitGroup // instances that are leaving their groups
}

// instanceID is an instance's name in its group. The owner is the name of the token that made it: instances of other tokens do not
// exist for a caller.
type instanceID struct{ owner, group, name string }

// idOf returns the instance of the path, if the caller made it.
func idOf(r *http.Request) instanceID {
	return instanceID{granted(r.Context()).name, r.PathValue("group"), r.PathValue("instance")}
}

// entry is an instance and its use, which consumers.mu guards. An instance with a call in work is not idle, however
// long the call takes.
type entry struct {
	*instance
	calls int
	last  time.Time // when the last call ended
}

func newConsumers(s *Server) *consumers {
	return &consumers{server: s, all: map[instanceID]*entry{}}
}

// createRequest is the body of the call that makes an instance. Numbers and booleans may arrive as text, as guides
// write them. Every field may be missing.
type createRequest struct {
	ID             *string `json:"id"` // the older name of name; it wins over name
	Name           *string `json:"name"`
	Format         *string `json:"format"`
	OffsetReset    *string `json:"auto.offset.reset"`
	AutoCommit     any     `json:"auto.commit.enable"`
	FetchMinBytes  any     `json:"fetch.min.bytes"`
	RequestTimeout any     `json:"consumer.request.timeout.ms"`
}

type createAnswer struct {
	InstanceID string `json:"instance_id"`
	BaseURI    string `json:"base_uri"`
}

// createConsumer makes an instance, which does not connect to Kafka before its subscription. Without a name it gets a
// random one. A name that is in use is answered with 409, one instance too many with 503.
func (s *Server) createConsumer(ctx context.Context, r *http.Request, in *createRequest) (any, error) {
	if in == nil {
		in = &createRequest{}
	}
	by := granted(ctx)
	id := instanceID{owner: by.name, group: r.PathValue("group"), name: "rest-consumer-" + uuid.NewString()}
	switch {
	case in.ID != nil:
		id.name = *in.ID
	case in.Name != nil:
		id.name = *in.Name
	}
	if id.name == "" || len(id.name) > maxName || len(id.group) > maxName {
		return nil, failed(codeConsumerConfig, "Invalid consumer configuration: the names of a group and an instance have 1 to %d characters", maxName)
	}
	settings, err := in.settings()
	if err != nil {
		return nil, err
	}
	if slices.Contains(s.cfg.Reserved, id.group) {
		return nil, failed(codeForbidden, "Group %q belongs to a service that would lose messages: choose another name.", id.group)
	}
	if !strings.HasPrefix(id.group, by.groups) {
		return nil, failed(codeForbidden, "With this token the name of a group begins with %q.", by.groups)
	}
	if err := s.consumers.add(id, settings); err != nil {
		return nil, err
	}
	s.counts.created.Add(1)
	s.cfg.Log.Info("consumer instance created", "group", id.group, "instance", id.name)
	return createAnswer{InstanceID: id.name,
		BaseURI: s.base(r) + "/consumers/" + url.PathEscape(id.group) + "/instances/" + url.PathEscape(id.name)}, nil
}

// base returns the address by which the client reaches this server. Behind a proxy that is Config.BaseURL. The headers
// X-Forwarded-… are never read, because a client can send them as well.
func (s *Server) base(r *http.Request) string {
	if s.cfg.BaseURL != "" {
		return strings.TrimRight(s.cfg.BaseURL, "/")
	}
	return "http://" + r.Host
}

// deleteConsumer ends the call in work, commits, leaves the group and answers then. A second DELETE is answered with
// 404.
func (s *Server) deleteConsumer(w http.ResponseWriter, r *http.Request) error {
	id := idOf(r)
	found := s.consumers.remove(id)
	if found == nil {
		return instanceNotFound()
	}
	defer s.consumers.ending.Done()
	found.end()
	s.cfg.Log.Info("consumer instance deleted", "group", id.group, "instance", id.name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// add makes an instance, unless the name is taken or there are too many. Instances that are ending do not count.
func (c *consumers) add(id instanceID, settings settings) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.all[id]; taken {
		return failed(codeInstanceExists, "Consumer instance with the specified name already exists: %q in group %q.", id.name, id.group)
	}
	if limit := c.server.cfg.MaxConsumers; len(c.all) >= limit {
		return failed(codeTooManyConsumers, "There are %d consumer instances, no more are allowed: delete one, or start with a higher --max-consumers.", limit)
	}
	c.all[id] = &entry{instance: newInstance(c.server, id, settings), last: time.Now()}
	return nil
}

// use returns the instance, which is not idle until release; nil when there is none.
func (c *consumers) use(id instanceID) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.all[id]
	if found != nil {
		found.calls++
	}
	return found
}

// release ends a use. The idle time begins anew.
func (c *consumers) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.calls--
	e.last = time.Now()
}

// remove takes the instance out of the map; nil when there is none. The caller must end it and then call ending.Done.
func (c *consumers) remove(id instanceID) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.all[id]
	if found != nil {
		delete(c.all, id)
		c.ending.Add(1)
	}
	return found
}

// sweep closes idle instances until ctx ends, and frees the records of those without a call for keepTime. Each instance
// ends in its own goroutine, because a Kafka that does not answer takes closeTime.
func (c *consumers) sweep(ctx context.Context) {
	tick := time.NewTicker(min(max(c.server.cfg.Idle/10, 5*time.Millisecond), time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, e := range c.resting(now.Add(-keepTime)) {
				e.drop()
			}
			for _, e := range c.idleSince(now.Add(-c.server.cfg.Idle)) {
				c.server.counts.expired.Add(1)
				c.server.cfg.Log.Info("consumer instance was idle and is closed", "group", e.id.group, "instance", e.id.name)
				go func() {
					defer c.ending.Done()
					e.end()
				}()
			}
		}
	}
}

// resting returns the instances that hold records and had no call since then. They stay instances.
func (c *consumers) resting(then time.Time) []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	var resting []*entry
	for _, e := range c.all {
		if e.calls == 0 && e.last.Before(then) && e.holds() {
			resting = append(resting, e)
		}
	}
	return resting
}

// idleSince takes out the instances whose last call ended before then. The caller must end each and then call
// ending.Done.
func (c *consumers) idleSince(then time.Time) []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	var idle []*entry
	for id, e := range c.all {
		if e.calls == 0 && e.last.Before(then) {
			delete(c.all, id)
			c.ending.Add(1)
			idle = append(idle, e)
		}
	}
	return idle
}

// closeAll ends every instance without a call in work, and waits for those that are ending already. The server must
// serve no more calls: an instance with one would be left out.
func (c *consumers) closeAll() {
	for _, e := range c.idleSince(time.Now().Add(time.Hour)) {
		go func() {
			defer c.ending.Done()
			e.end()
		}()
	}
	c.ending.Wait()
}
