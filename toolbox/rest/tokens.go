package rest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/secretfile"
)

// A file of tokens has a line for each token. Words are separated by spaces; a line that begins with # is a comment:
//
//	# name  token                             topics
//	shop    3b1f…32 characters or more…       write=orders read=notifications
//	report  9c07…                             read=* groups=report.
//
// The name is for the log. A name on two lines has two tokens, while they are exchanged. A token without write= writes nothing,
// and one without read= reads nothing; * means every topic. With groups= an instance of the token joins only groups whose names
// begin so.

// grant is what a token allows.
type grant struct {
	name        string
	token       [sha256.Size]byte
	write, read []string // "*" = every topic
	groups      string   // the beginning of the names of groups
}

func (g grant) writes(topic string) bool { return allows(g.write, topic) }
func (g grant) reads(topic string) bool  { return allows(g.read, topic) }

const everyTopic = "*"

func allows(topics []string, topic string) bool {
	return slices.Contains(topics, topic) || slices.Contains(topics, everyTopic)
}

// everybody is the grant of every caller of a server without tokens. It reads every topic; Config.Allow has those that it writes.
func everybody(cfg Config) grant { return grant{write: cfg.Allow, read: []string{everyTopic}} }

// readTokens reads a file of tokens. Its errors name the line, and hold no token.
func readTokens(path string) ([]grant, error) {
	content, err := secretfile.Read(path)
	if err != nil {
		return nil, err
	}
	var grants []grant
	for number, line := range strings.Split(string(content), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		g, err := parseGrant(words)
		if err == nil && slices.ContainsFunc(grants, func(other grant) bool { return other.token == g.token }) {
			err = errors.New("the token is on another line, too")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of %s: %w", number+1, path, err)
		}
		grants = append(grants, g)
	}
	if len(grants) == 0 {
		return nil, fmt.Errorf("%s has no token", path)
	}
	return grants, nil
}

func parseGrant(words []string) (g grant, err error) {
	if len(words) < 3 {
		return g, errors.New("a line is a name, a token, and write=TOPICS, read=TOPICS or both")
	}
	if strings.Contains(words[0], "=") || strings.Contains(words[1], "=") && (strings.HasPrefix(words[1], "read=") || strings.HasPrefix(words[1], "write=")) {
		return g, errors.New("a line begins with a name and a token")
	}
	if err := secretfile.CheckToken(words[1]); err != nil {
		return g, err
	}
	g.name, g.token = words[0], sha256.Sum256([]byte(words[1]))
	seen := map[string]bool{}
	for _, word := range words[2:] {
		what, value, ok := strings.Cut(word, "=")
		if !ok || value == "" || seen[what] {
			return g, fmt.Errorf("word %d is not write=TOPICS, read=TOPICS or groups=PREFIX, each once", len(seen)+3)
		}
		seen[what] = true
		switch what {
		case "write":
			g.write, err = topicList(value)
		case "read":
			g.read, err = topicList(value)
		case "groups":
			g.groups = value
		default:
			err = fmt.Errorf("%q is not write, read or groups", what)
		}
		if err != nil {
			return g, err
		}
	}
	if g.write == nil && g.read == nil {
		return g, errors.New("the token may neither write nor read: give write=TOPICS or read=TOPICS")
	}
	return g, nil
}

// topicList returns the topics of a list with commas.
func topicList(value string) ([]string, error) {
	topics := strings.Split(value, ",")
	for _, topic := range topics {
		if topic != everyTopic && !isTopic(topic) {
			return nil, fmt.Errorf("%q is not the name of a topic: use letters, digits, '.', '_' and '-', or * for every topic", topic)
		}
	}
	return topics, nil
}

func isTopic(name string) bool { return topicName.MatchString(name) && name != "." && name != ".." }

func watchTokens(log *slog.Logger, path string) (*secretfile.Watched[[]grant], error) {
	return secretfile.Watch(log, func() ([]grant, error) { return readTokens(path) }, path)
}

// grantOf returns what the caller of the request may do. It compares all tokens in constant time. Besides a bearer token it accepts
// basic authentication with the token's name and the token as password, which most clients of the API can send.
func (s *Server) grantOf(r *http.Request) (grant, error) {
	if s.tokens == nil {
		return everybody(s.cfg), nil
	}
	name, token, basic := r.BasicAuth()
	bearer, ok := httpx.Bearer(r)
	if !ok && (!basic || len(r.Header.Values("Authorization")) > 1) {
		return grant{}, unauthorized("Give a token: Authorization: Bearer TOKEN, or basic authentication with its name and the token.")
	}
	if !basic {
		token = bearer
	}
	given := sha256.Sum256([]byte(token))
	var found grant
	for _, g := range s.tokens.Get() {
		if subtle.ConstantTimeCompare(g.token[:], given[:]) == 1 {
			found = g
		}
	}
	if found.name == "" || basic && found.name != name {
		return grant{}, unauthorized("The token is not one of this server.")
	}
	return found, nil
}

type grantKey struct{}

// granted returns the grant of a request's context, put there by authenticated.
func granted(ctx context.Context) grant {
	g, _ := ctx.Value(grantKey{}).(grant) // the zero grant allows nothing
	return g
}

// authenticated lets callers in that have a token, if the server has tokens. A caller without one costs no more than this.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, err := s.grantOf(r)
		if err != nil {
			w.Header().Add("WWW-Authenticate", `Bearer realm="kafka"`)
			w.Header().Add("WWW-Authenticate", `Basic realm="kafka", charset="UTF-8"`)
			writeError(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), grantKey{}, g)))
	})
}

// visible returns nil for a topic that the caller may write or read, else an error. The error is the same for a topic that does
// not exist.
func visible(ctx context.Context, topic string) error {
	if g := granted(ctx); g.writes(topic) || g.reads(topic) {
		return nil
	}
	return failed(codeForbidden, "Topic %q may neither be read nor written with this token.", topic)
}

// readable returns nil for a topic that the caller may read, else an error.
func readable(ctx context.Context, topics ...string) error {
	for _, topic := range topics {
		if !granted(ctx).reads(topic) {
			return failed(codeForbidden, "Topic %q may not be read with this token.", topic)
		}
	}
	return nil
}

// mayRead returns nil when the caller may still read everything that the instance reads: a token's topics can become fewer.
func (i *instance) mayRead(ctx context.Context) error {
	if i.pattern != "" {
		return readable(ctx, everyTopic)
	}
	for _, p := range i.assignment() {
		if err := readable(ctx, p.Topic); err != nil {
			return err
		}
	}
	return readable(ctx, i.topics...)
}
