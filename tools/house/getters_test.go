package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGettersDoNotWrite holds what [search.writingGetters] has as a rule: who asks for
// something need not think of what asking changes.
func TestGettersDoNotWrite(t *testing.T) {
	for _, m := range loaded(t).writingGetters() {
		t.Errorf("%s: %s reads like a getter and changes what its receiver has: give it a verb, or divide it", m.folder, m.full)
	}
}

func TestWritingGettersAreFound(t *testing.T) {
	s := searched(t, map[string]string{"a/a.go": `package a

import ("net/http"; "sync"; "sync/atomic")

type inner struct{ n int }

func (i *inner) bump() int { i.n++; return i.n } // no comment says that it acts

// other is something that shelves know.
type other struct{ n int }

// add puts one more.
func (o *other) add() { o.n++ }

// shelves are.
type shelves interface {
	// Width is how wide.
	Width() int
}

type shelf struct {
	n     int
	byID  map[string]*inner
	in    inner
	known *other
	hits  atomic.Int64
	once  sync.Once
}

func (s *shelf) count() int { s.n++; return s.n }

// first returns the first.
func (s *shelf) first() *inner { i := s.byID["a"]; i.n = 1; return i }

// last returns the last.
func (s *shelf) last() int { return s.in.bump() }

// through is what first is.
func (s *shelf) through() *inner { return s.first() }

// rest tells the rest.
func (s *shelf) rest() bool { delete(s.byID, "a"); return true }

func (s *shelf) used() int64 { return s.hits.Add(1) }

// Width implements [shelves].
func (s *shelf) Width() int { s.n = 2; return s.n }

// What follows reads, or says that it writes.

// size is how many.
func (s shelf) size() int { s.n = len(s.byID); return s.n }

// table is made once.
func (s *shelf) table() int { s.once.Do(func() { s.n = 3 }); return s.n }

// depth is asked elsewhere.
func (s *shelf) depth() int { s.known.add(); return s.known.n }

// doors are where it counts.
func (s *shelf) doors() http.Handler { return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.n++ }) }

// undo is what takes it back.
func (s *shelf) undo() func() { return func() { s.n-- } }

// oldest takes the oldest away.
func (s *shelf) oldest() int { s.n--; return s.n }

// addOne returns how many there are then.
func (s *shelf) addOne() int { s.n++; return s.n }

// copied is another one.
func (s *shelf) copied() *shelf { s = &shelf{}; s.n = 1; return s }
`})
	var found []string
	for _, m := range s.writingGetters() {
		found = append(found, m.full)
	}
	want := []string{"shelf.count", "shelf.first", "shelf.last", "shelf.through", "shelf.rest", "shelf.used", "shelf.Width", "inner.bump"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("getters that write (-want +got):\n%s", diff)
	}
}
