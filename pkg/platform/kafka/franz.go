package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"pasdetrois/pkg/platform/wait"
)

// Options returns the options that a franz-go client needs to reach the brokers with the access s. It sends no request:
// tokens are requested at the first login. The error names the setting or the file that is wrong.
func Options(brokers []string, s Access) ([]kgo.Opt, error) {
	options := []kgo.Opt{kgo.SeedBrokers(brokers...), kgo.DialTimeout(dialTimeout)}
	if s.TLS() {
		tls, err := s.TLSConfig()
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.DialTLSConfig(tls))
	}
	if s.SASL() {
		mechanism, err := mechanism(s)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

const (
	// pings and pingPause bound Reach for a broker that refuses: it fails within a second or two.
	pings     = 10
	pingPause = 100 * time.Millisecond
)

// Reach returns nil once a broker has answered. A time-out is repeated until ctx ends, because a busy broker may accept late.
// A refused connection is repeated for a second, because a broker may just be starting. All other errors return at once.
func Reach(ctx context.Context, client *kgo.Client) error {
	for attempt := 1; ; attempt++ {
		err := client.Ping(ctx)
		var network net.Error
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case errors.As(err, &network) && network.Timeout():
		case errors.Is(err, syscall.ECONNREFUSED) && attempt < pings:
		default:
			return err
		}
		if !wait.Sleep(ctx, pingPause) {
			return err
		}
	}
}

// mechanism returns franz-go's form of the login. A client calls it again for every new connection, so a token is renewed
// without a restart.
func mechanism(s Access) (sasl.Mechanism, error) {
	switch s.Mechanism {
	case Plain:
		return plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism(), nil
	case ScramSHA256:
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha256Mechanism(), nil
	case ScramSHA512:
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha512Mechanism(), nil
	case OAuthBearer:
		tokens, err := NewTokens(s)
		if err != nil {
			return nil, err
		}
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			token, extensions, err := tokens.Token()
			return oauth.Auth{Token: token, Extensions: extensions}, err
		}), nil
	default:
		return nil, fmt.Errorf("KAFKA_SASL_MECHANISM: %q is unknown", s.Mechanism)
	}
}
