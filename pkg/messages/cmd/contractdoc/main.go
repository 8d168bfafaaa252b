// Command contractdoc writes docs/schema/<event>.v1.json and docs/asyncapi.json from the Go types of the contract. With
// -check it writes nothing and exits 1 when the files say something else than the code.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"pasdetrois/pkg/messages/internal/contractdoc"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("contractdoc", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", "docs", "folder of the documents")
	check := flags.Bool("check", false, "compare instead of writing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if !*check {
		if err := contractdoc.Write(*dir); err != nil {
			fmt.Fprintln(stderr, "contractdoc:", err)
			return 1
		}
		return 0
	}
	diffs, err := contractdoc.Check(*dir)
	if err != nil {
		fmt.Fprintln(stderr, "contractdoc:", err)
		return 1
	}
	for _, d := range diffs {
		fmt.Fprintln(stdout, d)
	}
	if len(diffs) > 0 {
		fmt.Fprintf(stderr, "contractdoc: %d of the files in %s differ from the code; run contractdoc without -check\n", len(diffs), *dir)
		return 1
	}
	return 0
}
