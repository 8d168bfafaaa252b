package bus

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/httpx"
)

// StatusBody is a Status in the admin API.
type StatusBody struct {
	State       string      `json:"state" enum:"starting,consuming,pausing,paused"`
	PausedUntil *time.Time  `json:"paused_until,omitempty" doc:"When a pause ends by itself"`
	InWork      int         `json:"in_work" doc:"Messages in work just now"`
	Groups      []GroupBody `json:"groups"`
}

// GroupBody is a Group in the admin API.
type GroupBody struct {
	Group      string `json:"group"`
	KafkaTopic string `json:"kafka_topic" doc:"The topic's name on the brokers, with KAFKA_TOPIC_PREFIX"`
	Topic      string `json:"topic"`
}

type statusOutput struct{ Body StatusBody }

type pauseInput struct {
	For int `query:"for" minimum:"1" maximum:"3600" default:"60" doc:"Seconds after which the service consumes again by itself"`
}

// Auditor keeps who paused and resumed. auditlog.Log is one.
type Auditor interface {
	Add(ctx context.Context, entries ...auditlog.Entry) error
}

// Register adds GET /consumers, POST /consumers/pause and POST /consumers/resume to the admin API. A pause is a lease: it
// ends by itself unless the caller asks again, so a caller that goes away leaves no service paused. Both POST requests answer
// before they have taken effect; the caller polls GET /consumers for the state.
//
// A pause has an entry in the audit log, committed before it begins, and so has the end of a pause by request. While the
// database is away, both are refused with 503: no change may be without an entry. An actor who makes the own pause longer adds no
// entry: a tool does so every few seconds.
func Register(api huma.API, c *Consumer, log Auditor) {
	p := &operator{consumer: c, log: log}
	tags := []string{"consumers"}
	answer := func() (*statusOutput, error) { return &statusOutput{Body: statusBody(c.Status())}, nil }
	httpx.Register(api, huma.Operation{OperationID: "get-consumers", Method: http.MethodGet, Path: "/consumers",
		Summary: "Show the consumer groups and whether they are at work", Tags: tags},
		func(context.Context, *struct{}) (*statusOutput, error) { return answer() })
	httpx.Register(api, huma.Operation{OperationID: "pause-consumers", Method: http.MethodPost, Path: "/consumers/pause",
		DefaultStatus: http.StatusAccepted, Summary: "Stop consuming and leave the consumer groups for a while", Tags: tags,
		Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable},
		Description: "What is in work is finished first; `state` is `paused` when the groups are left. Asking again makes the pause end later. " +
			"Only this replica pauses, and it still answers requests."},
		func(ctx context.Context, in *pauseInput) (*statusOutput, error) {
			if err := p.pause(ctx, time.Duration(in.For)*time.Second); err != nil {
				return nil, err
			}
			return answer()
		})
	httpx.Register(api, huma.Operation{OperationID: "resume-consumers", Method: http.MethodPost, Path: "/consumers/resume",
		DefaultStatus: http.StatusAccepted, Summary: "End a pause", Tags: tags, Errors: []int{http.StatusServiceUnavailable}},
		func(ctx context.Context, _ *struct{}) (*statusOutput, error) {
			if err := p.resume(ctx); err != nil {
				return nil, err
			}
			return answer()
		})
}

// operator pauses and resumes on request, with an entry in the audit log for each change.
type operator struct {
	consumer *Consumer
	log      Auditor

	mu sync.Mutex
	by auditlog.Actor // of the last pause
}

func (p *operator) pause(ctx context.Context, lease time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	by := auditlog.Of(ctx)
	if by != p.by || p.consumer.Status().PausedUntil.IsZero() {
		if err := p.add(ctx, "consumers.pause", map[string]any{"seconds": int(lease.Seconds())}); err != nil {
			return err
		}
	}
	p.by = by
	p.consumer.Pause(time.Now().Add(lease))
	return nil
}

func (p *operator) resume(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.consumer.Status().PausedUntil.IsZero() {
		if err := p.add(ctx, "consumers.resume", nil); err != nil {
			return err
		}
	}
	p.consumer.Resume()
	return nil
}

// add commits an entry whose subject is this replica.
func (p *operator) add(ctx context.Context, operation string, details map[string]any) error {
	ctx, cancel := httpx.Bounded(ctx)
	defer cancel()
	err := p.log.Add(ctx, auditlog.Entry{Operation: operation, Subject: cmp.Or(p.consumer.replica, p.consumer.cfg.Service), Details: details})
	if err != nil {
		p.consumer.cfg.Log.Warn("the consumers stay as they are: the audit log does not take the entry", "err", err)
		return httpx.Unavailable("the database does not answer, and no change may be without an entry in the audit log", int(httpx.RetryAfter.Seconds()))
	}
	return nil
}

func statusBody(s Status) StatusBody {
	body := StatusBody{State: s.State, InWork: s.InWork, Groups: make([]GroupBody, len(s.Groups))}
	for i, g := range s.Groups {
		body.Groups[i] = GroupBody(g)
	}
	if !s.PausedUntil.IsZero() {
		until := s.PausedUntil.UTC()
		body.PausedUntil = &until
	}
	return body
}
