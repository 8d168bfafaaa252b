package servicetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/service"
	"pasdetrois/pkg/platform/testkit"
)

// stopWithin is longer than the longest graceful stop.
const stopWithin = time.Minute

// Service is a service that runs in a World.
type Service struct {
	T             *testing.T
	Public, Admin string // URLs without a path
	Stop          func() // returns when it has stopped, which it must do without an error
}

// Start runs a service on free ports, until the test ends or Stop. base is part of the configuration that run uses.
func (w *World) Start(base *service.Base, run func(ctx context.Context) error) *Service {
	w.T.Helper()
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(w.T, err)
		return l
	}
	base.HTTPListener, base.AdminListener = listen(), listen()
	return &Service{T: w.T, Public: "http://" + base.HTTPListener.Addr().String(), Admin: "http://" + base.AdminListener.Addr().String(),
		Stop: Background(w.T, run)}
}

// Background runs a function until the test ends or stop is called, which waits for its end.
func Background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			assert.NoError(t, err)
		case <-time.After(stopWithin):
			assert.Fail(t, "it did not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

// Get returns the status and the body of an answer.
func (s *Service) Get(url string) (int, string) { return s.Do(http.MethodGet, url, "") }

// Do sends a request, with a JSON body or with "", and returns the status and the body of the answer.
func (s *Service) Do(method, url, body string) (int, string) {
	s.T.Helper()
	status, text, _, err := Fetch(s.T, method, url, body)
	require.NoError(s.T, err)
	return status, text
}

// Answers waits until GET of the URL answers with the status and a body that has every text.
func (s *Service) Answers(url string, status int, texts ...string) {
	s.T.Helper()
	testkit.Eventually(s.T, func() error {
		got, body, _, err := Fetch(s.T, http.MethodGet, url, "")
		if err != nil {
			return err
		}
		for _, text := range texts {
			if !strings.Contains(body, text) {
				return fmt.Errorf("%s does not say %s: %s", url, text, body)
			}
		}
		if got != status {
			return fmt.Errorf("%s answers %d: %s", url, got, body)
		}
		return nil
	})
}

// Ready waits until readiness answers with the status and every text.
func (s *Service) Ready(status int, texts ...string) {
	s.T.Helper()
	s.Answers(s.Admin+"/readyz", status, texts...)
	live, _ := s.Get(s.Admin + "/livez")
	require.Equal(s.T, http.StatusOK, live, "an outage of others must not have the service restarted")
}

// Fetch sends a request on a connection of its own.
func Fetch(t *testing.T, method, url, body string) (status int, text string, header http.Header, err error) {
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), resp.Header, err
}

var lagLine = regexp.MustCompile(`(?m)^pasdetrois_consumer_lag\{[^}]*\} (\S+)$`)

// ReadAll waits until the service has read as many partitions to their ends.
func (s *Service) ReadAll(partitions int) {
	s.T.Helper()
	testkit.Eventually(s.T, func() error {
		_, metrics := s.Get(s.Admin + "/metrics")
		lags := lagLine.FindAllStringSubmatch(metrics, -1)
		if len(lags) != partitions {
			return fmt.Errorf("the lag of %d of %d partitions is known", len(lags), partitions)
		}
		for _, lag := range lags {
			if lag[1] != "0" {
				return errors.New(lag[0])
			}
		}
		return nil
	})
}
