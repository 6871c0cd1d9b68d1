package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
)

const (
	defaultLimit = 50
	maxLimit     = 500
	// scanPage is how many dead letters are read at least at a time when most of
	// them may not match, and scanLimit how many one request reads at most.
	scanPage  = 200
	scanLimit = 20_000
	// batchLimit and batchTime bound what one request changes, so that it ends
	// well before the listener's write timeout.
	batchLimit = 500
	batchTime  = 10 * time.Second
	// filterLimit is the longest body of a filter, in bytes.
	filterLimit = 4 << 10
)

// Page is a part of the list of dead letters, oldest first.
type Page struct {
	DeadLetters []Letter `json:"deadLetters"`
	// Next is the value of "after" for the next page; absent on the last one.
	// A page that is not the last may be short, even empty, when few of many
	// dead letters match.
	Next int64 `json:"next,omitempty"`
}

// Filter says which dead letters are meant. Fields that are set must all match.
type Filter struct {
	Channel   string `json:"channel,omitempty"`
	Direction string `json:"direction,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
	// All must be set to mean every dead letter. An empty filter is refused, for
	// it is more often a mistake.
	All bool `json:"all,omitempty"`
	// DiedBefore leaves out what died later; the time of the request when not
	// set. What dies again after a replay is thus not replayed by the same sweep.
	DiedBefore time.Time `json:"diedBefore,omitzero"`
	// After leaves out what has this Seq or a lower one.
	After int64 `json:"after,omitempty"`
}

// doneAnswer says what a request changed.
type doneAnswer struct {
	// Count is how many dead letters were replayed or discarded.
	Count int `json:"count"`
	// Next and DiedBefore are set when there may be more: the same filter with
	// these as After and DiedBefore goes on from there.
	Next       int64     `json:"next,omitempty"`
	DiedBefore time.Time `json:"diedBefore,omitzero"`
}

// action is what an operator does with dead letters. It is a metric label.
type action string

const (
	replay  action = "replay"
	discard action = "discard"
)

func (c *Console) act(ctx context.Context, a action, seq int64) (bool, error) {
	change := c.letters.Revive
	if a == discard {
		change = c.letters.Discard
	}
	changed, err := change(ctx, seq)
	if changed {
		c.actions.WithLabelValues(string(a)).Inc()
	}
	return changed, err
}

func (c *Console) list(w http.ResponseWriter, r *http.Request) {
	q, problem := parseQuery(r.URL.RawQuery)
	if problem != nil {
		problem.ServeHTTP(w, r)
		return
	}
	found, next, err := c.find(r.Context(), q)
	if err != nil {
		c.storeFailed("list", err).ServeHTTP(w, r)
		return
	}
	page := Page{DeadLetters: make([]Letter, 0, len(found)), Next: next}
	for i := range found {
		page.DeadLetters = append(page.DeadLetters, letterOf(&found[i]))
	}
	writeJSON(w, http.StatusOK, page)
}

// one acts on the dead letter that the path names.
func (c *Console) one(a action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seq, problem := parseSeq("seq", r.PathValue("seq"))
		if problem != nil {
			problem.ServeHTTP(w, r)
			return
		}
		changed, err := c.act(r.Context(), a, seq)
		switch {
		case err != nil:
			c.storeFailed(string(a), err).ServeHTTP(w, r)
		case !changed:
			noSuchLetter.ServeHTTP(w, r)
		default:
			c.log.Info("dead letter changed", "action", a, "seq", seq, "remote", r.RemoteAddr)
			writeJSON(w, http.StatusOK, doneAnswer{Count: 1})
		}
	}
}

// matching acts on all dead letters that the filter in the body means.
func (c *Console) matching(a action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f, err := readFilter(w, r)
		if err != nil {
			bridge.ProblemOf(err).ServeHTTP(w, r)
			return
		}
		done, err := c.sweep(r.Context(), a, f)
		if done.Count > 0 {
			c.log.Info("dead letters changed", "action", a, "count", done.Count, slog.Group("filter",
				"channel", f.Channel, "direction", f.Direction, "outcome", f.Outcome), "remote", r.RemoteAddr)
		}
		if err != nil {
			problem := c.storeFailed(string(a), err)
			problem.Detail = fmt.Sprintf("the journal failed after %d dead letters were changed", done.Count)
			problem.ServeHTTP(w, r)
			return
		}
		writeJSON(w, http.StatusOK, done)
	}
}

// sweep acts on dead letters in their order, so that replayed ones of a lane
// keep it.
func (c *Console) sweep(ctx context.Context, a action, f Filter) (doneAnswer, error) {
	if f.DiedBefore.IsZero() {
		f.DiedBefore = time.Now()
	}
	var done doneAnswer
	found, next, err := c.find(ctx, query{Filter: f, limit: batchLimit})
	if err != nil {
		return done, err
	}
	until := time.Now().Add(batchTime)
	for i := range found {
		if i > 0 && time.Now().After(until) {
			next = found[i-1].Seq
			break
		}
		changed, err := c.act(ctx, a, found[i].Seq)
		if err != nil {
			return done, err
		}
		if changed {
			done.Count++
		}
	}
	if next != 0 {
		done.Next, done.DiedBefore = next, f.DiedBefore
	}
	return done, nil
}

// find reads dead letters until enough match, none are left or too many were
// read. Next is 0 when none are left.
func (c *Console) find(ctx context.Context, q query) (found []bridge.DeadLetter, next int64, err error) {
	after, size := q.After, max(q.limit+1, scanPage)
	for range scanLimit / scanPage {
		page, err := c.letters.DeadLetters(ctx, after, size)
		if err != nil {
			return nil, 0, err
		}
		for _, d := range page {
			if len(found) == q.limit {
				return found, after, nil
			}
			after = d.Seq
			if q.matches(&d) {
				found = append(found, d)
			}
		}
		if len(page) < size {
			return found, 0, nil
		}
	}
	return found, after, nil
}

func (f *Filter) matches(d *bridge.DeadLetter) bool {
	return (f.Channel == "" || f.Channel == d.Lane.Channel) &&
		(f.Direction == "" || f.Direction == d.Lane.Direction.String()) &&
		(f.Outcome == "" || f.Outcome == d.Last.String()) &&
		(f.DiedBefore.IsZero() || !d.Died.After(f.DiedBefore))
}

// storeFailed logs what the journal said and keeps it out of the answer.
func (c *Console) storeFailed(what string, err error) *bridge.Problem {
	c.log.Error("dead letters could not be read or changed", "action", what, "error", err)
	return &bridge.Problem{
		Status: http.StatusServiceUnavailable, Title: "Service Unavailable",
		Detail: "the journal did not answer, see the log", RetryAfter: time.Second,
	}
}

// query is what a list request asks for.
type query struct {
	Filter
	limit int
}

func parseQuery(raw string) (query, *bridge.Problem) {
	q := query{limit: defaultLimit}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, badRequest("", "the query string is malformed")
	}
	for name, given := range values {
		if len(given) > 1 {
			return q, badRequest(queryField(name), "must be given once")
		}
		if problem := q.set(name, given[0]); problem != nil {
			return q, problem
		}
	}
	return q, q.check()
}

func (q *query) set(name, value string) (problem *bridge.Problem) {
	switch name {
	case "after":
		q.After, problem = parseSeq("after", value)
	case "limit":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxLimit {
			return badRequest("limit", fmt.Sprintf("must be a whole number from 1 to %d", maxLimit))
		}
		q.limit = n
	case "channel":
		q.Channel = value
	case "direction":
		q.Direction = value
	case "outcome":
		q.Outcome = value
	default:
		return badRequest("", "the query knows after, limit, channel, direction and outcome")
	}
	return problem
}

// queryField returns the name when it is one of ours: others are not quoted.
func queryField(name string) string {
	if slices.Contains([]string{"after", "limit", "channel", "direction", "outcome"}, name) {
		return name
	}
	return ""
}

// outcomeNames and directionNames are the words a filter can use.
var (
	outcomeNames = []string{
		bridge.Unknown.String(), bridge.Throttled.String(), bridge.Unauthorized.String(), bridge.Closed.String(),
		bridge.Retry.String(), bridge.Invalid.String(), bridge.Delivered.String(),
	}
	directionNames = []string{bridge.ToLivePerson.String(), bridge.ToChannel.String()}
)

func (f *Filter) check() *bridge.Problem {
	if f.Outcome != "" && !slices.Contains(outcomeNames, f.Outcome) {
		return badRequest("outcome", "must be one of "+strings.Join(outcomeNames, ", "))
	}
	if f.Direction != "" && !slices.Contains(directionNames, f.Direction) {
		return badRequest("direction", "must be one of "+strings.Join(directionNames, ", "))
	}
	if f.After < 0 {
		return badRequest("after", "must be a whole number of at least 0")
	}
	return nil
}

func readFilter(w http.ResponseWriter, r *http.Request) (Filter, error) {
	body, err := bridge.ReadJSON(w, r, filterLimit)
	if err != nil {
		return Filter{}, err
	}
	f, problem := parseFilter(body)
	if problem != nil {
		return Filter{}, problem
	}
	return f, nil
}

func parseFilter(body []byte) (Filter, *bridge.Problem) {
	var f Filter
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(&f) != nil || d.Decode(new(any)) != io.EOF {
		return Filter{}, badRequest("", "the body must be one JSON object with channel, direction and outcome (texts), "+
			"all (true or false), diedBefore (RFC 3339 time) and after (number), each optional")
	}
	if problem := f.check(); problem != nil {
		return Filter{}, problem
	}
	narrowed := f.Channel != "" || f.Direction != "" || f.Outcome != ""
	if narrowed == f.All {
		return Filter{}, badRequest("all", "must be true to mean every dead letter; otherwise set channel, direction or outcome")
	}
	return f, nil
}

func parseSeq(field, text string) (int64, *bridge.Problem) {
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seq < 0 {
		return 0, badRequest(field, "must be a whole number of at least 0")
	}
	return seq, nil
}

func badRequest(field, detail string) *bridge.Problem {
	if field != "" {
		detail = field + " " + detail
	}
	return &bridge.Problem{Status: http.StatusBadRequest, Title: "Bad Request", Detail: detail, Field: field}
}
