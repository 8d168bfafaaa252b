package rest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"pasdetrois/toolbox/rest"
)

func TestJSONIsKeptAsItWasWritten(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("jsontest", 1)
	got := w.call("POST", "/topics/"+topic, `{"records": [
		{"key": "o-1", "value": {"b": 1, "a": 49.990, "big": 12345678901234567890, "text": "<é&>", "list": [ 1, null ]}},
		{"key": null, "value": null},
		{"value": "just text", "partition": 0},
		{}
	]}`, "Content-Type: "+asJSON+"; charset=utf-8")
	require.Equal(t, 200, got.status, got.body)
	stored := w.stored(topic, 4)
	require.Equal(t, `"o-1"`, string(stored[0].Key), "a key is JSON too")
	require.Equal(t, `{"b":1,"a":49.990,"big":12345678901234567890,"text":"<é&>","list":[1,null]}`, string(stored[0].Value))
	require.Nil(t, stored[1].Key)
	require.Nil(t, stored[1].Value, "null is a tombstone")
	require.Equal(t, `"just text"`, string(stored[2].Value))
	require.Nil(t, stored[3].Value)

	c := w.consumer("g", "c", earliest, topic)
	answer := w.must("GET", c.path+"/records?timeout=20000", "")
	require.Contains(t, answer.body, `"value":{"b":1,"a":49.990,"big":12345678901234567890,"text":"<é&>","list":[1,null]}`)
	require.Equal(t, asJSON, answer.header.Get("Content-Type"))
	require.Len(t, answer.records(t), 4)
}

func TestAKeyGoesWhereEveryKafkaClientPutsIt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("binarytest", 6)
	// "21" in base64, with the partition that Kafka's own hash gives it.
	got := w.call("POST", "/topics/"+topic, `{"records": [{"key": "MjE=", "value": "AP8="}]}`, "Content-Type: "+binary)
	require.Contains(t, got.body, fmt.Sprintf(`"partition":%d,`, (-973932308&0x7fffffff)%6))
	stored := w.stored(topic, 1)
	require.Equal(t, []byte{0, 255}, stored[0].Value)
	require.Equal(t, "21", string(stored[0].Key))
}

// Nothing of a request that is wrong in any part is written.
func TestWhatIsWrongWithAProduceRequestIsSaidAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("jsontest", 2)
	good := `{"records": [{"value": 1}]}`
	for name, c := range map[string]struct {
		method, path, contentType, accept, body string
		code                                    int
	}{
		"topic that is not there":    {"POST", w.prefix + "other", asJSON, "", good, 40401},
		"topic that is not allowed":  {"POST", w.prefix + "secret", asJSON, "", good, 40301},
		"partition that is not":      {"POST", topic + "/partitions/2", asJSON, "", good, 40402},
		"partition that is no one":   {"POST", topic + "/partitions/x", asJSON, "", good, 40402},
		"partition below 0":          {"POST", topic + "/partitions/-1", asJSON, "", good, 40402},
		"record's partition is not":  {"POST", topic, asJSON, "", `{"records": [{"value": 1}, {"value": 1, "partition": 2}]}`, 40402},
		"record's partition below 0": {"POST", topic, asJSON, "", `{"records": [{"value": 1}, {"value": 1, "partition": -1}]}`, 422},
		"two partitions":             {"POST", topic + "/partitions/0", asJSON, "", `{"records": [{"value": 1, "partition": 1}]}`, 422},
		"no records":                 {"POST", topic, asJSON, "", `{"records": []}`, 422},
		"nothing":                    {"POST", topic, asJSON, "", `{}`, 422},
		"unknown field":              {"POST", topic, asJSON, "", `{"records": [{"value": 1, "headers": []}]}`, 422},
		"too many records":           {"POST", topic, asJSON, "", `{"records": [{}` + strings.Repeat(`,{}`, 10_000) + `]}`, 422},
		"no base64":                  {"POST", topic, binary, "", `{"records": [{"value": "MjE="}, {"value": "?"}]}`, 422},
		"no text for base64":         {"POST", topic, binary, "", `{"records": [{"key": 7, "value": "MjE="}]}`, 422},
		"no JSON":                    {"POST", topic, asJSON, "", `{"records": [{"value": }]}`, 42203},
		"an array":                   {"POST", topic, asJSON, "", `[]`, 42203},
		"no body":                    {"POST", topic, asJSON, "", ``, 42203},
		"two bodies":                 {"POST", topic, asJSON, "", good + good, 42203},
		"wrong type":                 {"POST", topic, asJSON, "", `{"records": [{"value": 1, "partition": "0"}]}`, 42203},
		"no UTF-8":                   {"POST", topic, asJSON, "", `{"records": [{"value": "` + "\xff" + `"}]}`, 42203},
		"too large":                  {"POST", topic, asJSON, "", `{"records": [{"value": "` + strings.Repeat("x", 9<<20) + `"}]}`, 413},
		"plain JSON":                 {"POST", topic, "application/json", "", good, 415},
		"a form":                     {"POST", topic, "application/x-www-form-urlencoded", "", good, 415},
		"no type":                    {"POST", topic, "", "", good, 415},
		"avro":                       {"POST", topic, "application/vnd.kafka.avro.v2+json", "", good, 415},
		"no format":                  {"POST", topic, plain, "", good, 415},
		"wants a picture":            {"POST", topic, asJSON, "image/png", good, 406},
		"another method":             {"PUT", topic, asJSON, "", good, 405},
		"another path":               {"POST", topic + "/records", asJSON, "", good, 404},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{}
			if c.contentType != "" {
				headers = append(headers, "Content-Type: "+c.contentType)
			}
			if c.accept != "" {
				headers = append(headers, "Accept: "+c.accept)
			}
			got := w.call(c.method, "/topics/"+c.path, c.body, headers...)
			require.Equal(t, c.code, got.code(t), got.body)
		})
	}
	require.Contains(t, w.call("POST", "/topics/"+w.prefix+"secret", good, "Content-Type: "+asJSON).body, "--allow "+w.prefix+"secret")
	require.Equal(t, "GET, HEAD, POST", w.call("PUT", "/topics/"+topic, "").header.Get("Allow"))
	ends, err := w.admin.ListEndOffsets(t.Context(), topic)
	require.NoError(t, err)
	ends.Each(func(o kadm.ListedOffset) { require.Zero(t, o.Offset) })
	require.Zero(t, w.server.Stats().Produced)
}

func TestNothingCanBeWrittenUnlessItIsAllowed(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *rest.Config) { c.Allow = nil })
	topic := w.topic("jsontest", 1)
	for _, path := range []string{"/topics/" + topic, "/topics/" + topic + "/partitions/0"} {
		require.Equal(t, 40301, w.call("POST", path, `{"records": [{"value": 1}]}`, "Content-Type: "+asJSON).code(t))
	}
}

// A page reaches a server on its visitor's machine, also by a name that it lets point there.
func TestAPageInABrowserCanNeitherWriteNorRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("jsontest", 1)
	for call, contentType := range map[string]string{"POST /topics/" + topic: asJSON, "POST /consumers/g": plain, "GET /topics": plain} {
		method, path, _ := strings.Cut(call, " ")
		got := w.call(method, path, `{"records": [{"value": 1}]}`, "Content-Type: "+contentType, "Origin: "+w.url)
		require.Equal(t, 40301, got.code(t), call)
	}
	require.Equal(t, rest.Stats{}, w.server.Stats())
	preflight := w.call("OPTIONS", "/topics/"+topic, "", "Access-Control-Request-Method: POST")
	require.Equal(t, 405, preflight.code(t))
	require.Empty(t, preflight.header.Get("Access-Control-Allow-Origin"))
}

func TestAnswersComeInTheTypeThatIsAccepted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for accept, want := range map[string]string{
		"":                               plain,
		"*/*":                            plain,
		plain:                            plain,
		asJSON:                           asJSON,
		"text/html, application/*;q=0.1": plain,
		"application/json":               "application/json",
		plain + ";q=0.4, application/json; q=0.5":              "application/json",
		"application/vnd.kafka.v2+json; q=0.9, */*; q=0.95":    asJSON,
		"application/vnd.kafka+json, application/json;q=0.001": "application/json",
	} {
		got := w.call("GET", "/brokers", "", "Accept: "+accept)
		require.Equal(t, 200, got.status, accept)
		require.Equal(t, want, got.header.Get("Content-Type"), accept)
	}
	for _, accept := range []string{"text/html", "application/json;q=0", "image/*"} {
		for _, path := range []string{"/brokers", "/topics", "/topics/x", "/topics/x/partitions", "/topics/x/partitions/0", "/topics/x/partitions/0/offsets"} {
			require.Equal(t, 406, w.call("GET", path, "", "Accept: "+accept).code(t), accept+" "+path)
		}
	}
}

func TestTopicsAndPartitionsThatAreNotThereAreSaidToBe(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	for path, code := range map[string]int{
		"/topics/" + w.prefix + "nothing":                      40401,
		"/topics/no%20name":                                    40401,
		"/topics/" + w.prefix + "nothing/partitions":           40401,
		"/topics/" + w.prefix + "nothing/partitions/0":         40401,
		"/topics/" + w.prefix + "nothing/partitions/0/offsets": 40401,
		"/topics/" + topic + "/partitions/1":                   40402,
		"/topics/" + topic + "/partitions/1/offsets":           40402,
		"/topics/" + topic + "/partitions/99999999999999":      40402,
		"/nothing":     404,
		"/v3/clusters": 404,
	} {
		require.Equal(t, code, w.call("GET", path, "").code(t), path)
	}
}

// Many clients at once: every acknowledged record is there exactly once, at the place that its answer says.
func TestProducingFromManySidesLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("jsontest", 3)
	const clients, requests, each = 8, 10, 5
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for r := range requests {
				var list []string
				for i := range each {
					list = append(list, fmt.Sprintf(`{"value": "%d/%d/%d"}`, n, r, i))
				}
				got := w.call("POST", "/topics/"+topic, `{"records": [`+strings.Join(list, ",")+`]}`, "Content-Type: "+asJSON)
				if got.status != http.StatusOK || strings.Contains(got.body, `"error_code":1`) || strings.Contains(got.body, `"error_code":2`) {
					t.Errorf("%d %s", got.status, got.body)
				}
			}
		})
	}
	wg.Wait()
	values := []string{}
	for _, r := range w.stored(topic, clients*requests*each) {
		values = append(values, string(r.Value))
	}
	slices.Sort(values)
	require.Len(t, slices.Compact(values), clients*requests*each)
	require.EqualValues(t, clients*requests*each, w.server.Stats().Produced)
}

// What Kafka refuses is told for that record, and the others are written.
func TestARecordThatKafkaRefusesFailsAlone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("jsontest", 1)
	got := w.call("POST", "/topics/"+topic, `{"records": [{"value": "`+strings.Repeat("x", 2<<20)+`"}, {"value": 1}]}`, "Content-Type: "+asJSON)
	require.Equal(t, 200, got.status, got.body)
	require.Regexp(t, `^\{"offsets":\[\{"partition":null,"offset":null,"error_code":1,"error":"the record is larger than the topic takes .*"\},\{"partition":0,"offset":0,"error_code":null,"error":null\}\],`, got.body)
	require.Equal(t, rest.Stats{Produced: 1, Refused: 1}, w.server.Stats())
}
