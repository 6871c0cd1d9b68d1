package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInterfacesStaySmall: whoever asks for an interface asks for little, or for
// what is put together from little.
func TestInterfacesStaySmall(t *testing.T) {
	counts := loaded(t).interfaceCounts()
	if len(counts) < 30 {
		t.Fatalf("only %d interfaces were found", len(counts))
	}
	for _, c := range counts {
		if c.own > mostAsked {
			t.Errorf("%s: %s has %d methods of its own, at most %d can be asked for at once: put it together from smaller ones", c.folder, c.name, c.own, mostAsked)
		}
	}
}

func TestMethodsOfInterfacesAreCounted(t *testing.T) {
	s := searched(t, map[string]string{"a/a.go": `package a

type Small interface{ A(); B() }
type Whole interface { Small; C() }

func f(interface{ D() }) {}

var _ = func() { f(nil) }
`})
	var found []interfaceCount
	for _, c := range s.interfaceCounts() {
		c.at = ""
		found = append(found, c)
	}
	want := []interfaceCount{
		{folder: "a", name: "Whole", own: 1, all: 3},
		{folder: "a", name: "Small", own: 2, all: 2},
		{folder: "a", name: "interface in f", own: 1, all: 1},
	}
	if diff := cmp.Diff(want, found, cmp.AllowUnexported(interfaceCount{})); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
}
