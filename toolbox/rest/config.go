package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"time"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/kafka"
)

// Config configures a Server. The zero value of each field but Brokers has a default.
type Config struct {
	// Brokers are Kafka's bootstrap addresses.
	Brokers []string
	// Kafka is the login; its own Brokers and prefixes are not used.
	Kafka kafka.Config
	// Allow names the topics that may be written. Empty = no topic may be written. Every topic may be read. It does not go with
	// TokenFile.
	Allow []string
	// TokenFile has the tokens of the callers, each with the topics that it may write and read. "" = callers need none. The file
	// is read again when it changes.
	TokenFile string
	// BaseURL is the address by which clients reach this server behind a proxy, such as https://kafka.example.com. "" = http://
	// and the Host of the request.
	BaseURL string
	// Edge has more names under which clients call this server. The zero value suits a server on loopback.
	Edge httpx.Edge
	// Reserved names consumer groups that no instance may join: a service would lose the records that the instance
	// reads.
	Reserved []string
	// Idle is how long an instance may go without a call before it is closed. 0 = 5 minutes. Its group waits for it
	// that long.
	Idle time.Duration
	// MaxConsumers bounds the number of instances at a time. 0 = 20. Each has its own connections to Kafka.
	MaxConsumers int
	// Memory bounds in bytes the memory of the records of all instances and of the bodies of all requests. 0 = 64 MiB;
	// at least 16 MiB.
	Memory int
	// Log gets a line for each instance that is created or closed, and for skipped records. nil = no log.
	Log *slog.Logger
}

// Defaults of Config.
const (
	DefaultIdle         = 5 * time.Minute
	DefaultMaxConsumers = 20
	DefaultMemory       = 64 << 20
	leastMemory         = 16 << 20
)

// How long things may take, and how large they may be.
const (
	kafkaTime       = 8 * time.Second  // one question to Kafka; every failure is answered within 10 s
	hangTime        = 4 * time.Second  // one connection, and the extra time of one request
	closeTime       = 5 * time.Second  // to commit and leave a group
	joinTime        = 10 * time.Second // a read without timeout waits this long for its first partitions
	readTime        = time.Second      // a read without timeout, once it has partitions
	maxReadTime     = 30 * time.Second
	quietTime       = 100 * time.Millisecond // a read that has records ends when no more come for so long
	fetchTime       = 200 * time.Millisecond // a broker waits so long for new records; the question to the next broker waits as well
	keepTime        = 5 * time.Second        // fetched records of an instance without calls are kept for so long
	writeTime       = 30 * time.Second       // to send an answer to a slow client
	maxReadBytes    = 8 << 20
	maxProduceBytes = 8 << 20
	maxBuffered     = 32 << 20 // records that Kafka has not taken yet
	maxBodyBytes    = 64 << 10
	maxRecords      = 10_000 // in one produce request
	maxName         = 249    // as Kafka limits a topic's name
)

var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)

// Validate returns all problems joined, nil when there are none. It asks no network.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("no brokers are given"))
	}
	for _, topic := range c.Allow {
		if !isTopic(topic) {
			errs = append(errs, fmt.Errorf("%q is not the name of a topic: use letters, digits, '.', '_' and '-'", topic))
		}
	}
	if c.TokenFile != "" && len(c.Allow) > 0 {
		errs = append(errs, errors.New("the file of tokens says what may be written: leave the list of topics out"))
	}
	if c.BaseURL != "" {
		if u, err := url.Parse(c.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
			u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			errs = append(errs, fmt.Errorf("%q is not an address such as https://kafka.example.com or https://example.com/kafka", c.BaseURL))
		}
	}
	if c.Idle < 0 {
		errs = append(errs, fmt.Errorf("idle time %s is negative", c.Idle))
	}
	if c.MaxConsumers < 0 {
		errs = append(errs, fmt.Errorf("%d consumers at most is negative", c.MaxConsumers))
	}
	if c.Memory != 0 && c.Memory < leastMemory {
		errs = append(errs, fmt.Errorf("a memory of %d bytes is less than %d MiB", c.Memory, leastMemory>>20))
	}
	return errors.Join(append(errs, c.Edge.Validate())...)
}

func (c Config) withDefaults() Config {
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.MaxConsumers == 0 {
		c.MaxConsumers = DefaultMaxConsumers
	}
	if c.Memory == 0 {
		c.Memory = DefaultMemory
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
