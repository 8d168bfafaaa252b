// Command codecgen writes pkg/messages/codec_gen.go from the tags of the contract's types. With -check it writes nothing
// and exits 1 when the file differs from what it would write.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"pasdetrois/pkg/messages/internal/codecgen"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("codecgen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", "pkg/messages", "folder of the package")
	check := flags.Bool("check", false, "compare instead of writing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	err := generate(*dir, *check)
	if err != nil {
		fmt.Fprintln(stderr, "codecgen:", err)
		return 1
	}
	return 0
}

func generate(dir string, check bool) error {
	if !check {
		return codecgen.Write(dir)
	}
	same, err := codecgen.Same(dir)
	if err == nil && !same {
		err = errors.New(codecgen.File + " differs from the types; run codecgen without -check")
	}
	return err
}
