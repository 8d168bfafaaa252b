package run

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Variable is an environment variable that a configuration reads.
type Variable struct {
	Name    string
	Default string // "" when there is none
	Meaning string // with the unit of a number
}

// defaulter is a configuration with defaults that its tags do not have.
type defaulter interface{ SetDefaults() }

func defaults[C any]() C {
	var cfg C
	if d, ok := any(&cfg).(defaulter); ok {
		d.SetDefaults()
	}
	return cfg
}

// Variables returns the variables that C reads, in the order of its fields. The tags of a field describe its variable: env is
// the name, envDefault the default, desc the meaning. A field without envDefault has the default that C's method SetDefaults
// gives it, if C has one.
func Variables[C any]() []Variable { return variables(reflect.ValueOf(defaults[C]())) }

func variables(cfg reflect.Value) []Variable {
	var all []Variable
	for i := range cfg.NumField() {
		field := cfg.Type().Field(i)
		tag, isVariable := field.Tag.Lookup("env")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case name == "-":
		case isVariable:
			v := Variable{Name: name, Default: field.Tag.Get("envDefault"), Meaning: field.Tag.Get("desc")}
			if v.Default == "" && !cfg.Field(i).IsZero() {
				v.Default = fmt.Sprint(cfg.Field(i))
			}
			all = append(all, v)
		case field.Type.Kind() == reflect.Struct:
			all = append(all, variables(cfg.Field(i))...)
		}
	}
	return all
}

// Parse reads C from environ. A variable NAME that is not set may be in a file that NAME_FILE names, so that secrets need not be
// in the environment. An empty variable counts as not set, and spaces around a file's content are removed.
//
// A value that cannot be read is left at its default, so that the caller can still validate the rest. The error has all
// problems, in the order of the fields, each with the name of its variable.
func Parse[C any](environ map[string]string) (C, error) {
	all := Variables[C]()
	values, problems := make(map[string]string), make(map[string]error)
	for _, v := range all {
		value, file := environ[v.Name], environ[v.Name+"_FILE"]
		if value == "" && file != "" {
			content, err := os.ReadFile(file)
			if err != nil {
				problems[v.Name] = fmt.Errorf("%s_FILE: %w", v.Name, err)
			}
			value = strings.TrimSpace(string(content))
		}
		if value != "" {
			values[v.Name] = value
		}
	}
	cfg, err := parse[C](values)
	if err != nil {
		// The library's errors name Go fields. Parsing each variable alone shows which of them fails.
		for name, value := range values {
			if _, err := parse[C](map[string]string{name: value}); err != nil {
				problems[name] = fmt.Errorf("%s: %w", name, cause(err))
				delete(values, name)
			}
		}
		cfg, err = parse[C](values)
	}
	var errs []error
	for _, v := range all {
		errs = append(errs, problems[v.Name])
	}
	return cfg, errors.Join(append(errs, err)...)
}

func parse[C any](values map[string]string) (C, error) {
	cfg := defaults[C]()
	err := env.ParseWithOptions(&cfg, env.Options{Environment: values})
	return cfg, err
}

// cause removes the name of the Go field from a parse error: an operator sees variables only.
func cause(err error) error {
	var all env.AggregateError
	if errors.As(err, &all) && len(all.Errors) == 1 {
		err = all.Errors[0]
	}
	var field env.ParseError
	if errors.As(err, &field) {
		return field.Err
	}
	return err
}

// usage writes the help text, with all variables of C.
func usage[C any](w io.Writer, service string) {
	fmt.Fprintf(w, "usage: %s [healthcheck|version|help]\n\nWithout a subcommand the service runs until SIGTERM or Ctrl-C. It reads its configuration from the environment.\nEach NAME may also be given as NAME_FILE, a file with the value.\n\n", service)
	for _, v := range Variables[C]() {
		fmt.Fprintf(w, "  %s", v.Name)
		if v.Default != "" {
			fmt.Fprintf(w, " (default %q)", v.Default)
		}
		fmt.Fprintf(w, "\n      %s\n", v.Meaning)
	}
}
