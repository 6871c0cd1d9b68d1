package lane

import (
	"flag"
	"os"
	"testing"
)

// TestMain gives the property test the same lives in every run, so that a
// change that fails is a change that broke something. Other lives come with
// -rapid.seed=N -rapid.checks=M.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.seed"); f != nil && f.Value.String() == "0" {
		if err := f.Value.Set("1"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
