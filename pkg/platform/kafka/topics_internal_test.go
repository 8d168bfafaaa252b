package kafka

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fake is an embedded broker and the configuration that reaches it.
type fake struct {
	Config
	cluster *kfake.Cluster
}

func broker(t *testing.T, options ...kfake.Opt) fake {
	t.Helper()
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1))...)
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	return fake{Config{Brokers: cluster.ListenAddrs()}, cluster}
}

func TestATopicThatSomebodyElseCreatedMeanwhileIsNoFailure(t *testing.T) {
	t.Parallel()
	cfg := broker(t, kfake.SeedTopics(1, "__internal", "mine"))
	cfg.cluster.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range req.(*kmsg.CreateTopicsRequest).Topics {
			answer := kmsg.NewCreateTopicsResponseTopic()
			answer.Topic, answer.ErrorCode = asked.Topic, kerr.TopicAlreadyExists.Code
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, true
	})
	created, err := CreateTopics(t.Context(), cfg.Config, []TopicSpec{{Name: "theirs", Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	require.Empty(t, created)

	topics, err := ListTopics(t.Context(), cfg.Config)
	require.NoError(t, err)
	require.Len(t, topics, 1, "those of Kafka itself are left out")
	require.Equal(t, "mine", topics[0].Name)
}

// A broker lists a topic for a moment after its deletion.
func TestATopicThatWasJustDeletedIsCreated(t *testing.T) {
	t.Parallel()
	cfg := broker(t)
	host, port, err := net.SplitHostPort(cfg.Brokers[0])
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	var asked atomic.Bool // to create the topic
	cfg.cluster.ControlKey(int16(kmsg.CreateTopics), func(kmsg.Request) (kmsg.Response, error, bool) {
		asked.Store(true)
		return nil, nil, false
	})
	cfg.cluster.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cfg.cluster.KeepControl()
		if asked.Load() {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		resp.ControllerID = 0
		resp.Brokers = []kmsg.MetadataResponseBroker{{Host: host, Port: int32(number)}}
		resp.Topics = []kmsg.MetadataResponseTopic{{Topic: kmsg.StringPtr("gone"), Partitions: []kmsg.MetadataResponseTopicPartition{{}}}}
		return resp, nil, true
	})
	created, err := CreateTopics(t.Context(), cfg.Config, []TopicSpec{{Name: "gone", Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	require.Equal(t, []string{"gone"}, created)
}

// Whoever may not create topics may use those that an administrator made.
func TestATopicThatExistsNeedsNoRightToCreateIt(t *testing.T) {
	t.Parallel()
	cfg := broker(t, kfake.SeedTopics(1, "mine"))
	cfg.cluster.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		resp.Topics = []kmsg.CreateTopicsResponseTopic{{Topic: "mine", ErrorCode: kerr.TopicAuthorizationFailed.Code}}
		return resp, nil, true
	})
	created, err := CreateTopics(t.Context(), cfg.Config, []TopicSpec{{Name: "mine", Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	require.Empty(t, created)
}

func TestAskingAHungBrokerForItsTopicsEndsWithTheContext(t *testing.T) {
	t.Parallel()
	addr := hung(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := ListTopics(ctx, Config{Brokers: []string{addr}})
		ended <- err
	}()
	err := answered(t, ended, 12*time.Second, "it waits for a broker that hangs")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, addr+"] does not answer")
}

// The client answers from its last list for a while, and a new topic is not on that.
func TestCreatingATopicDoesNotWaitForTheClientsOldList(t *testing.T) {
	t.Parallel()
	cfg := broker(t)
	var took time.Duration
	for _, name := range []string{"one", "two", "three", "four"} { // on a busy machine one may take long for another reason
		began := time.Now()
		created, err := CreateTopics(t.Context(), cfg.Config, []TopicSpec{{Name: name, Partitions: 1, ReplicationFactor: 1}})
		require.NoError(t, err)
		require.Equal(t, []string{name}, created)
		if took = time.Since(began); took < 2*time.Second {
			return
		}
	}
	require.Fail(t, "each topic took long", "the last one %s", took)
}

func TestATopicWhoseSettingsAreForbiddenIsListedWithoutThem(t *testing.T) {
	t.Parallel()
	cfg := broker(t, kfake.SeedTopics(2, "a", "b", "c"))
	cfg.cluster.ControlKey(int16(kmsg.DescribeConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cfg.cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, asked := range req.(*kmsg.DescribeConfigsRequest).Resources {
			answer := kmsg.NewDescribeConfigsResponseResource()
			answer.ResourceType, answer.ResourceName = asked.ResourceType, asked.ResourceName
			if asked.ResourceName == "b" {
				answer.ErrorCode = kerr.TopicAuthorizationFailed.Code
			} else {
				answer.Configs = []kmsg.DescribeConfigsResponseResourceConfig{
					{Name: "retention.ms", Value: kmsg.StringPtr("7"), Source: kmsg.ConfigSourceDynamicTopicConfig},
					{Name: "secret", Value: kmsg.StringPtr("x"), Source: kmsg.ConfigSourceDynamicTopicConfig, IsSensitive: true},
					{Name: "usual", Value: kmsg.StringPtr("1"), Source: kmsg.ConfigSourceDefaultConfig},
				}
			}
			resp.Resources = append(resp.Resources, answer)
		}
		return resp, nil, true
	})
	topics, err := ListTopics(t.Context(), cfg.Config)
	require.NoError(t, err)
	own := map[string]string{"retention.ms": "7"}
	require.Equal(t, []TopicInfo{{"a", 2, 1, own}, {"b", 2, 1, map[string]string{}}, {"c", 2, 1, own}}, topics)
}

func TestARefusedTopicIsToldInTheBrokersOwnWords(t *testing.T) {
	t.Parallel()
	codes := map[string]*kerr.Error{"orders": kerr.InvalidConfig, "payments": kerr.InvalidConfig}
	cfg := broker(t)
	cfg.cluster.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cfg.cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range req.(*kmsg.CreateTopicsRequest).Topics {
			answer := kmsg.NewCreateTopicsResponseTopic()
			answer.Topic, answer.ErrorCode = asked.Topic, codes[asked.Topic].Code
			answer.ErrorMessage = kmsg.StringPtr("what is wrong with " + asked.Topic + ".")
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, true
	})
	specs := []TopicSpec{{Name: "orders", Partitions: 1, ReplicationFactor: 1}, {Name: "payments", Partitions: 1, ReplicationFactor: 1}}
	_, err := CreateTopics(t.Context(), cfg.Config, specs)
	require.ErrorIs(t, err, kerr.InvalidConfig)
	require.ErrorContains(t, err, "create topic orders: the broker says: ")
	require.ErrorContains(t, err, ": what is wrong with orders\n")
	require.ErrorContains(t, err, ": what is wrong with payments")
	require.NotRegexp(t, rawName, err.Error())

	codes["payments"] = kerr.PolicyViolation
	codes["orders"] = kerr.PolicyViolation
	_, err = CreateTopics(t.Context(), cfg.Config, specs)
	var problem *Problem
	require.ErrorAs(t, err, &problem)
	require.Contains(t, problem.Text, "its policy requires other partitions, copies or settings (create topic orders: ")
	require.Contains(t, problem.Text, ": what is wrong with orders; create topic payments: ")
	require.NotContains(t, problem.Text, "\n")
	require.NotRegexp(t, rawName, problem.Text)
}

// A broker on a busy machine may not accept for longer than a few attempts to connect take.
func TestReachOutlastsTimeOutsAndNotRefusals(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	for name, c := range map[string]struct {
		fails    error
		attempts int
		reached  bool
	}{
		"late":    {&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, 3 * pings, true},
		"starts":  {&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, pings - 1, true},
		"refuses": {&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, 3 * pings, false},
		"unknown": {&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var dials atomic.Int64
			client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials.Add(1) <= int64(c.attempts) {
					return nil, c.fails
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}))
			require.NoError(t, err)
			t.Cleanup(client.Close)
			err = Reach(t.Context(), client)
			if c.reached {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.fails)
			require.LessOrEqual(t, dials.Load(), int64(pings))
		})
	}
}

// A listener that speaks TLS answers a plaintext client with an alert. franz-go's error about it has no address.
func TestAnAnswerThatIsNotKafkasNamesTheBroker(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte{0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46}) // fatal: protocol version
			_ = conn.Close()
		}
	}()
	_, err = ListTopics(t.Context(), Config{Brokers: []string{l.Addr().String()}})
	require.ErrorContains(t, err, "Kafka at "+l.Addr().String())
}
