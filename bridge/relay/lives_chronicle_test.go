package relay_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/connector"
	"lpbridge/connector/lpsim"
)

// chronicle is all that happened in a life, in order: what came, what was called
// and answered, what was written and what was said in the log. Only a life that
// fails shows it. A nil chronicle notes nothing.
type chronicle struct {
	began time.Time

	mu    sync.Mutex
	lines []chronicled
}

// chronicled is written out only when somebody wants to read it.
type chronicled struct {
	at     time.Duration
	what   string
	format string
	args   []any
}

func newChronicle() *chronicle { return &chronicle{began: time.Now()} }

// add notes something. What its arguments point to must not change afterwards.
func (c *chronicle) add(what, format string, args ...any) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, chronicled{time.Since(c.began), what, format, args})
}

func (c *chronicle) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, l := range c.lines {
		fmt.Fprintf(&b, "%12.6f %-9s %s\n", l.at.Seconds(), l.what, fmt.Sprintf(l.format, l.args...))
	}
	return b.String()
}

// Write takes a line of the log.
func (c *chronicle) Write(line []byte) (int, error) {
	c.add("log", "%s", strings.TrimSpace(string(line)))
	return len(line), nil
}

// logger logs everything to the chronicle.
func (c *chronicle) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(c, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == "stack" {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// called notes a call to LivePerson when it is made, and its end.
func (c *chronicle) called(r *http.Request, body string) (ended func(*http.Response, error)) {
	if c == nil {
		return func(*http.Response, error) {}
	}
	c.add("call", "%s %s", r.URL.Path, body)
	began := time.Now()
	return func(resp *http.Response, err error) {
		if err != nil {
			c.add("answer", "%s after %v: %v", r.URL.Path, time.Since(began), err)
			return
		}
		c.add("answer", "%s after %v: %d", r.URL.Path, time.Since(began), resp.StatusCode)
	}
}

// notified notes what LivePerson's webhook brings.
func (c *chronicle) notified(body []byte) (answered func(status int)) {
	if c == nil {
		return func(int) {}
	}
	what := aboutNotification(body)
	c.add("webhook", "%s", what)
	return func(status int) { c.add("webhook", "%s: %d", what, status) }
}

func aboutNotification(body []byte) string {
	parsed, err := connector.ParseNotification(body)
	if err != nil {
		return err.Error()
	}
	var about []string
	switch n := parsed.(type) {
	case *connector.MessagingEventNotification:
		for _, m := range n.Changes {
			about = append(about, fmt.Sprintf("%s/%s %d %s %s %s%q", m.ConversationID, m.DialogID, m.Sequence, m.OriginatorRole, m.Event.Type, m.Event.ChatState, m.Event.Text))
		}
	case *connector.ExConversationChangeNotification:
		for _, x := range n.Changes {
			about = append(about, fmt.Sprintf("%s %s state=%s stage=%s dialogs=%d updated=%d", x.Type, x.ConversationID, x.State, x.Stage, len(x.Dialogs), x.LastUpdate))
		}
	}
	return strings.Join(about, ", ")
}

// applied notes what a call did at LivePerson.
func (c *chronicle) applied(a lpsim.Applied) {
	c.add("applied", "%s %s/%s %d%s", a.Type, a.ConversationID, a.DialogID, a.Sequence, a.ChatState)
}

// witness is a journal that a chronicle follows.
type witness struct {
	*bridgetest.Journal
	chronicle *chronicle
}

func (w witness) Append(ctx context.Context, b bridge.Batch) ([]int64, error) {
	for i := range b.Entries {
		e := &b.Entries[i]
		w.chronicle.add("append", "%v %s %s begun=%t", e.Lane, e.Kind, e.ID, e.Begun)
	}
	for _, u := range b.Unclaimed {
		w.chronicle.add("append", "unclaimed %s/%s %d", u.Conversation, u.Dialog, u.Sequence)
	}
	seqs, err := w.Journal.Append(ctx, b)
	w.chronicle.add("appended", "%v %v", seqs, err)
	return seqs, err
}

func (w witness) Settle(s bridge.Settlement) {
	w.chronicle.add("settle", "%d %v %s final=%d attempts=%d doubt=%v next=%d at %s/%d %s %s", s.Seq, s.Lane, s.Outcome, s.Final, s.Attempts,
		s.Doubt, s.Next, s.Dialog, s.Sequence, s.Source, s.Reason)
	durable := s.Durable
	s.Durable = func(err error) {
		w.chronicle.add("settled", "%d %v", s.Seq, err)
		if durable != nil {
			durable(err)
		}
	}
	w.Journal.Settle(s)
}

func (w witness) Begin(seq int64, durable func(error)) {
	w.Journal.Begin(seq, func(err error) {
		w.chronicle.add("begun", "%d %v", seq, err)
		durable(err)
	})
}

func (w witness) Save(ctx context.Context, s bridge.Standing) error {
	err := w.Journal.Save(ctx, s)
	for _, t := range s.Threads {
		w.chronicle.add("saved", "thread %s has %s: %v", t.ID, t.Conversation, err)
	}
	for i := range s.Conversations {
		c := &s.Conversations[i]
		w.chronicle.add("saved", "conversation %s of %s open=%t survey=%q dialogs=%v: %v", c.ID, c.Thread, c.Open, c.Survey, c.Dialogs, err)
	}
	return err
}
