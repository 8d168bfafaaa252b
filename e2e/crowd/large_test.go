//go:build crowd

package crowd

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

// 200 records of 900 KB, on a topic that takes them, ended notifications in a container of 128 MiB at each start. They are
// parked, and what stands behind them is handled.
func TestLargeRecordsDoNotEndAService(t *testing.T) {
	s := start(t, "notifications")
	writer, err := kgo.NewClient(kgo.SeedBrokers(s.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(largeBatch))
	require.NoError(t, err)
	defer writer.Close()
	write := func(value []byte) {
		record := &kgo.Record{Topic: s.prefix + messages.TopicNotifications, Partition: 0, Value: value}
		require.NoError(t, writer.ProduceSync(t.Context(), record).FirstErr())
	}
	for range 200 {
		write(bytes.Repeat([]byte("a"), 900_000))
	}
	write([]byte(`{"user_id":"behind","message":"the large ones","channel":"email"}`))
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	testkit.Eventually(t, func() error {
		select {
		case err := <-s.ended:
			s.ended <- err
			require.FailNow(t, "the service ended", "%v", err)
		default:
		}
		resp, err := client.Get("http://" + s.public + "/notifications?user_id=behind")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && !bytes.Contains(body, []byte("the large ones")) {
			err = fmt.Errorf("the record behind the large ones is not handled: %s", body)
		}
		return err
	})
	s.requireAlive()
}
