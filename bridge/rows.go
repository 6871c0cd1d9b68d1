package bridge

import "time"

// LaneKey names a lane.
type LaneKey struct {
	Channel   string
	Thread    ThreadID
	Direction Direction
}

// ThreadKey names a thread.
type ThreadKey struct {
	Channel string
	Thread  ThreadID
}

// Entry is one event as the journal keeps it.
type Entry struct {
	// Seq is the entry's number in the journal, growing in the order of
	// acceptance. The journal sets it.
	Seq  int64
	Lane LaneKey
	// ID is the idempotency key within channel and direction. An entry without
	// one is never a duplicate.
	ID   EventID
	Kind Kind
	// Payload is the encoded event.
	Payload []byte
	// Accepted is when the event was accepted; the journal sets it where it is
	// zero. It is kept to the microsecond, as is NextTry. In what is read it does
	// not lie ahead.
	Accepted time.Time
	// Attempts counts deliveries that ended other than delivered.
	Attempts int
	// NextTry is when the next delivery may start; zero means at once. One that
	// is read and lies further ahead than [MaxPause] was written by a clock that
	// was wrong, and is zero.
	NextTry time.Time
	// Last is how the last delivery ended; meaningful when Attempts > 0.
	Last Outcome
	// Reason says in words why the last delivery failed, see
	// [Settlement.Reason].
	Reason string

	// Begun says that a delivery starts as soon as the entry is on disk: set it
	// on what is appended to a lane that waits for nothing. Where it is not set,
	// [Settlement.Next] or [EventLog.Begin] must be on disk before the entry is
	// sent. In what is read it says that this process has begun the delivery.
	Begun bool
	// Doubt is set in what is read when an earlier delivery may have been
	// applied by the far side. It is ignored in what is appended.
	Doubt *Doubt

	// Trace is the W3C traceparent of what brought the event, handed through as Event
	// is; the payload has it too, see [WithTrace].
	Trace string
	// Event is the decoded payload. The journal hands it through from Append
	// and Follow to the commit hook and does not store it: it is nil in entries
	// that were read or revived.
	Event *Event
}

// MaxPause is the longest time an entry may wait for its next delivery.
const MaxPause = 15 * time.Minute

// Doubt says that a delivery may have been applied though nobody told us.
type Doubt struct {
	// Since is when that was found out. It stays the same however often the
	// process starts meanwhile.
	Since time.Time
	// Dialogs are those in which the event may have arrived. None means any
	// dialog of its consumer.
	Dialogs []string
}

// Batch is what one Append makes durable, all or nothing.
type Batch struct {
	Entries []Entry
	Records []ChannelRecord
	// Consumers replace what was known of them.
	Consumers []ConsumerRow
	// Unclaimed are kept until somebody drops them. One that is there already,
	// word for word, is not stored again. The journal sets their ID.
	Unclaimed []Unclaimed
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
	// Attempts is stored unless the entry is done, NextTry when it stays
	// pending.
	Attempts int
	NextTry  time.Time
	// Reason says in words why the delivery failed, without secret, message text
	// or personal data. It is stored unless the entry is done, cut to
	// [MaxReason] bytes.
	Reason string
	// Doubt is stored when the entry stays pending or is dead. None says that
	// the event surely did not arrive, and ends a doubt there was.
	Doubt *Doubt
	// Next is the Seq of an entry whose delivery starts once this is on disk; 0
	// for none. It is marked as begun if it is pending, also when it is Seq.
	Next int64
	// Dialog and Sequence are the position LivePerson gave a consumer's message;
	// Dialog is empty for all else. They are written to the ledger, with the
	// lane's thread and Source.
	Dialog   string
	Sequence int64
	// Source is the message's own id; empty when it has none.
	Source EventID
	// Follow are events caused by this one, appended in the same transaction
	// and passed to the commit hook like any other. Known ones are left out; no
	// limit on pending entries holds them back.
	Follow []Entry
	// Durable is called once: when the settlement is on disk, or with the error
	// that prevented it. It must not block. May be nil.
	Durable func(error)
}

// MaxReason is the longest [Settlement.Reason] that is kept whole, in bytes.
const MaxReason = 500

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
	// Consumer is the channel's id of the consumer, and ExtConsumer the
	// ext_consumer_id made of it for LivePerson.
	Consumer    ConsumerID
	ExtConsumer string
	// LPConsumer is LivePerson's own id of the consumer.
	LPConsumer string
	// Conversation is the current one; empty when there is none.
	Conversation string
}

// Conversation is one of LivePerson's conversations. A thread has many over
// time.
type Conversation struct {
	ID string
	// Channel and Thread hold it now; both are empty when nobody does.
	Channel string
	Thread  ThreadID
	// ExtConsumer and LPConsumer are whose conversation it is.
	ExtConsumer string
	LPConsumer  string
	// Dialog is the main dialog, Survey the open survey dialog, if any.
	Dialog string
	Survey string
	// Dialogs are all that were ever seen of this conversation, in the order of
	// their names. Saving adds to them, with Dialog and Survey, and removes
	// none.
	Dialogs []string
	// Open says that it takes messages.
	Open bool
	// Announced says that the channel believes it to be open.
	Announced bool
	// Updated is the newest metaDataLastUpdateTs seen, in ms since 1970.
	Updated int64
	// Joined is the agent last told to the channel as having joined.
	Joined string
	// Began and Ended are zero where they are not known.
	Began, Ended time.Time
}

// Standing is what one Save makes durable, all or nothing: threads and
// conversations replace what was known under their keys. A conversation that
// moves to another thread is one Save of both threads and the conversation.
type Standing struct {
	Threads       []Thread
	Conversations []Conversation
}

// ConsumerRow is what is known of a consumer, across threads.
type ConsumerRow struct {
	Channel string
	// ID is the channel's.
	ID ConsumerID
	// ExtConsumer is the ext_consumer_id LivePerson was given, LPConsumer
	// LivePerson's own id.
	ExtConsumer string
	LPConsumer  string
	// Profile is the merged profile as JSON; empty when there is none.
	Profile []byte
}

// LedgerEntry says which message of ours stands at a position.
type LedgerEntry struct {
	Sequence int64
	Channel  string
	Thread   ThreadID
	// Source is the message's own id; empty when it had none.
	Source EventID
}

// Unclaimed is a change of a notification about a conversation nobody knows
// yet.
type Unclaimed struct {
	// ID grows in the order of arrival. The journal sets it.
	ID           int64
	Conversation string
	// Dialog and Sequence are those of the change, where it has them.
	Dialog   string
	Sequence int64
	// Received is when it came; the journal sets it where it is zero.
	Received time.Time
	// Body is the change as it came.
	Body []byte
}

// ComposingMark says that one side was told, or is about to be told, that the
// other is composing.
type ComposingMark struct {
	// Direction is that of the typing: [ToLivePerson] for a consumer's.
	Direction Direction
	Thread    ThreadKey
	// Conversation is where it was told; empty in the direction [ToChannel], where
	// the thread is.
	Conversation string
	// Agent is who the channel shows; empty where it shows no persons.
	Agent string
	// Since is when the mark was first set; the journal sets it.
	Since time.Time
}

// DeadLetter is an entry that ended as dead.
type DeadLetter struct {
	Entry
	Died time.Time
	// Expired says that the payload outlived its retention and is gone.
	Expired bool
}
