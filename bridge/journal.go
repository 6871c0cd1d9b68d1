package bridge

import (
	"context"
	"time"
)

// LaneKey names a lane.
type LaneKey struct {
	Channel   string
	Thread    ThreadID
	Direction Direction
}

// Entry is one event as the journal keeps it.
type Entry struct {
	// Seq is the place in the journal, growing in the order of acceptance. The
	// journal sets it.
	Seq  int64
	Lane LaneKey
	// ID is the idempotency key within channel and direction.
	ID   EventID
	Kind Kind
	// Payload is the encoded event.
	Payload  []byte
	Accepted time.Time
	// Attempts counts deliveries that ended other than delivered.
	Attempts int
	// NextTry is when the next delivery may start; zero means at once.
	NextTry time.Time
	// Last is how the last delivery ended; meaningful when Attempts > 0.
	Last Outcome

	// Event is the decoded payload. The journal hands it through from Append
	// to the commit hook and does not store it.
	Event *Event
}

// Batch is what one Append makes durable, all or nothing.
type Batch struct {
	Entries []Entry
	Records []ChannelRecord
}

// ChannelRecord is a record and whose it is.
type ChannelRecord struct {
	Channel string
	Record
}

// Settlement is how a delivery ended, to be made durable.
type Settlement struct {
	Seq  int64
	Lane LaneKey
	// Outcome is how the delivery ended.
	Outcome Outcome
	// Final says what becomes of the entry.
	Final Disposition
	// Attempts and NextTry are stored when the entry stays pending.
	Attempts int
	NextTry  time.Time
	// Dialog and Sequence are the place LivePerson gave a consumer's message;
	// Dialog is empty for all else. They make receipts find their message, and
	// raise the thread's last sequence.
	Dialog   string
	Sequence int64
	// Source is the message's own id, kept under Dialog and Sequence for
	// [Journal.SentAs]; empty when the channel wants no receipts.
	Source EventID
	// Follow are events caused by this one, appended in the same transaction.
	Follow []Entry
	// Durable is called once the settlement is on disk, or with the error that
	// prevented it. It must not block. May be nil.
	Durable func(error)
}

// Disposition is what becomes of an entry after a delivery.
type Disposition uint8

// The dispositions.
const (
	// Pending keeps the entry for another delivery.
	Pending Disposition = iota
	// Done means that the entry needs no further delivery.
	Done
	// Dead means that it will never be delivered by itself.
	Dead
)

// Thread is what the bridge knows of one thread.
type Thread struct {
	Channel string
	ID      ThreadID
	// Consumer is the channel's id of the person, and ExtConsumer the
	// ext_consumer_id made of it for LivePerson.
	Consumer    ConsumerID
	ExtConsumer string
	// LPConsumer is LivePerson's own id of the consumer.
	LPConsumer string
	// Conversation is the newest conversation; Dialog its main dialog and
	// Survey its open survey dialog, if any.
	Conversation string
	Dialog       string
	Survey       string
	// Open says that the conversation takes messages.
	Open bool
	// Sequence is the highest sequence a message of ours got in Dialog; -1 when
	// none.
	Sequence int64
	// Former is the conversation that ended last; late news of it opens nothing.
	Former string
	// Announced says that the channel believes Conversation to be open.
	Announced bool
	// Updated is the newest metaDataLastUpdateTs seen, in ms since 1970.
	Updated int64
	// Joined is the agent last told to the channel as having joined.
	Joined string
	// ToldComposing says that LivePerson was last told COMPOSING.
	ToldComposing bool
}

// ThreadKey names a thread.
type ThreadKey struct {
	Channel string
	Thread  ThreadID
}

// DeadLetter is an entry that ended as dead.
type DeadLetter struct {
	Entry
	Died time.Time
}

// Journal is what the bridge needs of its store. Package journal implements
// it on SQL; bridgetest has one in memory.
//
// Every method is safe for concurrent use. Errors wrap [ErrBusy] or
// [ErrStorage] where they apply.
type Journal interface {
	// Start begins work. committed is called by one goroutine with the new
	// entries of each transaction, in the order of Seq, before the Append that
	// brought them returns; it must not block. It is not called for duplicates.
	Start(committed func([]Entry)) error
	// LastSeq is the highest Seq given out before Start.
	LastSeq() int64
	// Append makes a batch durable and returns the Seq of each entry, 0 for one
	// whose idempotency key was known.
	Append(ctx context.Context, b Batch) ([]int64, error)
	// Settle hands over the end of a delivery. It does not wait; settlements of
	// one entry take effect in the order of the calls.
	Settle(s Settlement)
	// SaveThread writes a thread durably. It leaves ToldComposing as it is and
	// never lowers Sequence within the same Dialog.
	SaveThread(ctx context.Context, t Thread) error
	// MarkComposing records that LivePerson was told COMPOSING, or no longer,
	// with one of the next transactions. It does not wait.
	MarkComposing(k ThreadKey, composing bool)

	// Lanes lists lanes that hold pending entries, in a stable order, after a
	// given one (the zero LaneKey for the first page).
	Lanes(ctx context.Context, after LaneKey, limit int) ([]LaneKey, error)
	// PendingOf lists a lane's pending entries with Seq above after, in order.
	PendingOf(ctx context.Context, lane LaneKey, after int64, limit int) ([]Entry, error)
	// PendingCount is how many entries are pending.
	PendingCount() int64

	// Thread, ThreadByConversation (also by dialog, survey dialog and former
	// conversation) and ThreadByConsumer (by lp_consumer_id) return nil when
	// there is none, and of several the one saved last.
	Thread(ctx context.Context, k ThreadKey) (*Thread, error)
	ThreadByConversation(ctx context.Context, conversation string) (*Thread, error)
	ThreadByConsumer(ctx context.Context, lpConsumer string) (*Thread, error)
	// ComposingThreads lists the threads marked by MarkComposing.
	ComposingThreads(ctx context.Context) ([]Thread, error)
	// SentAs returns the source ids of consumer messages by their place in a
	// dialog, in the order of sequences; unknown ones are left out.
	SentAs(ctx context.Context, dialog string, sequences []int64) ([]EventID, error)

	// Clean reports whether the previous process closed the journal in order.
	// When not, deliveries may have been cut off.
	Clean() bool
	// Flag and SetFlag keep small facts across restarts.
	Flag(ctx context.Context, name string) (string, error)
	SetFlag(ctx context.Context, name, value string) error

	// RecordsOf returns a channel's records.
	RecordsOf(channel string) Records
	// DeadLetters lists dead entries with Seq above after, oldest first.
	DeadLetters(ctx context.Context, after int64, limit int) ([]DeadLetter, error)
	// Revive makes a dead entry pending again at the end of its lane, with a new
	// Seq, and reports whether there was one.
	Revive(ctx context.Context, seq int64) (bool, error)
	// Discard removes a dead entry and reports whether there was one.
	Discard(ctx context.Context, seq int64) (bool, error)
	// Check reports whether the journal takes writes, by writing.
	Check(ctx context.Context) error
	// Close commits what was handed over and closes.
	Close() error
}
