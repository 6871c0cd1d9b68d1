// Command module gives the module another path: everywhere in the checkout it is
// run in. Until the repository has a public home, that is how somebody
// publishes a copy that others can import.
//
// It assumes a clean checkout and changes only what names a package of ours: the
// module lines of the go.mod files, imports and other strings of Go files, and
// words of other texts. lpbridge as the name of the program stays.
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "module:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 || args[0] == "" {
		return errors.New("usage: make module MODULE=github.com/you/lpbridge")
	}
	changed, err := rename(".", args[0])
	if err != nil {
		return err
	}
	fmt.Printf("%d files changed; the module is %s\n", changed, args[0])
	return nil
}
