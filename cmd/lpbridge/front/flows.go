package front

import (
	"slices"
	"time"
)

// Directions, kinds and milestones of a flow, in the words of the page.
const (
	toLivePerson = "toLivePerson"
	toChannel    = "toChannel"

	kindMessage = "message"
	kindTyping  = "typing"

	reachedOnDisk    = "on disk"    // what was said was answered with success
	reachedSent      = "sent"       // LivePerson has it
	reachedEchoed    = "echoed"     // LivePerson's notification of it was taken
	reachedDelivered = "delivered"  // the consumer's client has it
	reachedTold      = "agent told" // LivePerson knows that the consumer has it
	reachedShown     = "shown"      // typing is seen on the other side
	reachedCleared   = "cleared"    // and is no longer
)

// mostFlows is how many are kept.
const mostFlows = 200

// Flow is the way of one message, or of one time of typing, through the bridge.
type Flow struct {
	ID         int64       `json:"id"`
	Direction  string      `json:"direction"`
	Channel    string      `json:"channel,omitempty"`
	Kind       string      `json:"kind"`
	Text       string      `json:"text,omitempty"`
	Milestones []Milestone `json:"milestones"`
	// Copies is how often it arrived beyond once.
	Copies int `json:"copies,omitempty"`

	began time.Time
	// key is the message's id as its channel knows it, or where it lies in LivePerson.
	key string
	// at is where LivePerson has it, once that is known.
	at position
}

// Milestone is something that happened to a flow, and how long after it began.
type Milestone struct {
	Name string  `json:"name"`
	Ms   float64 `json:"ms"`
}

// position is where LivePerson keeps an event.
type position struct {
	dialog   string
	sequence int64
}

// before are the milestones that one cannot come without.
var before = map[string][]string{
	reachedSent: {reachedOnDisk}, reachedEchoed: {reachedSent, reachedOnDisk}, reachedDelivered: {reachedOnDisk}, reachedTold: {reachedDelivered, reachedOnDisk},
	reachedCleared: {reachedShown},
}

// step adds what happened, the first time it did, and says whether that is new. What is
// heard of only after what followed from it had happened by then at the latest.
func (f *Flow) reach(name string, at time.Time) bool {
	if f.has(name) {
		return false
	}
	s := Milestone{name, max(0, float64(at.Sub(f.began).Microseconds())/1000)}
	for i := range f.Milestones {
		other := &f.Milestones[i]
		if slices.Contains(before[other.Name], name) {
			s.Ms = min(s.Ms, other.Ms)
		}
		if slices.Contains(before[name], other.Name) {
			other.Ms = min(other.Ms, s.Ms)
		}
	}
	f.Milestones = append(f.Milestones, s)
	return true
}

func (f *Flow) has(name string) bool {
	for _, s := range f.Milestones {
		if s.Name == name {
			return true
		}
	}
	return false
}

// copied is a flow as it may be told, while this one goes on.
func (f *Flow) copied() Flow {
	out := *f
	out.Milestones = append([]Milestone{}, f.Milestones...)
	return out
}

// flows are the newest ones, oldest first.
type flows struct {
	list []*Flow
	next int64
}

func (fs *flows) add(f Flow) *Flow {
	fs.next++
	f.ID = fs.next
	if len(fs.list) >= mostFlows {
		fs.list = append(fs.list[:0], fs.list[1:]...)
	}
	fs.list = append(fs.list, &f)
	return &f
}

// oldest is the first flow that fits, newest the last; nil when none does.
func (fs *flows) oldest(fits func(*Flow) bool) *Flow {
	for _, f := range fs.list {
		if fits(f) {
			return f
		}
	}
	return nil
}

func (fs *flows) newest(fits func(*Flow) bool) *Flow {
	for _, f := range slices.Backward(fs.list) {
		if fits(f) {
			return f
		}
	}
	return nil
}

func (fs *flows) remove(gone *Flow) {
	for i, f := range fs.list {
		if f == gone {
			fs.list = append(fs.list[:i], fs.list[i+1:]...)
			return
		}
	}
}

func (fs *flows) copied() []Flow {
	out := make([]Flow, len(fs.list))
	for i, f := range fs.list {
		out[i] = f.copied()
	}
	return out
}
