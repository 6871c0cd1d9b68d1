package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"lpbridge/bridge"
)

// eraseTime bounds an erasure: the journal is read as a whole, conversations end,
// free pages are written over.
const eraseTime = 15 * time.Minute

// subjectLimit is the longest body that names a consumer, in bytes.
const subjectLimit = 64 << 10

// longestID is the longest id of a consumer or thread that is looked for, in bytes.
const longestID = 1000

// Consumers shows and erases what is kept of one consumer. *relay.Consumers is one.
type Consumers interface {
	ExportConsumer(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error
	EraseConsumer(ctx context.Context, p *bridge.Person, closing bool) (bridge.Erased, error)
}

// Subject says whose data is meant.
type Subject struct {
	Channel string `json:"channel,omitempty"`
	// Consumer is the channel's id of them, or the ext_consumer_id that LivePerson
	// has; it may be empty when threads are named.
	Consumer bridge.ConsumerID `json:"consumer,omitempty"`
	Threads  []bridge.ThreadID `json:"threads,omitempty"`
	// Close lets an erasure close what is open.
	Close bool `json:"close,omitempty"`
}

// person is the subject as far as a request names it.
func (s *Subject) person() (*bridge.Person, error) {
	p := &bridge.Person{Channel: s.Channel, Threads: s.Threads}
	channel, external := s.Consumer.External()
	switch {
	case s.Consumer == "" && len(s.Threads) == 0:
		return nil, &bridge.FieldError{Field: "consumer", Reason: "must be the id of a consumer"}
	case len(s.Consumer) > longestID:
		return nil, &bridge.FieldError{Field: "consumer", Reason: fmt.Sprintf("must not be longer than %d bytes", longestID)}
	case external && (s.Channel == "" || s.Channel == channel):
		p.Channel, p.ExtConsumers = channel, []string{string(s.Consumer)}
	case s.Channel == "":
		return nil, &bridge.FieldError{Field: "channel", Reason: "must be named, unless the consumer is an ext_consumer_id"}
	case s.Consumer != "":
		p.Consumers = []bridge.ConsumerID{s.Consumer}
	}
	return p, nil
}

// subjectOf reads whose data a request means. Ids of people are in bodies: what is
// in addresses is logged on the way.
func subjectOf(w http.ResponseWriter, r *http.Request) (*Subject, *bridge.Person, error) {
	body, err := bridge.ReadJSON(w, r, subjectLimit)
	if err != nil {
		return nil, nil, err
	}
	s := new(Subject)
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(s) != nil || !errors.Is(d.Decode(new(any)), io.EOF) {
		return nil, nil, badRequest("", "the body must be one JSON object with channel and consumer (texts), threads (a list of texts) and close (true or false), each optional")
	}
	p, err := s.person()
	return s, p, err
}

// exportConsumer writes everything that is kept of a consumer, a line of JSON each.
func (c *Console) exportConsumer(w http.ResponseWriter, r *http.Request) {
	_, person, err := subjectOf(w, r)
	if err != nil {
		bridge.ProblemOf(err).ServeHTTP(w, r)
		return
	}
	n, out, deadline := 0, json.NewEncoder(w), http.NewResponseController(w)
	_ = deadline.SetWriteDeadline(time.Now().Add(eraseTime))
	err = c.consumers.ExportConsumer(r.Context(), person, func(k bridge.Kept) error {
		if n++; n == 1 {
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.Header().Set("Content-Disposition", `attachment; filename="consumer.ndjson"`)
		}
		return out.Encode(k)
	})
	if n == 0 && err != nil {
		c.consumerProblem("export", err).ServeHTTP(w, r)
		return
	}
	c.consumerActions.WithLabelValues("export").Inc()
	c.log.Warn("an operator exported what is kept of a consumer", "channel", person.Channel, "ext_consumer_ids", person.ExtConsumers,
		"things", n, "remote", r.RemoteAddr)
	if err != nil {
		c.log.Error("what is kept of a consumer could not be read", "error", err)
		// What is cut off must not look whole.
		panic(http.ErrAbortHandler)
	}
}

// eraseConsumer removes everything that is kept of a consumer.
func (c *Console) eraseConsumer(w http.ResponseWriter, r *http.Request) {
	subject, person, err := subjectOf(w, r)
	if err != nil {
		bridge.ProblemOf(err).ServeHTTP(w, r)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(eraseTime))
	// What was begun is finished, also when nobody waits for it any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), eraseTime)
	defer cancel()
	erased, err := c.consumers.EraseConsumer(ctx, person, subject.Close)
	if !erased.Nothing() {
		c.consumerActions.WithLabelValues("erase").Inc()
		c.log.Warn("an operator erased what is kept of a consumer", "channel", person.Channel, "ext_consumer_ids", person.ExtConsumers,
			slog.Group("erased", "consumers", erased.Consumers, "threads", erased.Threads, "conversations", erased.Conversations,
				"events", erased.Events, "dead_letters", erased.DeadLetters, "records", erased.Records, "others", erased.Others),
			"remote", r.RemoteAddr)
	}
	if err != nil {
		c.consumerProblem("erase", err).ServeHTTP(w, r)
		return
	}
	writeJSON(w, http.StatusOK, erased)
}

// consumerProblem is the answer when a consumer's data cannot be shown or erased.
func (c *Console) consumerProblem(action string, err error) *bridge.Problem {
	switch {
	case errors.Is(err, bridge.ErrNobody):
		return &bridge.Problem{Status: http.StatusNotFound, Title: "Not Found", Field: "consumer", Detail: bridge.ErrNobody.Error()}
	case errors.Is(err, bridge.ErrNoFarSide):
		return &bridge.Problem{Status: http.StatusNotFound, Title: "Not Found", Field: "channel", Detail: "must be a channel that runs"}
	case errors.Is(err, bridge.ErrAnothers):
		return &bridge.Problem{Status: http.StatusConflict, Title: "Conflict", Field: "threads", Detail: bridge.ErrAnothers.Error()}
	case errors.Is(err, bridge.ErrNotAtRest):
		return &bridge.Problem{
			Status: http.StatusConflict, Title: "Conflict", Field: "close",
			Detail: bridge.ErrNotAtRest.Error() + "; let it end, or say that it is to be closed",
		}
	}
	c.log.Error("what is kept of a consumer could not be read or erased", "action", action, "error", err)
	return &bridge.Problem{
		Status: http.StatusServiceUnavailable, Title: "Service Unavailable",
		Detail: "it did not work, see the log; it may be done again", RetryAfter: time.Second,
	}
}

// ExportConsumer writes everything that is kept of a consumer to w, a [bridge.Kept] a
// line, which the bridge logs.
func (c *Client) ExportConsumer(ctx context.Context, s Subject, w io.Writer) error {
	resp, err := c.request(ctx, "export", http.MethodPost, "/consumers/export", s)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("export: it is not whole: %w", err)
	}
	return nil
}

// EraseConsumer removes everything that is kept of a consumer, which the bridge logs.
func (c *Client) EraseConsumer(ctx context.Context, s Subject) (bridge.Erased, error) {
	var erased bridge.Erased
	err := c.call(ctx, "erase", http.MethodPost, "/consumers/erase", s, &erased)
	return erased, err
}
