package front

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"lpbridge/connector/lpsim"
)

const (
	// followAgain is the pause before the simulator's events are asked for anew.
	followAgain = 200 * time.Millisecond
	// settleEvery is how often the bridge is asked whether it has work left.
	settleEvery = 500 * time.Millisecond
	// settled is how many answers in a row must say that it has none.
	settled = 3
	// clearWithin is what typing may take to be cleared after the message it led to.
	clearWithin = 2 * time.Second
	// endAfterStart is what a bridge that came back may take to end what the one
	// before it left.
	endAfterStart = 10 * time.Second
)

// follow reads the simulator's events until ctx ends.
func (f *Front) follow(ctx context.Context) {
	for ctx.Err() == nil {
		f.readEvents(ctx)
		pause(ctx, followAgain)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (f *Front) readEvents(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.simulator+"/sim/events", nil)
	if err != nil {
		return
	}
	resp, err := f.local.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 8<<20)
	kind := ""
	for lines.Scan() {
		if name, is := strings.CutPrefix(lines.Text(), "event: "); is {
			kind = name
		}
		if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
			f.happened(kind, []byte(data))
		}
	}
}

// happened takes one event of the simulator.
func (f *Front) happened(kind string, data []byte) {
	switch kind {
	case "reset":
		f.introduce()
		f.watch.reset()
		f.watch.stream.tell("faults", f.faults.state())
	case "faults":
		f.watch.stream.tell("faults", f.faults.state())
	case "message":
		var told struct {
			ConversationID string `json:"conversationId"`
			Event          lpsim.Entry
		}
		if json.Unmarshal(data, &told) != nil {
			return
		}
		if c, known := f.sim.Conversation(told.ConversationID); known {
			f.watch.entry(&c, &told.Event)
		}
	case "typing":
		var told struct {
			ConversationID string `json:"conversationId"`
			Event          lpsim.ChatStateRecord
		}
		if json.Unmarshal(data, &told) != nil {
			return
		}
		if c, known := f.sim.Conversation(told.ConversationID); known {
			channel, _, _ := strings.Cut(c.ExtConsumerID, ":")
			f.watch.state(told.ConversationID, channel, told.Event)
		}
	}
}

// audit asks the bridge again and again whether it has work left: what has not
// arrived when it has none is lost.
func (f *Front) audit(ctx context.Context) {
	quiet := 0
	for ctx.Err() == nil {
		pending, err := f.pending(ctx)
		if quiet++; err != nil || pending > 0 {
			quiet = 0
		}
		f.watch.settle(quiet >= settled, f.typingLeft()+f.sink.left())
		pause(ctx, settleEvery)
	}
}

// typingLeft counts open conversations in which the agent sees somebody type who has
// written since, or whose typing was told by a bridge that was killed.
func (f *Front) typingLeft() (n int) {
	born := f.born.Load()
	for _, s := range f.sim.Conversations() {
		if !s.ConsumerTyping || s.State != "OPEN" {
			continue
		}
		c, known := f.sim.Conversation(s.ConversationID)
		if known && leftTyping(&c, time.Unix(0, born), time.Now()) {
			n++
		}
	}
	return n
}

// leftTyping says whether typing that an agent sees will never end, with a bridge
// that was born then.
func leftTyping(c *lpsim.Conversation, born, now time.Time) bool {
	var since time.Time
	for _, r := range c.ChatStates {
		if r.Role == lpsim.RoleConsumer && r.ChatState == "COMPOSING" {
			since = r.Time
		}
	}
	ended := since
	for i := range c.Transcript {
		if e := &c.Transcript[i]; e.Role == lpsim.RoleConsumer && e.Type == "ContentEvent" && e.Time.After(since) {
			ended = e.Time
		}
	}
	if ended.After(since) {
		return now.Sub(ended) > clearWithin
	}
	return since.Before(born) && now.Sub(born) > endAfterStart
}
