package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// livePerson is the simulator's management API.
type livePerson struct {
	base   string
	client http.Client
}

// call makes one request and decodes the answer into out, which may be nil.
func (l *livePerson) call(ctx context.Context, method, path string, in, out any) (int, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, l.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err
	}
	if resp.StatusCode >= 300 {
		return resp.StatusCode, fmt.Errorf("the simulator answered %d: %s", resp.StatusCode, bytes.TrimSpace(data))
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(data, out)
}

func (l *livePerson) stats(ctx context.Context) (lpsim.Stats, error) {
	var s lpsim.Stats
	_, err := l.call(ctx, http.MethodGet, "/sim/stats", nil, &s)
	return s, err
}

// own lists our conversations, oldest first.
func (l *livePerson) own(ctx context.Context) ([]lpsim.Summary, error) {
	var all []lpsim.Summary
	if _, err := l.call(ctx, http.MethodGet, "/sim/conversations", nil, &all); err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s lpsim.Summary) bool { return s.Foreign || consumerOf(s) == "" })
	slices.SortStableFunc(all, func(a, b lpsim.Summary) int { return a.Started.Compare(b.Started) })
	return all, nil
}

// consumerKey makes the ids of consumers known to both sides.
const consumerKey = "lpsoak"

// mostConsumers is the most a run can have.
const mostConsumers = 50_000

// known are the channel's ids of consumers by LivePerson's.
var known = sync.OnceValue(func() map[string]string {
	known := make(map[string]string, mostConsumers)
	for i := range mostConsumers {
		known[bridge.ExtConsumerID([]byte(consumerKey), "webhook", bridge.ConsumerID(consumerName(i)))] = consumerName(i)
	}
	return known
})

// consumerOf is the channel's id of the consumer of a conversation, empty when it is
// none of ours.
func consumerOf(s lpsim.Summary) string { return known()[s.ExtConsumerID] }

func (l *livePerson) conversation(ctx context.Context, id string) (lpsim.Conversation, error) {
	var c lpsim.Conversation
	_, err := l.call(ctx, http.MethodGet, "/sim/conversations/"+id, nil, &c)
	return c, err
}

// typing lists the conversations whose agent sees the consumer typing. Closed
// ones show nothing any more.
func (l *livePerson) typing(ctx context.Context) ([]string, error) {
	all, err := l.own(ctx)
	if err != nil {
		return nil, err
	}
	var typing []string
	for _, s := range all {
		if s.ConsumerTyping && s.Stage == "OPEN" {
			typing = append(typing, consumerOf(s)+" in "+s.ConversationID)
		}
	}
	return typing, nil
}

// calmDown ends the misbehaviour.
func (l *livePerson) calmDown(ctx context.Context) error {
	_, err := l.call(ctx, http.MethodPut, "/sim/faults", lpsim.Faults{}, nil)
	return err
}
