// Command settings writes the tables of environment variables in docs/operations.md, from the tags of the configurations that
// read them: `go run ./e2e/settings` from the root of the repository. With -check it compares them and changes nothing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/services/notifications"
	"pasdetrois/services/orders"
	"pasdetrois/services/payments"
)

const document = "docs/operations.md"

func main() {
	check := flag.Bool("check", false, "compare only")
	flag.Parse()
	if err := write(*check); err != nil {
		fmt.Fprintln(os.Stderr, "settings:", err)
		os.Exit(1)
	}
}

func write(check bool) error {
	content, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before := string(content)
	after, err := updated(before)
	if err != nil || after == before {
		return err
	}
	if check {
		return errors.New(document + " does not have the settings that the services read: run `make generate`")
	}
	return os.WriteFile(document, []byte(after), 0o644)
}

// updated returns the text with its tables written again.
func updated(text string) (string, error) {
	variables := run.Variables[kafka.Access]()
	text, err := replace(text, "the services", servicesTable(messages.Services(), settingsOf, variables))
	if err != nil {
		return "", err
	}
	return replace(text, "access to Kafka", kafkaTable(variables))
}

// settingsOf returns what a service reads.
func settingsOf(service string) []run.Variable {
	switch service {
	case messages.ServiceOrders:
		return run.Variables[orders.Config]()
	case messages.ServicePayments:
		return run.Variables[payments.Config]()
	default:
		return run.Variables[notifications.Config]()
	}
}

// replace puts a table between the lines that begin and end it.
func replace(text, name, table string) (string, error) {
	begin := "<!-- settings of " + name + ": written by `make generate` -->\n"
	const end = "<!-- end of the settings -->\n"
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("%s has no place for a table: %s", document, begin)
	}
	return before + begin + table + end + after, nil
}

// servicesTable has each variable once, with the services that read it. A default that is not the same in all of them is
// shown for each. Variables of the other table are left out.
func servicesTable(services []string, settings func(string) []run.Variable, other []run.Variable) string {
	type row struct {
		run.Variable
		readers, defaults []string
	}
	var rows []*row
	for _, service := range services {
		for _, v := range settings(service) {
			if slices.ContainsFunc(other, func(o run.Variable) bool { return o.Name == v.Name }) {
				continue
			}
			at := slices.IndexFunc(rows, func(r *row) bool { return r.Name == v.Name })
			if at < 0 {
				at = len(rows)
				rows = append(rows, &row{Variable: v})
			}
			rows[at].readers = append(rows[at].readers, service)
			rows[at].defaults = append(rows[at].defaults, v.Default)
		}
	}
	var table strings.Builder
	table.WriteString("| variable | services | default | meaning |\n|---|---|---|---|\n")
	for _, r := range rows {
		readers := strings.Join(r.readers, ", ")
		if len(r.readers) == len(services) {
			readers = "all"
		}
		fallback := r.Default
		if slices.ContainsFunc(r.defaults, func(d string) bool { return d != fallback }) {
			var each []string
			for i, d := range r.defaults {
				if d != "" {
					each = append(each, r.readers[i]+" "+d)
				}
			}
			fallback = strings.Join(each, ", ")
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", r.Name, readers, cell(fallback), cell(r.Meaning))
	}
	return table.String()
}

func kafkaTable(variables []run.Variable) string {
	var table strings.Builder
	table.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range variables {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", v.Name, cell(v.Default), cell(v.Meaning))
	}
	return table.String()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
