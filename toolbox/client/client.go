// Package client calls the three services over HTTP, as any user of the system could. It uses their public and admin
// APIs alone. The kind of each error can be found with errors.As: *UnreachableError without an answer, *Problem for a
// rejection.
//
// It repeats a request only after a 503 that names a time to come back, and only when a second one has no further effect: see
// New. Everything else the caller decides. Each request has a time limit of its own besides its context.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/wait"
)

// The services that a Client calls.
const (
	Orders        = messages.ServiceOrders
	Payments      = messages.ServicePayments
	Notifications = messages.ServiceNotifications
)

// Endpoint has the two addresses of one service.
type Endpoint struct {
	Public string // base URL of the public API, http://host:port
	Admin  string // base URL of the admin API
}

// Endpoints has the addresses of each service, by the service's name.
type Endpoints map[string]Endpoint

// Defaults returns the services' usual ports on this machine.
func Defaults() Endpoints {
	return Endpoints{
		Orders:        {Public: "http://127.0.0.1:8080", Admin: "http://127.0.0.1:9080"},
		Payments:      {Public: "http://127.0.0.1:8084", Admin: "http://127.0.0.1:9084"},
		Notifications: {Public: "http://127.0.0.1:8085", Admin: "http://127.0.0.1:9085"},
	}
}

// defaultAnswerTime bounds a request that does not ask the service to wait. A service on a busy machine may answer late.
const defaultAnswerTime = 30 * time.Second

// maxAnswer bounds the bytes that are read of an answer. A longer answer is cut, and then is no JSON.
const maxAnswer = 16 << 20

// Client calls the services. It is safe for concurrent use.
type Client struct {
	at         Endpoints
	http       *http.Client
	answerTime time.Duration
	waits      func(what string) (answered func()) // nil: nobody is there to see it
	once       bool                                // a 503 is returned at once: see NewBusy
	token      *Token                              // for the public APIs; nil = none is sent
	adminToken string                              // for the admin APIs; "" = none is sent
}

// usualConnections is how many idle connections to a service stay open for later requests.
const usualConnections = 16

// New returns a client for the services at the given endpoints. When a service answers 503 with Retry-After, because it or its
// database is busy, the client repeats the request, as long as the time for an answer lasts. It repeats only requests that
// have the same effect twice.
func New(at Endpoints) *Client {
	c := NewBusy(at, usualConnections)
	c.once = false
	return c
}

// NewBusy returns a client that keeps so many idle connections to each service. More requests at a time open further
// connections, which are closed after one request. It repeats no request: a crowd that repeats them is a larger crowd.
func NewBusy(at Endpoints, connections int) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the services are addressed directly; a proxy for the outside world must not swallow loopback
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, connections
	return &Client{at: at, http: &http.Client{Transport: transport}, answerTime: defaultAnswerTime, once: true}
}

// SetPatience bounds each request that does not ask the service to wait. waits is called with the name and address of the
// service when such a request begins, and the function that it returns when the request ends. Call SetPatience before the
// first request.
func (c *Client) SetPatience(answerTime time.Duration, waits func(what string) (answered func())) {
	c.answerTime, c.waits = answerTime, waits
}

// SetAdmin gives the client what the admin APIs ask for: a token, and for APIs over TLS the client's certificate and the
// authorities that it trusts; nil means those of this machine. Call SetAdmin before the first request.
func (c *Client) SetAdmin(token string, over *tls.Config) {
	c.adminToken = token
	c.http.Transport.(*http.Transport).TLSClientConfig = over
}

// Close drops idle connections, so that no goroutine is left behind.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Endpoint returns the addresses of a service; empty ones for an unknown service.
func (c *Client) Endpoint(service string) Endpoint { return c.at[service] }

// Answer is a service's reply when the caller needs more than the decoded body.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// call is one request. All fields but service, method and path are optional.
type call struct {
	service string
	admin   bool
	method  string
	path    string // already escaped
	query   url.Values
	header  map[string]string
	body    any
	wait    time.Duration // how long the service was asked to hold the answer
	same    bool          // a POST that has the same effect twice
	once    bool          // the caller has a use for a 503
	token   string        // of the client, for a public API
}

// pause returns how long to wait before the request may be repeated. again is false when it may not be.
func (r call) pause(answer Answer) (pause time.Duration, again bool) {
	if answer.Status != http.StatusServiceUnavailable || r.once || r.method == http.MethodPost && !r.same && r.header["Idempotency-Key"] == "" {
		return 0, false
	}
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second, err == nil && seconds > 0
}

// do sends the request and decodes a 2xx answer into out, unless out is nil. Its errors are *UnreachableError,
// *Problem, and one for an answer that is not the service's JSON. With each error but the first it also returns the
// answer.
func (c *Client) do(ctx context.Context, req call, out any) (Answer, error) {
	base := c.at[req.service].Public
	if req.admin {
		base = c.at[req.service].Admin
	}
	target := strings.TrimRight(base, "/") + req.path
	if len(req.query) > 0 {
		target += "?" + req.query.Encode()
	}
	ctx, cancel := context.WithTimeout(ctx, c.answerTime+req.wait)
	defer cancel()
	if c.waits != nil && req.wait == 0 {
		defer c.waits(req.service + " at " + base)()
	}
	answer, err := c.loggedIn(ctx, target, req)
	var noToken *TokenError
	if errors.As(err, &noToken) {
		return Answer{}, err
	}
	if err != nil {
		return Answer{}, &UnreachableError{Service: req.service, Admin: req.admin, URL: base, Err: cause(err)}
	}
	if answer.Status >= http.StatusBadRequest {
		return answer, newProblem(req, answer)
	}
	if out == nil || len(answer.Body) == 0 {
		return answer, nil
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return answer, fmt.Errorf("%s answered %s %s with something that is not its JSON: %w", req.service, req.method, req.path, err)
	}
	return answer, nil
}

// loggedIn sends the request with the client's token. When that is not accepted and its file has another one by now, the request
// is sent again: a service refuses a token before it does anything.
func (c *Client) loggedIn(ctx context.Context, target string, req call) (answer Answer, err error) {
	if c.token == nil || req.admin {
		return c.persist(ctx, target, req)
	}
	for again := range 2 {
		before := req.token
		if req.token, err = c.token.current(again > 0); err != nil {
			return Answer{}, &TokenError{err}
		}
		if req.token == before {
			break
		}
		answer, err = c.persist(ctx, target, req)
		if err != nil || answer.Status != http.StatusUnauthorized {
			break
		}
	}
	return answer, err
}

// persist sends the request until an answer other than 503 comes, or until ctx ends. Then the last answer is returned.
func (c *Client) persist(ctx context.Context, target string, req call) (Answer, error) {
	for {
		answer, err := c.send(ctx, target, req)
		if err != nil || c.once {
			return answer, err
		}
		pause, again := req.pause(answer)
		if end, _ := ctx.Deadline(); !again || time.Until(end) <= 2*pause || !wait.Sleep(ctx, pause) {
			return answer, nil
		}
	}
}

// send sends the request once, within ctx, and reads the whole answer.
func (c *Client) send(ctx context.Context, target string, req call) (Answer, error) {
	resp, err := c.open(ctx, target, req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Answer{}, err
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: content}, nil
}

// open sends the request and returns the answer, whose body the caller closes.
func (c *Client) open(ctx context.Context, target string, req call) (*http.Response, error) {
	var body io.Reader
	if req.body != nil {
		encoded, err := json.Marshal(req.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, req.method, target, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range req.header {
		r.Header.Set(name, value)
	}
	switch {
	case req.token != "":
		r.Header.Set("Authorization", "Bearer "+req.token)
	case req.admin && c.adminToken != "":
		r.Header.Set("Authorization", "Bearer "+c.adminToken)
	}
	return c.http.Do(r)
}

// Ready asks the service's admin port for its readiness. The error names the checks that fail.
func (c *Client) Ready(ctx context.Context, service string) error {
	_, err := c.do(ctx, call{service: service, admin: true, method: http.MethodGet, path: "/readyz", once: true}, nil)
	return err
}

// cause returns the reason of a failed request without the method and address that net and net/http repeat.
func cause(err error) error {
	var timeout net.Error
	var number syscall.Errno
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	case errors.As(err, &number):
		return number
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// page is one page of a list. An empty NextCursor marks the last one.
type page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// list reads all pages of a list, up to limit items (0 = all). An error on any page drops the pages before it. It
// changes req.query, so a caller must not use the same values twice.
func list[T any](ctx context.Context, c *Client, req call, limit int) ([]T, error) {
	all := []T{}
	if req.query == nil {
		req.query = url.Values{}
	}
	for {
		var p page[T]
		if _, err := c.do(ctx, req, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
		if p.NextCursor == "" || len(p.Items) == 0 {
			return all, nil
		}
		req.query.Set("cursor", p.NextCursor)
	}
}
