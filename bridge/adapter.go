package bridge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// Adapter is our code for one channel. It turns requests into events and
// delivers single events. It repeats no delivery and starts no goroutine: the
// engine does both for every channel alike, and sockets have theirs in package
// served. It waits in the handlers of its own requests only, where its channel's
// protocol leaves no other way.
//
// What an adapter can do beyond this it says by implementing one or more of
// [Typist], [Settler], [Poller], [Checker] and [Closer].
type Adapter interface {
	// Channel describes the channel: its name and abilities. It is read once,
	// at start, and must not change.
	Channel() Channel
	// Routes are the front doors of the channel on the public listener.
	Routes() []Route
	// Deliver hands one event to the channel and returns nil once the channel
	// has confirmed it. Any other end is a *[DeliveryError]; an error of
	// another type counts as Retry. The core calls it for one event of a thread
	// at a time, in order, and calls again with the same event ID after an
	// uncertain end: Deliver must then not show the event twice if it can tell.
	// Only kinds named in Channel.Delivers are passed.
	Deliver(ctx context.Context, e *Event) error
}

// Route is one front door. Pattern is one of [http.ServeMux], without host.
type Route struct {
	Pattern string
	Handler http.Handler
	// Channel is whose door it is; the engine says so.
	Channel string
	// Repeatable says that the same request may be taken twice and has the effect of one,
	// because what it brings has ids of its own or only says how something is. A replica
	// sends it again when the one that took it went before it answered. Methods that
	// change nothing need not say so.
	Repeatable bool
	// Farewell is the text a socket's client is sent before its end when the replica that
	// served it went; nil for none. It has 125 bytes at most.
	Farewell []byte
}

// Channel describes what a channel can do. The capability grid of the README
// is made from it.
type Channel struct {
	// Name is the channel's name in LPBRIDGE_CHANNELS, events, metrics and logs.
	Name string
	// Reports are the kinds the channel can send towards LivePerson.
	Reports []Kind
	// Delivers are the kinds the channel wants from LivePerson. An event of
	// another kind is dropped before it is journalled.
	Delivers []Kind
	// ReportsDelivery says that the channel reports with a receipt when a message
	// reached a device of the consumer. LivePerson is told ACCEPT then, and
	// otherwise as soon as Deliver has ended well.
	ReportsDelivery bool
	// Uploads says that the channel passes the bytes of agents' files on, which it gets
	// by [Files.File]: it needs no address of ours.
	Uploads bool
	// Served says that consumers' own apps call the channel, with no system between
	// that answers for them all: of what waits for LivePerson each consumer has a share.
	Served bool
	// TypingIn is how the channel reports a consumer's typing.
	TypingIn TypingSource
	// TypingOut is how the channel wants to be told of an agent's typing.
	TypingOut TypingTarget
}

// TypingSource is how a side reports typing to us.
type TypingSource struct {
	// Reported is false for a side that says nothing of typing.
	Reported bool
	// Repeats says that a typist's client repeats the state while it lasts, so
	// that a short silence means that it ended.
	Repeats bool
	// Hold is how long a state stands without another word. With Repeats,
	// composing becomes paused after Hold and ends after another.
	Hold time.Duration
	// Sticky says that a state stands until the source says another: a composing
	// that had to wait is not out of date while Hold lasts.
	Sticky bool
	// PhantomWindow is how long after a message of the same person a composing
	// may be the end of it, such as the key that sent it: it is believed once no
	// end of it came for 4.5 s.
	PhantomWindow time.Duration
}

// TypingTarget is how a side wants to be told of typing.
type TypingTarget struct {
	// Shown is false for a side that cannot show typing.
	Shown bool
	// MinInterval is the least time between two calls of one thread that both
	// say composing, and, unless StopUnlimited, between any two.
	MinInterval time.Duration
	// StopUnlimited exempts calls that end typing, and changes between states,
	// from MinInterval.
	StopUnlimited bool
	// Refresh is how often composing must be repeated while it lasts; 0 for a
	// side that keeps a state until another comes.
	Refresh time.Duration
	// Expiry is when the far side stops showing by itself; 0 for never.
	Expiry time.Duration
	// HasPaused says that the side knows a paused state.
	HasPaused bool
	// PerPerson says that the side shows each typist by name.
	PerPerson bool
}

// TypingCue is what a channel is told about an agent's typing.
type TypingCue struct {
	Thread ThreadID
	Agent  Agent
	State  TypingState
}

// Typist is an adapter whose channel can show agents typing.
type Typist interface {
	// ShowTyping tells the channel once. It is not retried; the core repeats
	// what needs repeating as Channel.TypingOut asks.
	ShowTyping(ctx context.Context, cue TypingCue) error
}

// Settler is an adapter that can find out whether an earlier delivery of an
// event, whose answer was lost, arrived.
type Settler interface {
	// Settled reports whether the channel has the event.
	Settled(ctx context.Context, e *Event) (bool, error)
}

// Poller is an adapter whose channel must be asked for news. The core calls
// Poll again after the returned pause, never twice at once.
type Poller interface {
	Poll(ctx context.Context) (next time.Duration, err error)
}

// Checker is an adapter that can tell an operator what works.
type Checker interface {
	// Check makes harmless calls to the channel and says what it found.
	Check(ctx context.Context) []Finding
}

// Finding is one line of lpbridge check.
type Finding struct {
	Subject string
	// Err is nil when the subject works.
	Err error
	// Detail says what was found, without secrets.
	Detail string
	// Danger says that the subject works as it was configured, and that this is not
	// what one wants of a bridge that serves people.
	Danger bool
}

// Closer is an adapter that holds connections open. Close ends them; it is
// called after the listeners stopped accepting.
type Closer interface {
	Close(ctx context.Context) error
}

// Core is what the bridge offers an adapter. It is bound to the adapter's
// channel.
type Core interface {
	Intake
	Connections
	Files
	// Records are the channel's own durable records.
	Records() Records
}

// Intake takes what comes from a channel.
type Intake interface {
	// Accept makes events durable, in order, together with the records. When it
	// returns nil every event is on disk or was a duplicate, and may be
	// answered 2xx; otherwise nothing was stored. Typing among the events is
	// passed on after that and not stored.
	//
	// Errors: [ErrBusy] and [ErrStorage] (answer 503), [ErrShare] (answer 429),
	// [ErrRecordTaken], a *[FieldError] for an event that lacks what its kind needs.
	Accept(ctx context.Context, events []Event, records ...Record) (Accepted, error)
	// Disconnected says that the consumer's connection to a thread was lost:
	// typing ends.
	Disconnected(thread ThreadID)
	// LeftOut counts what came from the channel and was not relayed, or not whole.
	// The reason is one of a few words of the adapter's.
	LeftOut(reason string)
}

// Connections are those of a channel's clients to its front doors.
type Connections interface {
	// Slots is how many requests of the channel, sockets included, may be under way at
	// once; 0 for as many as come.
	Slots() int
	// ConnectionClosed counts a consumer's connection that was closed to leave room for
	// others, and tells of it now and then. The reason is one of a few words of the
	// adapter's.
	ConnectionClosed(reason string)
}

// Files has what agents send.
type Files interface {
	// File opens an agent's file that an event's attachment names, wherever it lies. The
	// error is [ErrNoFile] when there is no such file, it is too large or it can no
	// longer be had; after any other another try may work. The body must be closed.
	File(ctx context.Context, a Attachment) (*File, error)
}

// File is an agent's file on its way to the channel.
type File struct {
	Body io.ReadCloser
	// Size is in bytes, -1 when it is not known before.
	Size int64
	// ContentType is what the bytes are, whatever the agent said of them.
	ContentType string
}

// Accepted says what became of accepted events.
type Accepted struct {
	// Events is how many were new.
	Events int
	// Duplicates is how many were known already.
	Duplicates int
}

// Errors of [Core] and [Records].
var (
	// ErrBusy means that the journal holds as many pending events as it may.
	ErrBusy = errors.New("too many events are pending")
	// ErrShare means that as many events of the consumer are pending as may be of
	// one, on a channel that is [Channel.Served].
	ErrShare = errors.New("too many events of this consumer are pending")
	// ErrStorage means that the journal could not write.
	ErrStorage = errors.New("the journal cannot write")
	// ErrRecordTaken means that a key of a record belongs to another record.
	ErrRecordTaken = errors.New("a record key is taken")
	// ErrNoFile means that a file of [Files.File] is not to be had.
	ErrNoFile = errors.New("the file cannot be had")
	// ErrNoRecord means that no such record exists.
	ErrNoRecord = errors.New("no such record")
	// ErrNoFarSide means that there is no far side of a name.
	ErrNoFarSide = errors.New("no such far side")
)

// FieldError names the field of an event that is missing or wrong. Its text
// never quotes the value.
type FieldError struct {
	Field  string
	Reason string
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// Record is one thing a channel keeps for itself, such as a contact or a
// message of the history it serves. Core and journal do not look into Data.
type Record struct {
	Kind string
	// ID is unique within channel and kind; see [RecordWriter.NextID].
	ID int64
	// Parent groups records of a kind for listing, such as the messages of a
	// conversation; may be empty.
	Parent string
	// Keys are further unique names within channel and kind, such as a source
	// id; they are replaced when the record is saved again.
	Keys []string
	Data []byte
	// Time is when the record was first saved; retention counts from it.
	Time time.Time
}

// Page says which records of a parent to list. IDs are exclusive bounds; 0
// means unbounded.
type Page struct {
	After, Before int64
	// Limit is the most records returned; 0 means 100.
	Limit int
	// Newest lists from the highest id downwards.
	Newest bool
}

// Records are a channel's own durable things: contacts, history.
type Records interface {
	RecordReader
	RecordWriter
}

// RecordReader reads records.
type RecordReader interface {
	// Get returns a record by id or [ErrNoRecord].
	Get(ctx context.Context, kind string, id int64) (Record, error)
	// Find returns a record by one of its keys or [ErrNoRecord].
	Find(ctx context.Context, kind, key string) (Record, error)
	// List returns records of a kind below a parent.
	List(ctx context.Context, kind, parent string, p Page) ([]Record, error)
}

// RecordWriter makes, replaces and removes records.
type RecordWriter interface {
	// NextID returns a number never returned before for the kind, also not
	// before a restart.
	NextID(ctx context.Context, kind string) (int64, error)
	// Save writes records durably and all or none; a record with a known id is
	// replaced. [ErrRecordTaken] when a key belongs to another record.
	Save(ctx context.Context, records ...Record) error
	// Delete removes records by id.
	Delete(ctx context.Context, kind string, ids ...int64) error
}
