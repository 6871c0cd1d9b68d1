package relay

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"lpbridge/bridge"
)

const (
	// openingsFlag remembers the openings in doubt.
	openingsFlag = "openings_in_doubt"
	// openingKept is how long an opening is believed to have been applied when
	// nothing is heard of it.
	openingKept = 24 * time.Hour
)

// opening is a conversation that a thread's consumer was to get.
type opening struct {
	Channel string          `json:"channel"`
	Thread  bridge.ThreadID `json:"thread"`
	Since   time.Time       `json:"since"`

	underWay, doubted bool
}

// openings knows which conversations may exist that nobody knows of: those that
// are being opened, and those whose opening got no answer. What LivePerson says
// of an unknown conversation may be about one of them.
type openings struct {
	flags bridge.Flags
	log   *slog.Logger

	mu sync.Mutex
	// byConsumer has them by LivePerson's id of the consumer, who has one at most.
	byConsumer map[string]*opening
	// suspect is until when an earlier process may have left one that it could
	// not note.
	suspect time.Time

	// writing keeps what is written down in order. It has one key.
	writing mutexes
}

func newOpenings(flags bridge.Flags, log *slog.Logger) *openings {
	return &openings{flags: flags, log: log, byConsumer: map[string]*opening{}}
}

// recall reads what an earlier process left in doubt. What it was about to open
// when it was killed it could not note, so that for a while any may be.
func (o *openings) recall(ctx context.Context, suspect time.Duration) error {
	text, err := o.flags.Flag(ctx, openingsFlag)
	if err != nil {
		return err
	}
	left := map[string]*opening{}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &left); err != nil {
			o.log.Error("what is known of openings in doubt is not readable", "error", err)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.suspect = time.Now().Add(suspect)
	for consumer, x := range left {
		if time.Since(x.Since) < openingKept {
			x.doubted = true
			o.byConsumer[consumer] = x
		}
	}
	return nil
}

// begin notes that a conversation is being opened for a consumer.
func (o *openings) begin(consumer string, key bridge.ThreadKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	x := o.byConsumer[consumer]
	if x == nil {
		x = &opening{Since: time.Now()}
		o.byConsumer[consumer] = x
	}
	x.Channel, x.Thread, x.underWay = key.Channel, key.Thread, true
}

// refused notes that the opening under way was surely not applied. An earlier
// one that is in doubt stays so.
func (o *openings) refused(consumer string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if x := o.byConsumer[consumer]; x != nil {
		if x.underWay = false; !x.doubted {
			delete(o.byConsumer, consumer)
		}
	}
}

// doubt notes that nobody knows what became of the opening under way.
func (o *openings) doubt(ctx context.Context, consumer string) {
	o.mu.Lock()
	x := o.byConsumer[consumer]
	if x == nil {
		o.mu.Unlock()
		return
	}
	noted := x.doubted
	x.underWay, x.doubted = false, true
	o.mu.Unlock()
	if !noted {
		o.note(ctx)
	}
}

// known notes that it is known which conversation the consumer has.
func (o *openings) known(ctx context.Context, consumer string) {
	o.mu.Lock()
	x := o.byConsumer[consumer]
	if x == nil {
		o.mu.Unlock()
		return
	}
	delete(o.byConsumer, consumer)
	noted := x.doubted
	o.mu.Unlock()
	if noted {
		o.note(ctx)
	}
}

// note writes down what is in doubt.
func (o *openings) note(ctx context.Context) {
	// Who asked may be gone; what is in doubt is to be remembered all the same.
	ctx = context.WithoutCancel(ctx)
	release, err := o.writing.lock(ctx, openingsFlag)
	if err == nil {
		defer release()
		err = o.flags.SetFlag(ctx, openingsFlag, o.doubts())
	}
	if err != nil {
		o.log.Error("the journal did not remember an opening in doubt", "error", err)
	}
}

func (o *openings) doubts() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := map[string]*opening{}
	for consumer, x := range o.byConsumer {
		if x.doubted {
			left[consumer] = x
		}
	}
	if len(left) == 0 {
		return ""
	}
	text, err := json.Marshal(left)
	if err != nil {
		o.log.Error("openings in doubt cannot be written down", "error", err)
	}
	return string(text)
}

// threadOf is the thread for which a consumer's conversation is being opened.
func (o *openings) threadOf(consumer string) (key bridge.ThreadKey, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	x := o.byConsumer[consumer]
	if x == nil {
		return bridge.ThreadKey{}, false
	}
	return bridge.ThreadKey{Channel: x.Channel, Thread: x.Thread}, true
}

// possible reports whether a conversation that nobody knows may be ours.
func (o *openings) possible() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.byConsumer) > 0 || time.Now().Before(o.suspect)
}

// expire forgets openings in doubt of which nothing was heard for very long.
func (o *openings) expire() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for consumer, x := range o.byConsumer {
		if !x.underWay && time.Since(x.Since) > openingKept {
			delete(o.byConsumer, consumer)
		}
	}
}
