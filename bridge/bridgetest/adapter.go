package bridgetest

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"lpbridge/bridge"
)

// AdapterCase is an adapter together with what its channel does, as far as the
// suite has to know. A part that a channel does not have is left out.
type AdapterCase struct {
	// New builds the adapter with all its abilities switched on.
	New func(t testing.TB, s Setting) bridge.Adapter
	// Doors are the requests the adapter takes; none for a channel that is
	// polled.
	Doors []Door
	// Far is the far side that Deliver calls; nil for a channel that we serve
	// ourselves, whose Deliver calls nobody.
	Far *FarSide
	// Prepare brings the adapter to where it can deliver, such as by having a
	// consumer write first. May be nil.
	Prepare func(t testing.TB, a bridge.Adapter, s Setting)
	// Event returns an event to deliver; nil stands for [AgentEvent].
	Event func(k bridge.Kind) bridge.Event
	// Private are the secrets of the configuration and the texts and personal
	// data of the requests. None may turn up in a log, an error or an answer
	// that refuses.
	Private []string
}

// Setting is what an adapter under test is built with.
type Setting struct {
	Core *Core
	// URL is the address of the far side.
	URL    string
	Client *http.Client
	Log    *slog.Logger
}

// Door is one request that the adapter takes.
type Door struct {
	Name string
	// Request returns a good request, the same each time, from which at least
	// one event follows. Its body may be replaced.
	Request func() *http.Request
	// Strangers turn the request into one that must not be believed, by name.
	Strangers map[string]func(r *http.Request)
	// Limit is the longest body taken, in bytes; 0 when that is not of interest.
	Limit int64
	// AnyContentType says that the door does not look at Content-Type.
	AnyContentType bool
	// Repeats says that by the channel's protocol the same request again is
	// another event.
	Repeats bool
	// Answers are the statuses where they differ from those of our own API.
	Answers Answers
	// Refused checks an answer that refuses beyond its status; nil asks for a
	// problem of RFC 9457 and, when the core could not take the events, for
	// Retry-After.
	Refused func(t testing.TB, resp *http.Response, body []byte)
}

// Answers are statuses; 0 stands for the one in brackets.
type Answers struct {
	Accepted  int // (200)
	Stranger  int // (401)
	TooLong   int // (413)
	WrongType int // (415)
	Busy      int // (503)
}

// FarSide is what the adapter calls.
type FarSide struct {
	// Handler answers as the channel does when all is well; nil answers 200 with
	// an empty JSON object.
	Handler http.Handler
	// Outcomes are the ends of a delivery by the far side's status, where they
	// differ from those of the suite.
	Outcomes map[int]bridge.Outcome
	// Form says that the channel's own refusals have a form that no response of the
	// suite has: what answers may be something in between that passed the call on.
	Form bool
	// Lost is the end of a delivery that was sent and not answered; zero stands
	// for Unknown.
	Lost bridge.Outcome
	// Identity returns by what the far side knows a repeated call; nil when it
	// cannot.
	Identity func(c Call) string
}

// Call is a request that the far side received.
type Call struct {
	Method string
	Path   string
	Header http.Header
	Body   []byte
}

// AgentText is the text of the message that [AgentEvent] makes. It counts as
// private in every case.
const AgentText = "suite-text-of-the-agent"

// AgentEvent returns an event as the core hands it to adapters.
func AgentEvent(k bridge.Kind) bridge.Event {
	e := bridge.Event{
		ID: bridge.EventID("dialog-1:" + string(k)), Kind: k, Thread: "thread-1",
		Time:  time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
		Agent: &bridge.Agent{ID: "agent-1", Role: "ASSIGNED_AGENT"},
	}
	switch k {
	case bridge.KindMessage:
		e.Message = &bridge.Message{Text: AgentText}
	case bridge.KindReceipt:
		e.Receipt = &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{"evt-1"}}
	case bridge.KindState:
		e.State = &bridge.State{Conversation: bridge.StateClosed, By: "agent"}
	}
	return e
}

// TestAdapter holds an adapter against the contract of [bridge.Adapter] and
// against what every channel promises.
func TestAdapter(t *testing.T, c AdapterCase) {
	for _, check := range adapterChecks {
		t.Run(check.name, func(t *testing.T) { check.run(t, c) })
	}
}

type adapterCheck struct {
	name string
	run  func(t testing.TB, c AdapterCase)
}

// adapterChecks take a testing.TB, so that the suite itself can be tested.
var adapterChecks = []adapterCheck{
	{"private texts can be found", checkPrivate},
	{"channel is stable", checkStable},
	{"kinds are consistent", checkKinds},
	{"typing numbers are sane", checkTypingNumbers},
	{"routes are served by one mux", checkRoutes},
	{"request becomes events", checkAccepted},
	{"repeated request adds nothing", checkRepeated},
	{"stranger is refused", checkStrangers},
	{"long body is refused", checkTooLong},
	{"wrong content type is refused", checkContentType},
	{"core that cannot take events is told", checkBusy},
	{"every kind reaches the far side", checkDeliver},
	{"event delivered twice is the same", checkDeliverTwice},
	{"threads are delivered at once", checkDeliverConcurrently},
	{"status decides the outcome", checkStatuses},
	{"redirect is not followed", checkRedirect},
	{"far side that is away is retried", checkAway},
	{"lost answer is not certain", checkLostAnswer},
	{"cancelled delivery returns", checkCancel},
	{"typing reaches the far side", checkTyping},
	{"findings tell no secret", checkFindings},
}
