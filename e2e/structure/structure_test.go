// Package structure_test holds the repository to its own layout: which package may import which, and what no file may
// have. It reads sources only, so it needs neither a build nor anything that runs.
package structure_test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// root is the repository's, from this folder.
const root = "../.."

func TestSourcesKeepTheRules(t *testing.T) {
	t.Parallel()
	found, err := problems(os.DirFS(root))
	require.NoError(t, err)
	require.Empty(t, found)
}

// TestTheRulesNotice gives each rule a file that breaks it and nothing else, and one beside it that does not.
func TestTheRulesNotice(t *testing.T) {
	t.Parallel()
	imports := func(pkg, imported string) string { return "package " + pkg + "\n\nimport _ \"" + imported + "\"\n" }
	cases := map[string]struct {
		path, good, bad string
	}{
		"a contract with a dependency": {"pkg/messages/id.go",
			imports("messages", "encoding/json"), imports("messages", "github.com/google/uuid")},
		"a contract that uses the platform": {"pkg/messages/id.go",
			imports("messages", "pasdetrois/pkg/messages/internal/x"), imports("messages", "pasdetrois/pkg/platform/bus")},
		"a platform that uses a service": {"pkg/platform/run/run.go",
			imports("run", "pasdetrois/pkg/platform/bus"), imports("run", "pasdetrois/services/orders")},
		"a platform with a word of the business": {"pkg/platform/bus/bus.go",
			"package bus\n\nvar keepOrder, eventID = 1, `ORDER BY id`\n", "package bus\n\nvar lastPaymentID = 1\n"},
		"a platform that says a word of the business": {"pkg/platform/bus/bus.go",
			"package bus\n\nconst topic = `events`\n", "package bus\n\nconst topic = `orders`\n"},
		"a service that uses another": {"services/orders/orders.go",
			imports("orders", "pasdetrois/services/orders/internal/app"), imports("orders", "pasdetrois/services/payments")},
		"an example that uses a service": {"examples/shipping/shipping.go",
			imports("shipping", "pasdetrois/migrations"), imports("shipping", "pasdetrois/services/payments")},
		"a service whose test uses another": {"services/orders/orders_test.go",
			imports("orders_test", "pasdetrois/migrations"), imports("orders_test", "pasdetrois/services/payments")},
		"a service that uses the tool": {"services/orders/orders.go",
			imports("orders", "pasdetrois/pkg/platform/run"), imports("orders", "pasdetrois/toolbox/client")},
		"a domain with a library": {"services/orders/internal/domain/order.go",
			imports("domain", "pasdetrois/pkg/messages"), imports("domain", "github.com/google/uuid")},
		"a domain that knows its use cases": {"services/orders/internal/domain/order.go",
			imports("domain", "slices"), imports("domain", "pasdetrois/services/orders/internal/app")},
		"use cases that know the store": {"services/orders/internal/app/app.go",
			imports("app", "pasdetrois/services/orders/internal/domain"), imports("app", "pasdetrois/services/orders/internal/store")},
		"use cases that know their service": {"services/orders/internal/app/app.go",
			imports("app", "pasdetrois/pkg/platform/bus"), imports("app", "pasdetrois/services/orders")},
		"use cases with SQL": {"services/orders/internal/app/app.go",
			imports("app", "pasdetrois/pkg/platform/pgdb"), imports("app", "github.com/jackc/pgx/v5")},
		"HTTP that knows the store": {"services/orders/internal/httpapi/httpapi.go",
			imports("httpapi", "pasdetrois/services/orders/internal/app"), imports("httpapi", "pasdetrois/services/orders/internal/store")},
		"a store that knows HTTP": {"services/orders/internal/store/store.go",
			imports("store", "github.com/jackc/pgx/v5"), imports("store", "pasdetrois/services/orders/internal/httpapi")},
		"a command that looks inside": {"services/orders/cmd/orders/main.go",
			imports("main", "pasdetrois/services/orders"), imports("main", "pasdetrois/services/orders/internal/store")},
		"a stack that knows its guests": {"cmd/pas/stack/stack.go",
			imports("stack", "pasdetrois/services/orders"), imports("stack", "pasdetrois/toolbox/audit")},
		"a tool that reads a private table": {"toolbox/audit/rows.go",
			"package audit\n\nconst rowsSQL = `SELECT 1 FROM audit_orders`\n", "package audit\n\nconst rowsSQL = `SELECT 1 FROM " + "orders`\n"},
		"watermill outside": {"pkg/platform/outbox/outbox.go",
			imports("outbox", "github.com/ThreeDotsLabs/watermill/message"), imports("outbox", "github.com/IBM/sarama")},
		"sarama outside": {"pkg/platform/bus/bus.go",
			imports("bus", "github.com/IBM/sarama"), imports("bus", "pasdetrois/migrations")},
		"watermill in a service": {"services/orders/internal/app/app.go",
			imports("app", "pasdetrois/pkg/platform/bus"), imports("app", "github.com/ThreeDotsLabs/watermill/message")},
		"a tool that knows a service": {"toolbox/audit/audit.go",
			imports("audit", "pasdetrois/pkg/messages"), imports("audit", "pasdetrois/services/orders")},
		"a second list of topics": {"bench/site/site.go",
			"package site\n\nvar topics = []string{\"orders\", \"payments\"}\n",
			"package site\n\nvar topics = map[string]int{messages.TopicOrders: 1, messages.TopicPayments: 2, messages.TopicNotifications: 3, messages.TopicOrderFailures: 4}\n"},
		"a second list of services": {"cmd/pas/stack/stack.go",
			"package stack\n\nvar services = []string{client.Orders, client.Payments}\n",
			"package stack\n\nvar services = []string{client.Orders, client.Payments, client.Notifications}\n"},
		"a second list of final statuses": {"toolbox/audit/merge.go",
			"package audit\n\nfunc f(s string) { switch s { case \"confirmed\": } }\n",
			"package audit\n\nfunc f(s string) { switch s { case \"confirmed\", \"rejected\", \"failed\", \"cancelled\": } }\n"},
		"a peer that uses the product": {"bench/peers/idiomatic/kafka.go",
			imports("main", "github.com/ThreeDotsLabs/watermill/message"), imports("main", "pasdetrois/pkg/platform/bus")},
		"a peer's test that uses a service": {"bench/peers/idiomatic/kafka_test.go",
			imports("main", "pasdetrois/pkg/platform/testkit"), imports("main", "pasdetrois/services/orders")},
		"a name that says nothing": {"toolbox/client/client.go",
			"package client\n", "package utils\n"},
		"a long file": {"toolbox/client/client.go",
			"package client\n" + strings.Repeat("\n", longest-1), "package client\n" + strings.Repeat("\n", longest)},
		"a test that sleeps": {"toolbox/client/client_test.go",
			"package client\n\nvar _ = time.After(1)\n", "package client\n\nfunc f() { time.Sl" + "eep(1) }\n"},
		"a test that skips": {"toolbox/client/client_test.go",
			"package client\n\nfunc f() { t.Log() }\n", "package client\n\nfunc f() { t.Sk" + "ip() }\n"},
		"a text that reads as translated": {"toolbox/client/client.go",
			"package client\n\n// A client that was told.\nvar text = \"the record is skipped\"\n", "package client\n\nvar text = \"the record is passed over\"\n"},
		"work at import": {"toolbox/client/client.go",
			"package client\n\nfunc (c client) init() {}\n", "package client\n\nfunc init() {}\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(source string) []string {
				found, err := problems(fstest.MapFS{c.path: {Data: []byte(source)}})
				require.NoError(t, err)
				return found
			}
			require.Empty(t, check(c.good))
			require.Len(t, check(c.bad), 1)
		})
	}
}

// unwanted is text that no file of the repository has: work put off, folders of somebody's machine.
var unwanted = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b|(^|[\s"'=(` + "`" + `:])/(root|work|Users)/|/home/(?:[a-mo-z]|n[a-np-z])`)

// hints are what any unwanted text has in it: looking for them first is much faster than the expression.
var hints = []string{"TO" + "DO", "FIX" + "ME", "/ro" + "ot/", "/wo" + "rk/", "/Us" + "ers/", "/ho" + "me/"}

func findUnwanted(line string) string {
	for _, hint := range hints {
		if strings.Contains(line, hint) {
			return unwanted.FindString(line)
		}
	}
	return ""
}

func TestNoFileHasUnwantedText(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"// TO" + "DO: later", "/ro" + "ot/go", "cd /wo" + "rk/main", "/ho" + "me/ada/x", "see \"/Us" + "ers/ada\""} {
		require.NotEmpty(t, findUnwanted(bad), bad)
	}
	for _, good := range []string{"mktemp pas.XXXX" + "XX", "https://example.com/work/", "/home/nonroot", "/var/lib/postgresql"} {
		require.Empty(t, findUnwanted(good), good)
	}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if err == nil && skipped(entry.Name()) && !slices.Contains([]string{".github", ".ci", "testdata"}, entry.Name()) {
				return fs.SkipDir
			}
			return err
		}
		if name == ".git" { // a worktree's pointer
			return nil
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		if bytes.IndexByte(content, 0) >= 0 { // a binary that somebody built here
			return nil
		}
		for number, line := range strings.Split(string(content), "\n") {
			if found := findUnwanted(line); found != "" && path.Base(name) != "Dockerfile" {
				t.Errorf("%s:%d has %q", name, number+1, found)
			}
		}
		return nil
	})
	require.NoError(t, err)
}

// TestTheWorkspaceHasEveryModule: a module that go.work does not name is neither built nor tested by anybody.
func TestTheWorkspaceHasEveryModule(t *testing.T) {
	t.Parallel()
	workspace, err := os.ReadFile(filepath.Join(root, "go.work"))
	require.NoError(t, err)
	var modules int
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && skipped(entry.Name()) {
			return fs.SkipDir
		}
		if entry.Name() == "go.mod" && !strings.HasPrefix(name, "tools/") { // linters and Prometheus are none of the product's dependencies
			modules++
			require.Contains(t, string(workspace), "\t./"+path.Dir(name)+"\n")
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, modules, 5)
}
