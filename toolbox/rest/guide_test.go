package rest_test

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// step is a curl line as guides show it, and what comes back.
type step struct {
	curl   string
	status int
	body   string
}

// The lines of the public documentation, word for word: its quick start, and the examples of its reference.
func guide() []step {
	return []step{
		{`curl -X POST -H "Content-Type: application/vnd.kafka.json.v2+json" -H "Accept: application/vnd.kafka.v2+json" --data '{"records":[{"value":{"foo":"bar"}}]}' "http://localhost:8082/topics/jsontest"`,
			200, `{"offsets":[{"partition":0,"offset":0,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":null}`},
		{`curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"name": "my_consumer_instance", "format": "json", "auto.offset.reset": "earliest"}' http://localhost:8082/consumers/my_json_consumer`,
			200, `{"instance_id":"my_consumer_instance","base_uri":"http://localhost:8082/consumers/my_json_consumer/instances/my_consumer_instance"}`},
		{`curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"topics":["jsontest"]}' http://localhost:8082/consumers/my_json_consumer/instances/my_consumer_instance/subscription`,
			204, ``},
		{`curl -X GET -H "Accept: application/vnd.kafka.json.v2+json" http://localhost:8082/consumers/my_json_consumer/instances/my_consumer_instance/records`,
			200, `[{"topic":"jsontest","key":null,"value":{"foo":"bar"},"partition":0,"offset":0}]`},
		{`curl -X GET -H "Accept: application/vnd.kafka.v2+json" http://localhost:8082/consumers/my_json_consumer/instances/my_consumer_instance/subscription`,
			200, `{"topics":["jsontest"]}`},
		{`curl -X GET -H "Accept: application/vnd.kafka.v2+json" http://localhost:8082/consumers/my_json_consumer/instances/my_consumer_instance/assignments`,
			200, `{"partitions":[{"topic":"jsontest","partition":0}]}`},
		{`curl -X DELETE -H "Content-Type: application/vnd.kafka.v2+json" http://localhost:8082/consumers/my_json_consumer/instances/my_consumer_instance`,
			204, ``},

		{`curl -X POST -H "Content-Type: application/vnd.kafka.binary.v2+json" -H "Accept: application/vnd.kafka.v2+json" --data '{"records":[{"key":"a2V5","value":"Y29uZmx1ZW50","partition":1},{"value":"a2Fma2E=","partition":1},{"value":"bG9ncw==","partition":0}]}' "http://localhost:8082/topics/test"`,
			200, `{"offsets":[{"partition":1,"offset":0,"error_code":null,"error":null},{"partition":1,"offset":1,"error_code":null,"error":null},{"partition":0,"offset":0,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":null}`},
		{`curl -X POST -H "Content-Type: application/vnd.kafka.binary.v2+json" --data '{"records":[{"key":"a2V5","value":"Y29uZmx1ZW50"},{"value":"a2Fma2E="}]}' "http://localhost:8082/topics/test/partitions/0"`,
			200, `{"offsets":[{"partition":0,"offset":1,"error_code":null,"error":null},{"partition":0,"offset":2,"error_code":null,"error":null}],"key_schema_id":null,"value_schema_id":null}`},
		{`curl "http://localhost:8082/topics/test/partitions/1/offsets"`, 200, `{"beginning_offset":0,"end_offset":2}`},
		{`curl -H "Accept: application/vnd.kafka.v2+json" "http://localhost:8082/topics/other/partitions/0"`,
			200, `{"partition":0,"leader":BROKER,"replicas":[{"broker":BROKER,"leader":true,"in_sync":true}]}`},
		{`curl "http://localhost:8082/topics/other/partitions"`,
			200, `[{"partition":0,"leader":BROKER,"replicas":[{"broker":BROKER,"leader":true,"in_sync":true}]}]`},
		{`curl "http://localhost:8082/brokers"`, 200, `{"brokers":[BROKER]}`},
		{`curl "http://localhost:8082/"`, 200, `{}`},

		{`curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"name": "my_consumer", "format": "binary", "auto.offset.reset": "earliest", "auto.commit.enable": "false"}' http://localhost:8082/consumers/testgroup/`,
			200, `{"instance_id":"my_consumer","base_uri":"http://localhost:8082/consumers/testgroup/instances/my_consumer"}`},
		{`curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"partitions":[{"topic":"test","partition":1}]}' http://localhost:8082/consumers/testgroup/instances/my_consumer/assignments`,
			204, ``},
		{`curl -X GET -H "Accept: application/vnd.kafka.binary.v2+json" "http://localhost:8082/consumers/testgroup/instances/my_consumer/records?timeout=3000&max_bytes=300000"`,
			200, `[{"topic":"test","key":"a2V5","value":"Y29uZmx1ZW50","partition":1,"offset":0},{"topic":"test","key":null,"value":"a2Fma2E=","partition":1,"offset":1}]`},
		{`curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"offsets":[{"topic":"test","partition":1,"offset":1}]}' http://localhost:8082/consumers/testgroup/instances/my_consumer/positions`,
			204, ``},
		{`curl -X GET -H "Accept: application/vnd.kafka.binary.v2+json" http://localhost:8082/consumers/testgroup/instances/my_consumer/records`,
			200, `[{"topic":"test","key":null,"value":"a2Fma2E=","partition":1,"offset":1}]`},
		{`curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"partitions":[{"topic":"test","partition":1}]}' http://localhost:8082/consumers/testgroup/instances/my_consumer/positions/end`,
			204, ``},
		{`curl -X GET -H "Accept: application/vnd.kafka.binary.v2+json" http://localhost:8082/consumers/testgroup/instances/my_consumer/records`,
			200, `[]`},
		{`curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"partitions":[{"topic":"test","partition":1}]}' http://localhost:8082/consumers/testgroup/instances/my_consumer/positions/beginning`,
			204, ``},
		{`curl -X POST -H "Content-Type: application/vnd.kafka.v2+json" --data '{"offsets":[{"topic":"test","partition":0,"offset":20},{"topic":"test","partition":1,"offset":30,"metadata":"half way"}]}' http://localhost:8082/consumers/testgroup/instances/my_consumer/offsets`,
			200, `[]`},
		{`curl -X GET -H "Content-Type: application/vnd.kafka.v2+json" --data '{"partitions":[{"topic":"test","partition":0},{"topic":"test","partition":1}]}' http://localhost:8082/consumers/testgroup/instances/my_consumer/offsets`,
			200, `{"offsets":[{"topic":"test","partition":0,"offset":21,"metadata":""},{"topic":"test","partition":1,"offset":31,"metadata":"half way"}]}`},
		{`curl -X DELETE http://localhost:8082/consumers/testgroup/instances/my_consumer/subscription`, 204, ``},
		{`curl -X DELETE http://localhost:8082/consumers/testgroup/instances/my_consumer`, 204, ``},
	}
}

func TestTheGuidesCurlLinesAnswerAsTheGuideShows(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.topic("jsontest", 1)
	w.topic("test", 2)
	w.topic("other", 1)
	metadata, err := w.admin.BrokerMetadata(t.Context())
	require.NoError(t, err)
	require.Len(t, metadata.Brokers, 1, "the guide's answers are those of one broker")
	names := strings.NewReplacer(`"jsontest"`, `"`+w.prefix+`jsontest"`, `"test"`, `"`+w.prefix+`test"`,
		"/topics/", "/topics/"+w.prefix, "/consumers/", "/consumers/"+w.prefix,
		"http://localhost:8082", w.url, "BROKER", strconv.Itoa(int(metadata.Brokers[0].NodeID)))
	for _, s := range guide() {
		got := w.send(curl(t, names.Replace(s.curl)))
		require.Equal(t, s.status, got.status, "%s\n%s", s.curl, got.body)
		require.Equal(t, names.Replace(s.body), strings.TrimSuffix(got.body, "\n"), s.curl)
	}
	listed := w.call("GET", "/topics", "", "Accept: application/vnd.kafka.v2+json, application/vnd.kafka+json, application/json")
	require.Equal(t, plain, listed.header.Get("Content-Type"))
	require.Contains(t, listed.body, `"`+w.prefix+`jsontest"`)
	require.NotContains(t, listed.body, "__consumer_offsets")
	topic := w.call("GET", "/topics/"+w.prefix+"jsontest", "").body
	require.Regexp(t, `^\{"name":"`+w.prefix+`jsontest","configs":\{.*"cleanup.policy":"delete".*\},"partitions":\[\{"partition":0,"leader":`, topic)
}

// The document's own curl lines, in their order: they place an order and read what became of it.
func TestTheDocumentsCurlLinesWork(t *testing.T) {
	t.Parallel()
	w := setup(t)
	orders, notifications := w.topic("test", 1), w.topic("other", 1)
	w.write(notifications, 0, []byte("o-1"), []byte(`{"order_id":"o-1"}`))
	document, err := os.ReadFile("../../docs/rest.md")
	require.NoError(t, err)
	lines := regexp.MustCompile(`\s*\\\n\s*`).ReplaceAllString(string(document), " ")
	v2 := regexp.MustCompile(`(?m)^    v2='(.*)'$`).FindStringSubmatch(lines)
	require.NotNil(t, v2)
	names := strings.NewReplacer("localhost:8082", w.url, "/topics/orders", "/topics/"+orders, `"notifications"`, `"`+notifications+`"`,
		"/consumers/", "/consumers/"+w.prefix, `"$v2"`, `"`+v2[1]+`"`)
	var answers []answer
	for _, line := range regexp.MustCompile(`(?m)^    (curl .*)$`).FindAllStringSubmatch(lines, -1) {
		answers = append(answers, w.send(curl(t, names.Replace(line[1]))))
	}
	require.Len(t, answers, 5)
	for n, status := range []int{200, 200, 204, 200, 204} {
		require.Equal(t, status, answers[n].status, answers[n].body)
	}
	require.Contains(t, answers[0].body, `"partition":0,"offset":0,"error_code":null`)
	require.JSONEq(t, `{"order_id": "o-1", "user_id": "ada", "total": 49.99}`, string(w.stored(orders, 1)[0].Value))
	require.Equal(t, []record{{Topic: notifications, Key: "o-1", Value: map[string]any{"order_id": "o-1"}}}, answers[3].records(t))
}

// curl makes the request that a curl line makes.
func curl(t *testing.T, line string) *http.Request {
	t.Helper()
	method, body, url := "", "", ""
	headers := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	words := shellWords(line)[1:]
	for n := 0; n < len(words); n++ {
		switch words[n] {
		case "-X":
			n++
			method = words[n]
		case "-H":
			n++
			name, value, _ := strings.Cut(words[n], ": ")
			headers.Set(name, value)
		case "--data", "-d":
			n++
			body = words[n]
		default:
			url = words[n]
		}
	}
	if method == "" && body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	request.Header = headers
	return request
}

// shellWords splits a line at spaces that are not in quotes.
func shellWords(line string) []string {
	var words []string
	word, quote := "", rune(0)
	for _, r := range line {
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case r == quote:
			quote = 0
		case quote == 0 && r == ' ':
			words, word = append(words, word), ""
		default:
			word += string(r)
		}
	}
	return append(words, word)
}
