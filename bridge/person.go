package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strconv"
	"time"
)

// Person is one consumer of one channel with all they are known by there, as far
// as it is kept.
type Person struct {
	Channel string
	// Consumers are the channel's ids of them; more than one where somebody proved
	// later who they are.
	Consumers []ConsumerID
	// ExtConsumers are the ext_consumer_ids LivePerson was given, LPConsumers its
	// own ids.
	ExtConsumers, LPConsumers []string
	Threads                   []ThreadID
	// Conversations and Dialogs are LivePerson's.
	Conversations, Dialogs []string
}

// Kept is one thing that is kept of a person, as an export shows it. Credentials
// in it are named and not shown.
type Kept struct {
	// What it is: "consumer", "thread", "conversation", "event", "position",
	// "unclaimed", "composing", or the kind of a record.
	What string `json:"what"`
	// ID is its own, or its number.
	ID   string    `json:"id"`
	Time time.Time `json:"time,omitzero"`
	// Data is all else that is kept.
	Data json.RawMessage `json:"data,omitempty"`
	// Content are the bytes of a file.
	Content []byte `json:"content,omitempty"`
	// Record says which record it is; nil for all that is none.
	Record *RecordKey `json:"-"`
}

// RecordKey names one record of one channel, whose name is empty for the core's.
type RecordKey struct {
	Channel, Kind string
	ID            int64
}

// NamedIn reports whether something of LivePerson's names the person by an id it
// has for them.
func (p *Person) NamedIn(text []byte) bool {
	return slices.ContainsFunc(slices.Concat(p.ExtConsumers, p.LPConsumers, p.Conversations), func(id string) bool {
		return bytes.Contains(text, []byte(id))
	})
}

// recordsPage is how many records are read at once.
const recordsPage = 100

// EachRecord goes through the records of a kind below a parent. It ends with the
// first error.
func EachRecord(ctx context.Context, records RecordReader, kind, parent string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for after := int64(0); ; {
			page, err := records.List(ctx, kind, parent, Page{After: after, Limit: recordsPage})
			if err != nil {
				yield(Record{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
			}
			if len(page) < recordsPage {
				return
			}
			after = page[recordsPage-1].ID
		}
	}
}

// Hidden stands for a credential in what is exported.
const Hidden = "(not shown)"

// KeptRecord is a record with what is shown of its data.
func KeptRecord(channel string, r *Record, shown any, content []byte) (Kept, error) {
	data, err := json.Marshal(shown)
	if err != nil {
		return Kept{}, err
	}
	key := RecordKey{Channel: channel, Kind: r.Kind, ID: r.ID}
	return Kept{What: r.Kind, ID: strconv.FormatInt(r.ID, 10), Time: r.Time, Data: data, Content: content, Record: &key}, nil
}

// Keeper is an adapter that keeps records about consumers.
type Keeper interface {
	// Known adds to a person what else the channel knows them by: their other
	// consumer ids, and threads of which the core may know nothing.
	Known(ctx context.Context, p *Person) error
	// Kept calls show with each of the channel's records that is about the person,
	// and ends with its first error.
	Kept(ctx context.Context, p *Person, show func(Kept) error) error
	// Erase calls erase while the channel changes nothing of the person, and then
	// forgets what it has of them in memory.
	Erase(ctx context.Context, p *Person, erase func() error) error
}

// Erased counts what was removed of a person.
type Erased struct {
	Consumers     int `json:"consumers"`
	Threads       int `json:"threads"`
	Conversations int `json:"conversations"`
	// Events are messages and all else that was relayed, DeadLetters included.
	Events      int `json:"events"`
	DeadLetters int `json:"deadLetters"`
	Records     int `json:"records"`
	// Others are positions of messages, changes nobody claimed, marks of typing.
	Others int `json:"others"`
}

// Add adds what else was removed.
func (e *Erased) Add(o Erased) {
	e.Consumers += o.Consumers
	e.Threads += o.Threads
	e.Conversations += o.Conversations
	e.Events += o.Events
	e.DeadLetters += o.DeadLetters
	e.Records += o.Records
	e.Others += o.Others
}

// Nothing reports whether nothing was removed.
func (e Erased) Nothing() bool { return e == Erased{} }

// Errors of finding and erasing what is kept of a person.
var (
	// ErrNobody means that nothing is kept of a person.
	ErrNobody = errors.New("nothing is kept of this consumer")
	// ErrNotAtRest means that a conversation of the person is open, or that events
	// of theirs wait to be delivered.
	ErrNotAtRest = errors.New("a conversation of this consumer is open, or events of theirs wait to be delivered")
	// ErrAnothers means that a thread belongs to another consumer.
	ErrAnothers = errors.New("the thread is another consumer's")
)
