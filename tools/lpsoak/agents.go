package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/connector/lpsim"
)

// lookEvery is how often agents look for new conversations.
const lookEvery = 200 * time.Millisecond

// agents are the people in LivePerson. What they do always works: it is
// LivePerson's own.
type agents struct {
	lp *livePerson

	mu   sync.Mutex
	open map[string]string // conversation by consumer

	sent atomic.Int64
	// quiet is when the last agent stopped typing, in ns since 1970.
	quiet atomic.Int64
}

// watch keeps up with which conversations are open.
func (a *agents) watch(ctx context.Context) {
	for pause(ctx, lookEvery) == nil {
		all, err := a.lp.own(ctx)
		if err != nil {
			continue
		}
		open := map[string]string{}
		for _, s := range all {
			if s.State == "OPEN" {
				open[consumerOf(s)] = s.ConversationID
			}
		}
		a.mu.Lock()
		a.open = open
		a.mu.Unlock()
	}
}

func (a *agents) conversationOf(consumer string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open[consumer]
}

// agent serves one consumer.
type agent struct {
	all      *agents
	rng      *rand.Rand
	consumer string
	// told is what the consumer must see, in order.
	told []told
	// closes says that the agent closes one conversation on the way.
	closes bool
}

// agentMessage is what an agent writes, or notes for other agents.
type agentMessage struct {
	Text    string `json:"text"`
	Private bool   `json:"private"`
}

// told is a message to the consumer and where LivePerson put it.
type told struct {
	text     string
	position position
	// at is when LivePerson took it; of messages of consumers only.
	at time.Time
}

// serve writes n messages, with the given time between two of them on average.
// It ends early when the consumer has no conversation and will open none.
func (a *agent) serve(ctx context.Context, n int, every time.Duration, gone <-chan struct{}) error {
	closeAt := -1
	if a.closes {
		closeAt = n/4 + a.rng.IntN(n/4+1)
	}
	for i := 0; i < n; {
		if err := pause(ctx, time.Duration(a.rng.Int64N(int64(2*every)+1))); err != nil {
			return err
		}
		conversation := a.all.conversationOf(a.consumer)
		if conversation == "" {
			select {
			case <-gone:
				return nil
			default:
				continue
			}
		}
		if i == closeAt {
			closeAt = -1
			if err := a.act(ctx, conversation, "close", struct{}{}, nil); err != nil {
				return err
			}
			continue
		}
		done, err := a.answer(ctx, conversation, i)
		if err != nil {
			return err
		}
		if done {
			i++
		}
	}
	return nil
}

// answer types, writes and stops typing. It reports whether it wrote: the
// conversation may close under its hands.
func (a *agent) answer(ctx context.Context, conversation string, i int) (bool, error) {
	types := a.rng.IntN(2) == 0
	if types {
		if err := a.types(ctx, conversation, "COMPOSING"); err != nil {
			return false, err
		}
		if err := pause(ctx, time.Duration(a.rng.Int64N(int64(200*time.Millisecond)))); err != nil {
			return false, err
		}
	}
	m := agentMessage{Text: fmt.Sprintf("answer %d to %s", i, a.consumer), Private: a.rng.IntN(20) == 0}
	if a.rng.IntN(6) == 0 {
		m.Text = "one moment"
	}
	var sent lpsim.Sent
	if err := a.act(ctx, conversation, "messages", m, &sent); err != nil {
		return false, err
	}
	if sent.DialogID != "" && !m.Private {
		a.told = append(a.told, told{text: m.Text, position: position{sent.DialogID, sent.Sequence}})
		a.all.sent.Add(1)
	}
	if a.rng.IntN(5) == 0 {
		if err := a.act(ctx, conversation, "read", struct{}{}, nil); err != nil {
			return false, err
		}
	}
	if types {
		return sent.DialogID != "", a.types(ctx, conversation, "ACTIVE")
	}
	return sent.DialogID != "", nil
}

func (a *agent) types(ctx context.Context, conversation, state string) error {
	a.all.quiet.Store(time.Now().UnixNano())
	return a.act(ctx, conversation, "typing", map[string]string{"chatState": state}, nil)
}

// act does something in a conversation; that it was closed meanwhile is no
// error, nor that there is nothing to read in it yet.
func (a *agent) act(ctx context.Context, conversation, what string, in, out any) error {
	status, err := a.all.lp.call(ctx, http.MethodPost, "/sim/conversations/"+conversation+"/agent/"+what, in, out)
	if status == http.StatusConflict || what == "read" && status == http.StatusBadRequest {
		return nil
	}
	return err
}
