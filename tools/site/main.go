// Command site renders the documents of the repository into pages that are read
// with a browser and nothing else: no server, no script, no network. Each page
// holds all it needs but its pictures.
//
// What a document links to and is no document, such as a source file, becomes a
// page that shows it. A link that leads nowhere is an error.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) error {
	flags := flag.NewFlagSet("site", flag.ContinueOnError)
	out := flags.String("out", "dist/site", "folder to write to")
	root := flags.String("root", ".", "top of the repository")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := read(*root)
	if err != nil {
		return err
	}
	n, err := s.write(*out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(log, "%d pages, begin with %s/index.html\n", n, *out)
	return err
}
