package rest_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/rest"
)

func token(c string) string { return strings.Repeat(c, 32) }

func tokenFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
	return path
}

// as makes a call with a token.
func (w *world) as(token, method, path, body string) answer {
	w.t.Helper()
	return w.call(method, path, body, "Content-Type: "+plain, "Authorization: Bearer "+token)
}

// withTokens serves with the tokens of a file, which is made for the prefix of the test's topics.
func withTokens(file func(prefix string) (path string)) func(*rest.Config) {
	return func(c *rest.Config) {
		c.TokenFile, c.Allow = file(strings.TrimSuffix(c.Allow[0], "jsontest")), nil
	}
}

func TestATokenWritesAndReadsItsTopicsAlone(t *testing.T) {
	t.Parallel()
	shop, report, all := token("s"), token("r"), token("a")
	w := setup(t, withTokens(func(p string) string {
		return tokenFile(t, "# a comment", "", "shop "+shop+" write="+p+"test read="+p+"other", "report  "+report+" groups="+p+"report. read="+p+"test,"+p+"other",
			"shop "+token("2")+" write="+p+"test read="+p+"other", "all "+all+" write=* read=*")
	}))
	test, other, secret := w.topic("test", 1), w.topic("other", 1), w.topic("secret", 1)
	w.write(test, 0, nil, []byte(`1`))
	w.write(secret, 0, nil, []byte(`1`))

	// Nobody, and whoever has no token of the file, gets 401 for every path.
	for _, path := range []string{"/", "/topics", "/topics/" + test, "/brokers", "/consumers/g/instances/i/records", "/nothing"} {
		for _, headers := range [][]string{nil, {"Authorization: Bearer " + token("x")}, {"Authorization: Bearer "}, {"Authorization: " + shop},
			{"Authorization: Bearer " + token("s") + "s"}, {"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("report:"+shop))}} {
			a := w.call("GET", path, "", headers...)
			require.Equal(t, 40101, a.code(t), "%s %s", path, headers)
			require.Equal(t, []string{`Bearer realm="kafka"`, `Basic realm="kafka", charset="UTF-8"`}, a.header.Values("WWW-Authenticate"))
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/topics", nil)
	require.NoError(t, err)
	r.Header["Authorization"] = []string{"Bearer " + shop, "Bearer " + all}
	require.Equal(t, 40101, w.send(r).code(t), "two headers are none")
	require.Equal(t, 200, w.call("GET", "/topics", "", "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("shop:"+shop))).status)

	produce := func(token, path string) answer {
		return w.call("POST", path, `{"records": [{"value": 1}]}`, "Content-Type: "+asJSON, "Authorization: Bearer "+token)
	}
	for _, path := range []string{"/topics/%s", "/topics/%s/partitions/0"} {
		require.Equal(t, 200, produce(shop, fmt.Sprintf(path, test)).status)
		require.Equal(t, 200, produce(token("2"), fmt.Sprintf(path, test)).status, "the other token of the same name")
		require.Equal(t, 200, produce(all, fmt.Sprintf(path, secret)).status)
		for _, topic := range []string{other, secret, w.prefix + "none", "*"} {
			require.Equal(t, 40301, produce(shop, fmt.Sprintf(path, topic)).code(t), topic)
			require.Equal(t, 40301, produce(report, fmt.Sprintf(path, topic)).code(t), topic)
		}
	}

	// A topic of others looks like one that does not exist.
	require.JSONEq(t, fmt.Sprintf(`[%q, %q]`, other, test), w.as(shop, "GET", "/topics", "").body)
	for _, path := range []string{"/topics/%s", "/topics/%s/partitions", "/topics/%s/partitions/0", "/topics/%s/partitions/0/offsets"} {
		require.Equal(t, 200, w.as(shop, "GET", fmt.Sprintf(path, test), "").status)
		hidden, none := w.as(shop, "GET", fmt.Sprintf(path, secret), ""), w.as(shop, "GET", fmt.Sprintf(path, w.prefix+"nothing"), "")
		require.Equal(t, 40301, hidden.code(t))
		require.Equal(t, strings.ReplaceAll(hidden.body, secret, w.prefix+"nothing"), none.body)
	}

	// Every way to read.
	group := "/consumers/" + w.prefix + "g"
	require.Equal(t, 200, w.as(shop, "POST", group, `{"name": "i", "auto.offset.reset": "earliest"}`).status)
	i := group + "/instances/i"
	part := func(topic string) string { return fmt.Sprintf(`{"topic": %q, "partition": 0}`, topic) }
	for _, topic := range []string{test, secret, w.prefix + "nothing"} { // shop may write test, and may not read it
		for path, body := range map[string]string{
			"/subscription": fmt.Sprintf(`{"topics": [%q, %q]}`, other, topic), "/assignments": `{"partitions": [` + part(other) + `,` + part(topic) + `]}`,
			"/offsets": fmt.Sprintf(`{"offsets": [{"topic": %q, "partition": 0, "offset": 0}]}`, topic), "/positions/end": `{"partitions": [` + part(topic) + `]}`,
			"/positions":           fmt.Sprintf(`{"timestamps": [{"topic": %q, "partition": 0, "timestamp": "2026-01-02T03:04:05Z"}]}`, topic),
			"/positions/beginning": `{"partitions": [` + part(topic) + `]}`,
		} {
			require.Equal(t, 40301, w.as(shop, "POST", i+path, body).code(t), "%s %s", path, topic)
		}
		require.Equal(t, 40301, w.as(shop, "GET", i+"/offsets", `{"partitions": [`+part(topic)+`]}`).code(t))
	}
	require.Equal(t, 40301, w.as(shop, "POST", i+"/subscription", `{"topic_pattern": "`+other+`"}`).code(t), "a pattern may match later topics")
	require.Equal(t, 204, w.as(shop, "POST", i+"/subscription", fmt.Sprintf(`{"topics": [%q]}`, other)).status)

	// An instance belongs to its token: for others it does not exist, and they may have one of the same name.
	for _, call := range [][2]string{{"GET", "/records"}, {"GET", "/subscription"}, {"DELETE", "/subscription"}, {"DELETE", ""}, {"POST", "/offsets"}} {
		for _, stranger := range []string{report, all} {
			require.Equal(t, 40403, w.as(stranger, call[0], i+call[1], "").code(t), call)
		}
	}
	require.Equal(t, 200, w.as(all, "POST", group, `{"name": "i"}`).status)
	require.Equal(t, 200, w.as(token("2"), "GET", i+"/subscription", "").status, "the other token of the same name")
	require.Equal(t, 40301, w.as(report, "POST", group, `{"name": "i"}`).code(t), "not one of its groups")
	require.Equal(t, 200, w.as(report, "POST", "/consumers/"+w.prefix+"report.one", `{"name": "i"}`).status)
	require.Equal(t, 204, w.as(all, "POST", i+"/subscription", fmt.Sprintf(`{"topic_pattern": %q}`, w.prefix+"s.*")).status)
	require.Equal(t, 204, w.as(all, "DELETE", i, "").status)
	require.Equal(t, 204, w.as(shop, "DELETE", i, "").status)
}

func TestTokensAreExchangedWithoutARestart(t *testing.T) {
	t.Parallel()
	var path, prefix string
	w := setup(t, withTokens(func(p string) string {
		path, prefix = tokenFile(t, "shop "+token("1")+" read="+p+"test,"+p+"other"), p
		return path
	}))
	topic := w.topic("test", 1)
	require.Equal(t, 200, w.as(token("1"), "POST", "/consumers/"+prefix+"g", `{"name": "i"}`).status)
	i := "/consumers/" + prefix + "g/instances/i"
	require.Equal(t, 204, w.as(token("1"), "POST", i+"/subscription", fmt.Sprintf(`{"topics": [%q]}`, topic)).status)
	require.NoError(t, os.WriteFile(path, []byte("shop "+token("2")+" read="+prefix+"other\n"), 0o600))
	testkit.Eventually(t, func() error {
		if w.as(token("1"), "GET", "/topics", "").status != 401 {
			return os.ErrDeadlineExceeded
		}
		return nil
	})
	require.Equal(t, 40301, w.as(token("2"), "GET", i+"/records?timeout=10", "").code(t), "an instance reads on only what its token may read now")
	require.Equal(t, 204, w.as(token("2"), "DELETE", i+"/subscription", "").status)
}

func TestBadFilesOfTokensAreOneLine(t *testing.T) {
	t.Parallel()
	secret := token("s")
	open := tokenFile(t, "shop "+secret+" read=*")
	require.NoError(t, os.Chmod(open, 0o644))
	for path, says := range map[string]string{
		"/nowhere": "open /nowhere: no such file", open: open + " has the mode 0644, so others may read it: chmod 600 " + open,
		tokenFile(t): "has no token", tokenFile(t, "# only a comment", ""): "has no token",
		tokenFile(t, "shop "+secret):                                     "line 1 of ",
		tokenFile(t, "", "shop short read=*"):                            "a token of 5 characters is too short",
		tokenFile(t, "shop "+secret+" reads=*"):                          `"reads" is not write, read or groups`,
		tokenFile(t, "shop "+secret+" read=a read=b"):                    "each once",
		tokenFile(t, "shop "+secret+" read="):                            "word 3 is not",
		tokenFile(t, "shop "+secret+" read=a,,b"):                        `"" is not the name of a topic`,
		tokenFile(t, "shop "+secret+" write=a/b"):                        `"a/b" is not the name of a topic`,
		tokenFile(t, "shop "+secret+" groups=a"):                         "may neither write nor read",
		tokenFile(t, "shop "+secret+" read=a", "b "+secret+" read=b"):    "the token is on another line, too",
		tokenFile(t, "read=a "+secret+" write=a"):                        "begins with a name and a token",
		tokenFile(t, "shop read=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa write=a"): "begins with a name and a token",
	} {
		_, err := rest.New(rest.Config{Brokers: []string{"127.0.0.1:1"}, TokenFile: path})
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), secret)
	}
	_, err := rest.New(rest.Config{Brokers: []string{"127.0.0.1:1"}, TokenFile: open, Allow: []string{"orders"}})
	require.ErrorContains(t, err, "leave the list of topics out")
}
