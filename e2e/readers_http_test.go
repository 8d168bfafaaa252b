package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/messages/messagestest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// rest reads the topic over plain HTTP. What it hands on must mean what was written.
func (w readers) rest(t *testing.T) {
	group := w.proxy.URL() + "/consumers/" + w.env.Kafka.GroupPrefix + "readers"
	w.call(t, "POST", group, "application/vnd.kafka.v2+json", `{"name":"one","format":"json","auto.offset.reset":"earliest"}`, http.StatusOK)
	one := group + "/instances/one"
	w.call(t, "POST", one+"/assignments", "application/vnd.kafka.v2+json", `{"partitions":[{"topic":"`+w.env.Kafka.TopicPrefix+`orders","partition":0}]}`, http.StatusNoContent)
	seen := map[int64]bool{}
	last := int64(-1)
	for i, c := range w.cases { // the last one that is JSON
		if json.Valid(messages.WithoutByteOrderMark(c.Value)) || c.Value == nil {
			last = int64(i)
		}
	}
	testkit.Eventually(t, func() error {
		var records []struct {
			Value  json.RawMessage `json:"value"`
			Offset int64           `json:"offset"`
		}
		require.NoError(t, json.Unmarshal([]byte(w.call(t, "GET", one+"/records", "", "", http.StatusOK)), &records))
		for _, r := range records {
			if r.Offset >= int64(len(w.cases)) {
				continue
			}
			seen[r.Offset] = true
			c := w.cases[r.Offset]
			if c.Value == nil {
				require.Equal(t, "null", string(r.Value), c.Name)
				continue
			}
			record := messages.Record{Topic: messages.TopicOrders, Headers: c.Headers, Value: c.Value}
			want, wrong := messages.Read(record)
			record.Value = r.Value
			got, err := messages.Read(record)
			require.Equal(t, wrong == nil, err == nil, c.Name)
			require.Equal(t, want, got, c.Name)
		}
		if !seen[last] {
			return fmt.Errorf("%d records so far", len(seen))
		}
		return nil
	})
	for i, c := range w.cases {
		if c.Unreadable == "" {
			require.True(t, seen[int64(i)], "%s was passed over", c.Name)
		}
	}
	w.call(t, "DELETE", one, "", "", http.StatusNoContent)
}

func (w readers) call(t *testing.T, method, url, media, body string, status int) string {
	t.Helper()
	answer, code := w.send(t, method, url, media, []byte(body))
	require.Equal(t, status, code, "%s %s: %s", method, url, answer)
	return answer
}

func (w readers) send(t *testing.T, method, url, media string, body []byte) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Accept", "application/vnd.kafka.json.v2+json, application/json")
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(content), resp.StatusCode
}

// http sends the same bodies over HTTP. An order that came over Kafka is there already: only the same content answers 200.
func (w readers) http(t *testing.T) {
	for _, c := range w.cases {
		if c.HTTP == "" {
			continue
		}
		answer, code := w.send(t, "POST", w.client.Endpoint(client.Orders).Public+"/orders", "application/json", c.Value)
		if c.HTTP == messagestest.Refused {
			require.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, code, "%s: %s", c.Name, answer)
			require.NotContains(t, answer, "json:", "%s: the decoder's own words", c.Name)
			require.NotContains(t, answer, "Go struct", c.Name)
			continue
		}
		want := http.StatusOK
		if c.HTTP == "new" {
			want = http.StatusAccepted
		}
		require.Equal(t, want, code, "%s: %s", c.Name, answer)
		var o client.Order
		require.NoError(t, json.Unmarshal([]byte(answer), &o))
		if c.HTTP != "new" {
			w.same(t, c, o)
		}
	}
}
