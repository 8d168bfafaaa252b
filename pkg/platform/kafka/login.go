package kafka

import (
	"fmt"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// Secure adds login, TLS and compression to a client's configuration. An error leaves the configuration half set, so the
// caller must not use it.
func (c Config) Secure(sc *sarama.Config) error {
	if c.Access.TLS() {
		cfg, err := c.Access.TLSConfig()
		if err != nil {
			return err
		}
		sc.Net.TLS.Enable, sc.Net.TLS.Config = true, cfg
	}
	if c.Access.SASL() {
		if err := login(c.Access, sc); err != nil {
			return err
		}
	}
	return sc.Producer.Compression.UnmarshalText([]byte(c.compression()))
}

func (c Config) compression() string {
	if c.Compression == "" {
		return "none"
	}
	return c.Compression
}

// login sets the SASL login. Handshake version 1 wraps the login's bytes in Kafka's protocol, so a broker answers a refusal
// with its reason. Version 0 only closes the connection.
func login(s Access, sc *sarama.Config) error {
	sasl := &sc.Net.SASL
	sasl.Enable, sasl.Handshake, sasl.Version = true, true, sarama.SASLHandshakeV1
	sasl.Mechanism = sarama.SASLMechanism(s.Mechanism)
	sasl.User, sasl.Password = s.Username, s.Password
	switch s.Mechanism {
	case ScramSHA256:
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA256} }
	case ScramSHA512:
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA512} }
	case OAuthBearer:
		tokens, err := NewTokens(s)
		if err != nil {
			return err
		}
		sasl.TokenProvider = tokenProvider{tokens}
	}
	return nil
}

// scramClient is one SCRAM login, which proves the password without sending it. Sarama makes one per connection and calls
// Begin first, then Step with each of the broker's challenges, until Done.
type scramClient struct {
	hash         scram.HashGeneratorFcn
	conversation *scram.ClientConversation
}

func (c *scramClient) Begin(user, password, authzID string) error {
	client, err := c.hash.NewClient(user, password, authzID)
	if err != nil {
		return fmt.Errorf("prepare the login: %w", err)
	}
	c.conversation = client.NewConversation()
	return nil
}

func (c *scramClient) Step(challenge string) (string, error) { return c.conversation.Step(challenge) }

func (c *scramClient) Done() bool { return c.conversation.Done() }

// tokenProvider gives sarama the tokens. Sarama calls it for each new connection, from several goroutines.
type tokenProvider struct{ tokens *Tokens }

func (p tokenProvider) Token() (*sarama.AccessToken, error) {
	token, extensions, err := p.tokens.Token()
	if err != nil {
		return nil, err
	}
	return &sarama.AccessToken{Token: token, Extensions: extensions}, nil
}

// compressions are the names of Kafka's compression.type. Readers need no setting: a batch names its own compression.
func compressions() []string { return []string{"none", "gzip", "snappy", "lz4", "zstd"} }
