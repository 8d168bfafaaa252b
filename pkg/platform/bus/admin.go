package bus

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

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

// Register adds GET /consumers, POST /consumers/pause and POST /consumers/resume to the admin API. A pause is a lease: it
// ends by itself unless the caller asks again, so a caller that goes away leaves no service paused. Both POST requests answer
// before they have taken effect; the caller polls GET /consumers for the state.
func Register(api huma.API, c *Consumer) {
	tags := []string{"consumers"}
	answer := func() (*statusOutput, error) { return &statusOutput{Body: statusBody(c.Status())}, nil }
	httpx.Register(api, huma.Operation{OperationID: "get-consumers", Method: http.MethodGet, Path: "/consumers",
		Summary: "Show the consumer groups and whether they are at work", Tags: tags},
		func(context.Context, *struct{}) (*statusOutput, error) { return answer() })
	httpx.Register(api, huma.Operation{OperationID: "pause-consumers", Method: http.MethodPost, Path: "/consumers/pause",
		DefaultStatus: http.StatusAccepted, Summary: "Stop consuming and leave the consumer groups for a while", Tags: tags, Errors: []int{http.StatusBadRequest},
		Description: "What is in work is finished first; `state` is `paused` when the groups are left. Asking again makes the pause end later. " +
			"Only this replica pauses, and it still answers requests."},
		func(_ context.Context, in *pauseInput) (*statusOutput, error) {
			c.Pause(time.Now().Add(time.Duration(in.For) * time.Second))
			return answer()
		})
	httpx.Register(api, huma.Operation{OperationID: "resume-consumers", Method: http.MethodPost, Path: "/consumers/resume",
		DefaultStatus: http.StatusAccepted, Summary: "End a pause", Tags: tags},
		func(context.Context, *struct{}) (*statusOutput, error) {
			c.Resume()
			return answer()
		})
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
