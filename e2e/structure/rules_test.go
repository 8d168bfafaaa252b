package structure_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"pasdetrois/pkg/messages"
)

// module is the first part of every import path of ours.
const module = "pasdetrois/"

// A rule says what is wrong with a file, in words that follow the file's path; nothing when all is well.
type rule func(f file) []string

func rules() []rule {
	return []rule{
		messagesNeedOnlyGo, platformKnowsNoBusiness, servicesAreStrangers, layersPointOneWay, toolsKnowTheContractOnly,
		theStackKnowsTheServicesOnly, toolsReadViewsOnly, brokerLibrariesStayInTheBus, peersAreStrangers,
		oneTable, packagesAreNamedAfterWhatTheyDo, filesStayShort, testsNeitherSleepNorSkip, nothingHappensAtImport, textsAreInPlainEnglish,
	}
}

// messagesNeedOnlyGo: the contract can be read, vendored or copied without anything else, its tests too.
func messagesNeedOnlyGo(f file) []string {
	if !f.in("pkg/messages") {
		return nil
	}
	return f.refuse("the contract needs the standard library only", func(imported string) bool {
		return standard(imported) || under(imported, module+"pkg/messages")
	})
}

var businessWord = regexp.MustCompile(`(?i)^(payments?|refunds?|notifications?|inventory|skus?|fraud|customers?|orders)$`)

// platformKnowsNoBusiness: what the plumbing is called and says would fit any other system. "Order" alone is a word of
// the plumbing too.
func platformKnowsNoBusiness(f file) []string {
	if !f.in("pkg/platform") || f.test {
		return nil
	}
	problems := f.refuse("the platform knows none of its users", func(imported string) bool {
		return !strings.HasPrefix(imported, module) || under(imported, module+"pkg/platform", module+"pkg/messages")
	})
	for _, word := range f.words {
		if businessWord.MatchString(word) {
			problems = append(problems, fmt.Sprintf("says %q: the platform has no word of the business", word))
		}
	}
	return problems
}

// servicesAreStrangers: services meet in the topics and nowhere else, their tests included.
func servicesAreStrangers(f file) []string {
	service := f.service()
	if service == "" {
		return nil
	}
	return f.refuse("a service uses the contract, the platform and itself", func(imported string) bool {
		if !strings.HasPrefix(imported, module) {
			return true
		}
		// A service whose migrations are its own applies them itself.
		if (f.test || strings.HasPrefix(service, "examples/")) && under(imported, module+"migrations") {
			return true
		}
		return under(imported, module+"pkg", module+service)
	})
}

// layersPointOneWay: domain <- app <- everything else in internal <- the service's root <- its command.
func layersPointOneWay(f file) []string {
	root := f.service()
	if root == "" || f.test {
		return nil
	}
	own := func(rooms ...string) []string {
		for i, room := range rooms {
			rooms[i] = path.Join(module+root, room)
		}
		return rooms
	}
	layer := strings.Split(strings.TrimPrefix(f.path, root+"/"), "/")
	switch {
	case layer[0] == "cmd":
		return f.refuse("a command only starts its service", func(imported string) bool {
			return !under(imported, own("internal")...)
		})
	case layer[0] != "internal":
		return nil
	case layer[1] == "domain":
		return f.refuse("a domain has rules, and needs the standard library and the contract only", func(imported string) bool {
			return standard(imported) || under(imported, append(own("internal/domain"), module+"pkg/messages")...)
		})
	}
	allowed := own("internal/domain", "internal/app", "internal/"+layer[1])
	return append(
		f.refuse("layers point one way: domain <- app <- the others <- the service's root", func(imported string) bool {
			return !under(imported, own("")...) || under(imported, allowed...)
		}),
		f.refuse("SQL belongs to the store and to the simulated provider", func(imported string) bool {
			return slices.Contains([]string{"store", "provider"}, layer[1]) || !strings.HasPrefix(imported, "github.com/jackc/pgx")
		})...)
}

// toolsKnowTheContractOnly: a tool works with every service that keeps the contract.
func toolsKnowTheContractOnly(f file) []string {
	if !f.in("toolbox") || f.test {
		return nil
	}
	return f.refuse("a tool knows the contract, the platform, the migrations and other tools", func(imported string) bool {
		return !strings.HasPrefix(imported, module) || under(imported, module+"pkg", module+"migrations", module+"toolbox")
	})
}

// theStackKnowsTheServicesOnly: scenarios, audits and proxies stand on the stack, so it starts without them.
func theStackKnowsTheServicesOnly(f file) []string {
	if !f.in("cmd/pas/stack") || f.test {
		return nil
	}
	return f.refuse("what starts the system knows the services, and nothing that stands on it", func(imported string) bool {
		return !strings.HasPrefix(imported, module) ||
			under(imported, module+"pkg", module+"migrations", module+"services", module+"toolbox/client", module+"toolbox/kafka")
	})
}

var (
	tableRead     = regexp.MustCompile(`(DELETE )?\b(?:FROM|JOIN) (?:[a-z]+\.)?([a-z_]+)`)
	privateTables = []string{"orders", "order_lines", "order_events", "inventory", "held_messages", "idempotency_keys", "outbox", "outbox_lease",
		"payments", "provider_ledger", "notifications", "dead_letters"}
)

// toolsReadViewsOnly: a service's tables are its own business; tools read the views that its migrations define. Tests of the
// tools may spoil tables. Change data capture reads the timeline's table, which it publishes, and the benchmark of retention makes
// the old rows that are removed.
func toolsReadViewsOnly(f file) []string {
	if !(f.in("e2e") && !f.in("e2e/cdc") && !f.in("e2e/retention")) && (f.test || !f.in("toolbox") && !f.in("cmd/pas")) {
		return nil
	}
	var problems []string
	for _, text := range f.texts {
		for _, found := range tableRead.FindAllStringSubmatch(text, -1) {
			if found[1] == "" && slices.Contains(privateTables, found[2]) {
				problems = append(problems, fmt.Sprintf("reads the private table %s: read a view audit_… or replay_…", found[2]))
			}
		}
	}
	return problems
}

// brokerLibrariesStayInTheBus: which libraries talk to Kafka is known in one place. The benchmark's peers are not the
// product: they are what it is compared with.
func brokerLibrariesStayInTheBus(f file) []string {
	if f.in("bench/peers") {
		return nil
	}
	return f.refuse("watermill belongs in the platform's bus, lanes and outbox, sarama in its bus, lanes and kafka", func(imported string) bool {
		switch {
		case strings.Contains(strings.ToLower(imported), "sarama"):
			return f.in("pkg/platform/bus") || f.in("pkg/platform/lanes") || f.in("pkg/platform/kafka")
		case strings.HasPrefix(imported, "github.com/ThreeDotsLabs/"):
			return f.in("pkg/platform/bus") || f.in("pkg/platform/lanes") || f.in("pkg/platform/outbox")
		}
		return true
	})
}

// peersAreStrangers: what the product is compared with shares its contract and none of its code, except in tests.
func peersAreStrangers(f file) []string {
	if !f.in("bench/peers") {
		return nil
	}
	return f.refuse("a peer uses the contract and nothing else of ours", func(imported string) bool {
		return !strings.HasPrefix(imported, module) || under(imported, module+"pkg/messages", path.Join(module, path.Dir(f.path))) ||
			f.test && under(imported, module+"pkg/platform")
	})
}

// oneTable: package messages has the only table of services, topics and final statuses. A second one would be forgotten
// when the first one grows. Tests may list what they expect, and the benchmark's peers are programs of their own.
func oneTable(f file) []string {
	if f.test || f.in("pkg/messages") || f.in("bench/peers") {
		return nil
	}
	for _, list := range f.lists {
		for _, one := range [][]string{messages.TopicNames(), messages.Services(), messages.SettledStatuses()} {
			if !slices.ContainsFunc(one, func(value string) bool { return !lists(list, value) }) {
				return []string{fmt.Sprintf("lists %v: package messages has that list", one)}
			}
		}
	}
	return nil
}

// lists reports whether a list has a value as text, or as a constant such as TopicOrders, ServiceOrders or Confirmed.
func lists(list []string, value string) bool {
	name := strings.ReplaceAll(value, "-", "")
	return slices.ContainsFunc(list, func(s string) bool {
		return s == value || slices.ContainsFunc([]string{"", "Topic", "Service", "Kind"}, func(prefix string) bool { return strings.EqualFold(s, prefix+name) })
	})
}

// packagesAreNamedAfterWhatTheyDo: these names say nothing, so everything ends up there.
func packagesAreNamedAfterWhatTheyDo(f file) []string {
	name := strings.TrimSuffix(f.pkg, "_test")
	if slices.Contains([]string{"util", "utils", "common", "model", "models", "helper", "helpers", "misc", "shared"}, name) {
		return []string{fmt.Sprintf("is of package %s: name it after what it is responsible for", name)}
	}
	return nil
}

const longest = 400

func filesStayShort(f file) []string {
	if f.lines > longest && !f.generated {
		return []string{fmt.Sprintf("has %d lines, more than %d", f.lines, longest)}
	}
	return nil
}

// testsNeitherSleepNorSkip: a test waits for a signal or a deadline, and what it needs it starts.
func testsNeitherSleepNorSkip(f file) []string {
	if !f.test {
		return nil
	}
	var problems []string
	for _, call := range f.calls {
		switch receiver, method, _ := strings.Cut(call, "."); {
		case call == "time.Sleep":
			problems = append(problems, "sleeps: wait for a signal, or until a deadline")
		case slices.Contains([]string{"t", "b", "f", "tb"}, receiver) && strings.HasPrefix(method, "Skip"):
			problems = append(problems, "skips: start what is missing, or fail and name it")
		}
	}
	return problems
}

func nothingHappensAtImport(f file) []string {
	if f.hasInit {
		return []string{"has an init function"}
	}
	return nil
}

// notPlain are the phrases that a reader of a log line, an error or a help text has to translate.
var notPlain = regexp.MustCompile(`(?i)\b((was|were|is|are|been) told|made anew|passed over|kept aside|goes on by itself|whoever|gets? on with|sharing out|(stands?|stood) still)\b`)

// textsAreInPlainEnglish: a service resumes, a record is skipped, a message is held, a topic is deleted and created again.
func textsAreInPlainEnglish(f file) []string {
	if f.test || !f.in("cmd") && !f.in("pkg") && !f.in("services") && !f.in("toolbox") && !f.in("migrations") {
		return nil
	}
	var problems []string
	for _, text := range f.texts {
		if phrase := notPlain.FindString(text); phrase != "" {
			problems = append(problems, fmt.Sprintf("says %q: CONTRIBUTING.md has plain words", phrase))
		}
	}
	return problems
}

// standard reports whether an import path is of the standard library.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && first+"/" != module
}

// under reports whether an import path is one of the folders or in one of them.
func under(imported string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		return imported == folder || strings.HasPrefix(imported, folder+"/")
	})
}
