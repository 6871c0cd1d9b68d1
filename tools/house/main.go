// Command house prints how the code is laid out: lines of each package, what is
// longest and most involved, methods of each receiver and of each interface, the
// walks of a message and of a notification through the files, getters that write, and
// names that are exported for nobody. Its tests hold the limits.
//
// It is run at the top of the checkout and reads Go files only. For names it has
// the go command build the module, tests included, which takes a while at first.
package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// shown is how long the lists are.
const shown = 10

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(1)
	}
}

func run(to io.Writer) error {
	h, err := survey(".")
	if err != nil {
		return err
	}
	if err := h.print(to); err != nil {
		return err
	}
	s, err := findNames(".")
	if err != nil {
		return err
	}
	fmt.Fprint(to, "\nmethods of an interface, of them its own\n")
	for _, c := range s.interfaceCounts()[:shown] {
		fmt.Fprintf(to, "  %2d  %2d  %s %s\n", c.all, c.own, c.folder, c.name)
	}
	fmt.Fprint(to, "\ngetters that write\n")
	for _, m := range s.writingGetters() {
		fmt.Fprintf(to, "  %s %s\n", m.folder, m.full)
	}
	idle := s.idle()
	fmt.Fprintf(to, "\n%d exported names, %d of them for nobody\n", len(s.names), len(idle))
	for _, n := range idle {
		fmt.Fprintf(to, "  %s %s\n", n.folder, n.full)
	}
	return nil
}

// print writes everything as tables.
func (h *house) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "code\ttests\t\tpackage")
	for _, p := range h.packages() {
		fmt.Fprintf(w, "%d\t%d\t\t%s\n", p.code, p.tests, p.name)
	}
	list := func(title string, counts []count) {
		fmt.Fprintf(w, "\n%s\t\t\n", title)
		for _, c := range counts[:min(len(counts), shown)] {
			fmt.Fprintf(w, "%d\t\t%s\n", c.n, c.name)
		}
	}
	list("lines of a file", h.longestFiles())
	list("lines of a function", h.longestFunctions())
	list("cognitive complexity", h.mostInvolved())
	list("methods of a receiver", h.receivers())
	if err := w.Flush(); err != nil {
		return err
	}
	for _, walk := range walks {
		fmt.Fprintf(to, "\n%s\n", walk.of)
		for i, stop := range walk.stops {
			fmt.Fprintf(to, "  %2d  %-36s %s\n", i+1, stop.file, stop.function)
		}
	}
	return nil
}
