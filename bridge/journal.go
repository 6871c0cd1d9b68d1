package bridge

import (
	"context"
	"errors"
	"time"
)

// Errors of a journal besides [ErrBusy], [ErrStorage] and [ErrRecordTaken].
var (
	// ErrUnclaimedFull means that as many changes are unclaimed as may be kept.
	ErrUnclaimedFull = errors.New("too many changes are unclaimed")
	// ErrExpired means that a dead letter's payload outlived its retention.
	ErrExpired = errors.New("the payload is gone, its retention has passed")
)

// Journal is what the bridge needs of its store. Package journal implements
// it on SQL; bridgetest has one in memory and the suite both pass.
//
// Every method is safe for concurrent use. Errors wrap [ErrBusy] or
// [ErrStorage] where they apply. When the context of a call that writes ends
// first, the call returns the context's error and what it wrote may be stored
// all the same. Calls that write return when it is on disk, except where they
// say so.
type Journal interface {
	EventLog
	Backlog
	ThreadMap
	ConversationMap
	Ledger
	UnclaimedChanges
	ComposingMarks
	Consumers
	Flags
	DeadLetters
	Upkeep

	// RecordsOf returns a channel's records.
	RecordsOf(channel string) Records
}

// EventLog takes what is to be relayed and how deliveries end.
//
// # Doubt
//
// An entry whose delivery may have begun is marked as begun before it is sent:
// by Append, by the settlement of the entry before, or by Begin. The mark names
// the process. Entries that were begun by a process that did not close its
// journal are in doubt, from the moment the next process found that out; those
// of a process that did are not, as it settled what it had sent. A doubt that a
// settlement stored stays until another settlement of the entry ends it.
type EventLog interface {
	// Start begins work. committed is called by one goroutine with the new
	// entries of each transaction, in the order of Seq, before the Append that
	// brought them returns; it must not block. It is not called for duplicates.
	// What was appended before Start is found by Lanes only, and is not begun. A
	// second Start fails.
	Start(committed func([]Entry)) error
	// Append makes a batch durable and returns the Seq of each entry, 0 for one
	// whose idempotency key was known, also from an earlier entry of the batch.
	// The rest of the batch is stored in any case. [ErrBusy] when more entries
	// would be pending than may be, [ErrRecordTaken] as in [RecordWriter.Save],
	// [ErrUnclaimedFull] when there is no room for Unclaimed; nothing is stored
	// then.
	Append(ctx context.Context, b Batch) ([]int64, error)
	// Settle hands over the end of a delivery. It does not wait; settlements of
	// one entry take effect in the order of the calls. When the entry is not
	// pending, nothing of it changes, and the rest of the settlement counts all
	// the same.
	Settle(s Settlement)
	// Begin marks a pending entry as begun and calls durable, which must not
	// block, once: when that is on disk, or with the error that prevented it. It
	// does not wait. A doubt that is stored stays.
	Begin(seq int64, durable func(error))
}

// Backlog reads what is pending.
type Backlog interface {
	// Lanes lists lanes that hold pending entries, in a stable order, after a
	// given one (the zero LaneKey for the first page), which need not hold any
	// itself. All that was committed before the call counts; what is settled
	// meanwhile may be named or not.
	Lanes(ctx context.Context, after LaneKey, limit int) ([]LaneKey, error)
	// PendingOf lists a lane's pending entries with Seq above after, in order.
	PendingOf(ctx context.Context, lane LaneKey, after int64, limit int) ([]Entry, error)
	// PendingCount is how many entries are pending.
	PendingCount() int64
	// LastSeq is the highest Seq given out before Start.
	LastSeq() int64
}

// ThreadMap keeps threads.
type ThreadMap interface {
	// Thread returns nil when there is none.
	Thread(ctx context.Context, k ThreadKey) (*Thread, error)
	// ThreadsOf lists the threads of one of LivePerson's consumers, the one saved
	// last first.
	ThreadsOf(ctx context.Context, lpConsumer string) ([]Thread, error)
	// Save writes threads and conversations in one transaction.
	Save(ctx context.Context, s Standing) error
}

// ConversationMap keeps conversations. What returns one returns nil when there
// is none.
type ConversationMap interface {
	Conversation(ctx context.Context, id string) (*Conversation, error)
	// ConversationOfDialog finds a conversation by any dialog it ever had. A
	// dialog belongs to the conversation that was last saved with it.
	ConversationOfDialog(ctx context.Context, dialog string) (*Conversation, error)
	// ConversationsOf lists those a thread holds or held last, the one that began
	// last first; of several that began at the same time, or at one nobody
	// knows, the one that was first saved last.
	ConversationsOf(ctx context.Context, k ThreadKey, limit int) ([]Conversation, error)
	// HeldBy returns the open conversation of one of LivePerson's consumers, of
	// several the one saved last.
	HeldBy(ctx context.Context, lpConsumer string) (*Conversation, error)
}

// Ledger says where our messages are: every consumer's message that was
// delivered, written by [EventLog.Settle].
type Ledger interface {
	// MessagesAt returns what stands at positions of a dialog, in the order of
	// the given sequences; where nothing of ours does, it is left out.
	MessagesAt(ctx context.Context, dialog string, sequences []int64) ([]LedgerEntry, error)
	// LastOf returns the highest sequence of ours in a dialog, -1 when there is
	// none.
	LastOf(ctx context.Context, dialog string) (int64, error)
	// LastOfThread is as LastOf for the messages of one thread.
	LastOfThread(ctx context.Context, dialog string, of ThreadKey) (int64, error)
}

// UnclaimedChanges keeps what [EventLog.Append] was given as Unclaimed.
type UnclaimedChanges interface {
	// UnclaimedOf lists those about a conversation in the order of arrival.
	UnclaimedOf(ctx context.Context, conversation string) ([]Unclaimed, error)
	// AllUnclaimed lists those with an ID above after in the order of arrival.
	AllUnclaimed(ctx context.Context, after int64, limit int) ([]Unclaimed, error)
	// DropUnclaimed removes some. Those that are gone do no harm.
	DropUnclaimed(ctx context.Context, ids ...int64) error
}

// ComposingMarks remember who was told that somebody is composing, so that it
// can be taken back after a crash.
type ComposingMarks interface {
	// SetComposing stores a mark. One that stands keeps its Since.
	SetComposing(ctx context.Context, m ComposingMark) error
	// ClearComposing removes a mark with one of the next transactions, in the
	// order of the calls. It does not wait.
	ClearComposing(m ComposingMark)
	// Composing lists the marks, oldest first.
	Composing(ctx context.Context) ([]ComposingMark, error)
}

// Consumers keeps what is known of consumers.
type Consumers interface {
	// Consumer returns nil when nothing is known.
	Consumer(ctx context.Context, channel string, id ConsumerID) (*ConsumerRow, error)
	SaveConsumer(ctx context.Context, c ConsumerRow) error
}

// Flags keep small facts across restarts.
type Flags interface {
	// Flag returns the empty string for one that was never set.
	Flag(ctx context.Context, name string) (string, error)
	SetFlag(ctx context.Context, name, value string) error
}

// DeadLetters are the entries that are not delivered by themselves any more.
type DeadLetters interface {
	// DeadLetters lists those with Seq above after, oldest first, without their
	// payloads.
	DeadLetters(ctx context.Context, after int64, limit int) ([]DeadLetter, error)
	// DeadLetter returns one with its payload, nil when there is none.
	DeadLetter(ctx context.Context, seq int64) (*DeadLetter, error)
	// Revive makes a dead entry pending again at the end of its lane, and reports
	// whether there was one. It gets a new Seq, is accepted anew and starts with
	// no attempts and with the doubt it died with, and it is passed to the commit
	// hook. [ErrExpired] when its payload is gone.
	Revive(ctx context.Context, seq int64) (bool, error)
	// Discard removes a dead entry and reports whether there was one. Its
	// idempotency key stays known.
	Discard(ctx context.Context, seq int64) (bool, error)
}

// Upkeep is what the process asks of its journal.
type Upkeep interface {
	// Check reports whether the journal takes new events, by writing and by whether there
	// is space for them.
	Check(ctx context.Context) error
	// Hold returns a context for acting on what the journal holds, which ends with
	// ctx or as soon as another process may act on it, and what releases it; or
	// [ErrStorage] while another may.
	Hold(ctx context.Context) (context.Context, context.CancelFunc, error)
	// Absence returns when the previous process last wrote, to about a second,
	// and when this one opened the journal. Both are the same for a new one.
	Absence() (from, to time.Time)
	// Close commits what was handed over and closes. Calls after it fail with
	// [ErrStorage]. A process that started the journal and closes it leaves no
	// doubt but what settlements stored.
	Close() error
}
