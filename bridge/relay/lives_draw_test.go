package relay_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// storyThreads are the threads of a story and whose they are: the last two
// belong to one consumer.
var storyThreads = []struct{ thread, consumer string }{
	{"t-0", "u-0"}, {"t-1", "u-1"}, {"t-2", "u-2"}, {"t-3", "u-2"},
}

const lonelyThreads = 2

// story is one random life.
type story struct {
	// deaf says that echoes may be missing: LivePerson's webhooks are off or
	// some are dropped. A message may then arrive twice.
	deaf          bool
	notifications relay.Notifications
	survey        bool
	steps         []step
	pacing        sync.Mutex
	paces         *rand.Rand

	t         *testing.T
	r         *rig
	chronicle *chronicle
	// accepted are the texts answered 2xx, by thread.
	accepted map[string][]string
	said     []lpsim.Sent
	private  []string
	refused  map[bridge.EventID]bool
	mixed    bool
	ids      int
	lost     []string
}

type step struct {
	verb   string
	thread int
	text   string
	n      int
	pause  time.Duration
}

func (s step) String() string {
	return fmt.Sprintf("%-10s thread=%d text=%q n=%d then %v", s.verb, s.thread, s.text, s.n, s.pause)
}

func (s *story) String() string {
	lines := []string{fmt.Sprintf("  deaf=%t notifications=%s survey=%t", s.deaf, s.notifications, s.survey)}
	for _, step := range s.steps {
		lines = append(lines, "  "+step.String())
	}
	return strings.Join(lines, "\n")
}

// storyVerbs are what happens, the frequent more often.
var storyVerbs = []string{
	"say", "say", "say", "say", "say", "say", "say", "burst", "type",
	"agent", "agent", "agent", "private", "join", "close", "survey", "leave", "read",
	"end", "reopen", "profile", "rating",
	"faults", "faults", "faults", "calm", "channel", "channel", "journal", "crash", "restart",
}

var storyPauses = []time.Duration{
	0, 0, time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond, time.Second, 4 * time.Second, 12 * time.Second,
	40 * time.Second, 3 * time.Minute,
}

func drawStory(number uint64) *story {
	r := rand.New(rand.NewPCG(number, 0))
	s := &story{
		deaf:          r.IntN(6) == 0,
		notifications: pick(r, []relay.Notifications{relay.NotificationsOn, relay.NotificationsOn, relay.NotificationsAuto, relay.NotificationsOff}),
		survey:        r.IntN(2) == 0,
		accepted:      map[string][]string{},
		refused:       map[bridge.EventID]bool{},
		paces:         rand.New(rand.NewPCG(number, 1)),
	}
	s.deaf = s.deaf || s.notifications != relay.NotificationsOn
	for range 4 + r.IntN(37) {
		s.steps = append(s.steps, step{
			verb:   pick(r, storyVerbs),
			thread: r.IntN(len(storyThreads)),
			text:   pick(r, []string{"ok", "ok", "yes", ""}),
			n:      r.IntN(1001),
			pause:  pick(r, storyPauses),
		})
	}
	return s
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
