// Package progress tells whoever waits for a long command how far it is: on a terminal as one line that is written over,
// elsewhere, such as in a log of continuous integration, as a plain line now and then. What it says goes to the standard
// error, for the standard output belongs to results. It assumes that nothing else writes to that terminal meanwhile.
package progress

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// terminalEvery is how often a terminal is written to, plainEvery how often anything else.
	terminalEvery = 200 * time.Millisecond
	plainEvery    = 10 * time.Second
)

// clear returns to the start of a terminal's line and empties it.
const clear = "\r\x1b[K"

// Show tells what words returns until stop is called; a plain line is left out when it would say the same again. Words are
// asked for by another goroutine. Stop leaves a terminal's line empty; calling it again does nothing.
func Show(out io.Writer, words func() string) (stop func()) {
	s := shower{out: out, words: words, terminal: terminal(out), began: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.run(ctx) })
	return sync.OnceFunc(func() { cancel(); running.Wait() })
}

type shower struct {
	out      io.Writer
	words    func() string
	terminal bool
	began    time.Time
	last     string
}

func (s *shower) run(ctx context.Context) {
	every := plainEvery
	if s.terminal {
		every = terminalEvery
		defer fmt.Fprint(s.out, clear)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.show()
		}
	}
}

func (s *shower) show() {
	words := s.words()
	took := time.Since(s.began).Round(time.Second)
	switch {
	case s.terminal:
		fmt.Fprintf(s.out, "%s%s  %s", clear, took, words)
	case words != s.last:
		fmt.Fprintf(s.out, "%s  %s\n", took, words)
	}
	s.last = words
}

// terminal reports whether somebody looks at out.
func terminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	about, err := file.Stat()
	return err == nil && about.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
