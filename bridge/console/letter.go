package console

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"lpbridge/bridge"
)

// exportPause is how long a page of an export may take on its way.
const exportPause = 30 * time.Second

// Letter is a dead letter as it is shown: where it was going and why it did
// not get there. What it says is shown only to who asks for that.
type Letter struct {
	Seq       int64           `json:"seq"`
	Channel   string          `json:"channel"`
	Thread    bridge.ThreadID `json:"thread"`
	Direction string          `json:"direction"`
	Kind      bridge.Kind     `json:"kind"`
	// ID is the event's own id; empty when it has none.
	ID       bridge.EventID `json:"id,omitempty"`
	Accepted time.Time      `json:"accepted"`
	Died     time.Time      `json:"died"`
	Attempts int            `json:"attempts"`
	// Outcome is how the last delivery ended, Why what that means, Answer what the
	// far side said, or what went wrong on the way to it.
	Outcome string `json:"outcome"`
	Why     string `json:"why"`
	Answer  string `json:"answer,omitempty"`
	// InDoubt says that it may have arrived all the same.
	InDoubt bool `json:"inDoubt,omitempty"`
	// Expired says that its content is gone, so that it cannot be replayed.
	Expired bool `json:"expired,omitempty"`
	// Content is the event, for who asked for it.
	Content json.RawMessage `json:"content,omitempty"`
}

func letterOf(d *bridge.DeadLetter) Letter {
	return Letter{
		Seq: d.Seq, Channel: d.Lane.Channel, Thread: d.Lane.Thread, Direction: d.Lane.Direction.String(), Kind: d.Kind, ID: d.ID,
		Accepted: d.Accepted, Died: d.Died, Attempts: d.Attempts, Outcome: d.Last.String(), Why: why(d), Answer: d.Reason,
		InDoubt: d.Doubt != nil, Expired: d.Expired,
	}
}

// why says in words what an operator decides by.
func why(d *bridge.DeadLetter) string {
	far := "LivePerson"
	if d.Lane.Direction == bridge.ToChannel {
		far = "the channel " + d.Lane.Channel
	}
	words := map[bridge.Outcome]string{
		bridge.Invalid:      far + " will not take it; a replay ends the same way unless something changed there",
		bridge.Unauthorized: far + " refused our credential until it was given up; a replay helps once the credential is right",
		bridge.Throttled:    far + " asked for less until it was given up; a replay is likely to work now",
		bridge.Closed:       "its conversation was over and no other could be had",
		bridge.Retry:        far + " could not be reached, or failed, until it was given up; a replay is likely to work once that is mended",
		bridge.Unknown:      far + " was sent it and nobody knows whether it arrived; a replay may show it twice",
	}[d.Last]
	if words == "" {
		words = "it was given up before it was tried"
	}
	if d.Doubt != nil && d.Last != bridge.Unknown {
		words += "; an earlier try may have arrived, so that a replay may show it twice"
	}
	if d.Expired {
		words += "; its content is gone, so that it can only be discarded"
	}
	return words
}

// show answers with one dead letter, and with what it says if that is asked for.
func (c *Console) show(w http.ResponseWriter, r *http.Request) {
	seq, problem := parseSeq("seq", r.PathValue("seq"))
	if problem != nil {
		problem.ServeHTTP(w, r)
		return
	}
	content, problem := wantsContent(r.URL.Query())
	if problem != nil {
		problem.ServeHTTP(w, r)
		return
	}
	d, err := c.letters.DeadLetter(r.Context(), seq)
	switch {
	case err != nil:
		c.storeFailed("show", err).ServeHTTP(w, r)
	case d == nil:
		noSuchLetter.ServeHTTP(w, r)
	default:
		letter := letterOf(d)
		if content {
			letter.Content = contentOf(d)
			c.log.Warn("an operator read a dead letter", "seq", seq, "channel", letter.Channel, "thread", letter.Thread, "remote", r.RemoteAddr)
		}
		writeJSON(w, http.StatusOK, letter)
	}
}

var noSuchLetter = &bridge.Problem{Status: http.StatusNotFound, Title: "Not Found", Detail: "there is no dead letter of this seq", Field: "seq"}

// contentOf is the event as it was accepted. What cannot be read is not JSON and
// would end the answer.
func contentOf(d *bridge.DeadLetter) json.RawMessage {
	if d.Expired || !json.Valid(d.Payload) {
		return nil
	}
	return d.Payload
}

func wantsContent(query url.Values) (bool, *bridge.Problem) {
	switch query.Get("content") {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, badRequest("content", "must be true or false")
}

// export writes all dead letters that match, a line of JSON each, so that they can
// be kept before they are discarded.
func (c *Console) export(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	content, problem := wantsContent(values)
	if problem != nil {
		problem.ServeHTTP(w, r)
		return
	}
	values.Del("content")
	q, problem := parseQuery(values.Encode())
	if problem != nil {
		problem.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Content-Disposition", `attachment; filename="deadletters.ndjson"`)
	n, err := c.writeLetters(w, r, q, content)
	c.log.Warn("an operator exported dead letters", "count", n, "content", content, slog.Group("filter",
		"channel", q.Channel, "direction", q.Direction, "outcome", q.Outcome), "remote", r.RemoteAddr)
	if err != nil {
		c.log.Error("dead letters could not be read or changed", "action", "export", "error", err)
		// What is cut off must not look whole.
		panic(http.ErrAbortHandler)
	}
}

func (c *Console) writeLetters(w http.ResponseWriter, r *http.Request, q query, content bool) (n int, err error) {
	out := json.NewEncoder(w)
	for {
		found, next, err := c.find(r.Context(), q)
		if err != nil {
			return n, err
		}
		// A long export takes longer than other answers may.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportPause)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return n, err
		}
		for i := range found {
			letter, err := c.exported(r, &found[i], content)
			if err == nil && letter != nil {
				err = out.Encode(letter)
				n++
			}
			if err != nil {
				return n, err
			}
		}
		if next == 0 {
			return n, nil
		}
		q.After = next
	}
}

// exported is nil when the letter is gone meanwhile.
func (c *Console) exported(r *http.Request, d *bridge.DeadLetter, content bool) (*Letter, error) {
	if content {
		whole, err := c.letters.DeadLetter(r.Context(), d.Seq)
		if err != nil || whole == nil {
			return nil, err
		}
		d = whole
	}
	letter := letterOf(d)
	if content {
		letter.Content = contentOf(d)
	}
	return &letter, nil
}
