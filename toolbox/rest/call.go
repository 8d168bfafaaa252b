package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"pasdetrois/pkg/platform/httpx"
)

// call answers one request, or returns the error with which answering answers. It must not write before it returns an
// error.
type call func(w http.ResponseWriter, r *http.Request) error

// get answers with the value that ask returns, as JSON of the type that the client accepts.
func get(ask func(context.Context, *http.Request) (any, error)) call {
	return func(w http.ResponseWriter, r *http.Request) error {
		media, err := answerType(r)
		if err != nil {
			return err
		}
		return answer(w, r, media, ask)
	}
}

// getWith is get for calls whose client may leave the body out: then in is nil.
func getWith[T any](ask func(ctx context.Context, r *http.Request, in *T) (any, error)) call {
	return func(w http.ResponseWriter, r *http.Request) error {
		media, err := answerType(r)
		if err != nil {
			return err
		}
		in, err := optionalRequest[T](w, r)
		if err != nil {
			return err
		}
		return answer(w, r, media, func(ctx context.Context, r *http.Request) (any, error) { return ask(ctx, r, in) })
	}
}

// answer gives ask kafkaTime. So a Kafka that does not answer becomes an error of the API, and no client waits for
// ever.
func answer(w http.ResponseWriter, r *http.Request, media string, ask func(context.Context, *http.Request) (any, error)) error {
	ctx, cancel := context.WithTimeout(r.Context(), kafkaTime)
	defer cancel()
	v, err := ask(ctx, r)
	if err != nil {
		return kafkaError(err)
	}
	return respond(w, media, v)
}

// change runs do with the decoded body, within kafkaTime, and answers 204.
func change[T any](do func(ctx context.Context, in T) error) call {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in T
		if err := request(w, r, &in); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(r.Context(), kafkaTime)
		defer cancel()
		if err := do(ctx, in); err != nil {
			return kafkaError(err)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// of makes a call to an instance. Calls of one instance run one after another, since a Kafka client has one position in
// each partition. An instance with a call in work is not idle. The request's context also ends when the instance does,
// so that a DELETE ends a read that waits.
func (s *Server) of(do func(*instance) call) call {
	return func(w http.ResponseWriter, r *http.Request) error {
		found := s.consumers.use(idOf(r))
		if found == nil {
			return instanceNotFound()
		}
		defer s.consumers.release(found)
		if err := found.begin(r.Context()); err != nil {
			return err
		}
		defer found.done()
		if err := found.mayRead(r.Context()); err != nil && r.Method != http.MethodDelete {
			return err
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(found.alive, cancel)()
		return do(found.instance)(w, r.WithContext(ctx))
	}
}

// Handler returns the API with all its routes. Serve uses it.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, c := range map[string]call{
		"GET /{$}":     func(w http.ResponseWriter, _ *http.Request) error { return respond(w, mediaV2, struct{}{}) },
		"GET /brokers": get(s.brokers),

		"GET /topics":                                        get(s.topics),
		"GET /topics/{topic}":                                get(s.topic),
		"POST /topics/{topic}":                               s.produce,
		"GET /topics/{topic}/partitions":                     get(s.partitions),
		"GET /topics/{topic}/partitions/{partition}":         get(s.partition),
		"POST /topics/{topic}/partitions/{partition}":        s.produceTo,
		"GET /topics/{topic}/partitions/{partition}/offsets": get(s.partitionOffsets),

		"POST /consumers/{group}":                        getWith(s.createConsumer),
		"DELETE /consumers/{group}/instances/{instance}": s.deleteConsumer,
	} {
		mux.Handle(pattern, s.answering(c))
	}
	for pattern, do := range map[string]func(*instance) call{
		"POST subscription":        func(i *instance) call { return change(i.subscribe) },
		"GET subscription":         func(i *instance) call { return get(i.subscription) },
		"DELETE subscription":      func(i *instance) call { return i.unsubscribe },
		"POST assignments":         func(i *instance) call { return change(i.assign) },
		"GET assignments":          func(i *instance) call { return get(i.assignments) },
		"POST positions":           func(i *instance) call { return change(i.seek) },
		"POST positions/beginning": func(i *instance) call { return change(i.seekTo("earliest")) },
		"POST positions/end":       func(i *instance) call { return change(i.seekTo("latest")) },
		"POST offsets":             func(i *instance) call { return getWith(i.commit) },
		"GET offsets":              func(i *instance) call { return getWith(i.committed) },
		"GET records":              func(i *instance) call { return i.records },
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" /consumers/{group}/instances/{instance}/"+path, s.answering(s.of(do)))
	}
	return routed(s.authenticated, mux)
}

// answering turns a call into a handler: it charges the body to the memory and writes the call's error in the API's
// format. Errors below 500 are the client's and are not logged.
func (s *Server) answering(c call) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.memory.charge(r, maxProduceBytes)()
		err := c(w, r)
		if err == nil {
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Status >= http.StatusInternalServerError {
			s.cfg.Log.Error(r.Pattern, "err", err)
		}
		writeError(w, err)
	})
}

// routed rejects requests of pages in a browser, which have the header Origin or Sec-Fetch-Site: such a page would use its
// visitor's network access. An address that a person types is answered. Then the caller needs a token, where there are tokens. It
// ignores a slash at the end of a path, which some guides write. A path without a route is answered in the API's format.
func routed(authenticated func(http.Handler) http.Handler, mux *http.ServeMux) http.Handler {
	known := authenticated(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, ok := strings.CutSuffix(r.URL.Path, "/"); ok && path != "" {
			r = httpx.WithPath(r, path, strings.TrimSuffix(r.URL.RawPath, "/"))
		}
		if httpx.Routed(mux, w, r, func(status int) { writeError(w, withStatus(status)) }) {
			mux.ServeHTTP(w, r)
		}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site := r.Header.Get("Sec-Fetch-Site"); r.Header.Get("Origin") != "" || site != "" && site != "none" {
			writeError(w, failed(codeForbidden, "Pages in a browser are not served."))
			return
		}
		known.ServeHTTP(w, r)
	})
}
