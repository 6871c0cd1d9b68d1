package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/connector"
)

// LivePersonHold is how long an agent's COMPOSING stands without another word:
// no stop event is guaranteed (Webhooks, Events: chat state).
const LivePersonHold = 60 * time.Second

const (
	// typingInFlight is how many typing calls run at once per direction. It is
	// kept apart from messages and small: typing is the first thing shed.
	typingInFlight = 16
	// lanesPage is how many lanes recovery reads at a time.
	lanesPage = 1000
	// cutOffWait is how long deliveries that were cut off may take to end.
	cutOffWait = time.Second
	// notifiedFlag remembers that LivePerson's webhooks reach us.
	notifiedFlag = "liveperson_notified"
	// doubtFlag remembers that deliveries of an earlier process may have been cut
	// off and were not looked at yet, however orderly this one ends.
	doubtFlag = "deliveries_in_doubt"
)

// errNotRunning is why a bridge that starts or stops is not ready.
var errNotRunning = errors.New("the bridge is starting or stopping")

// Notifications says whether LivePerson's webhooks reach this bridge.
type Notifications string

// Without notifications a delivery whose answer was lost is sent again without
// waiting for an echo: at least once instead of once.
const (
	// NotificationsAuto believes it once a notification came.
	NotificationsAuto Notifications = "auto"
	NotificationsOn   Notifications = "on"
	NotificationsOff  Notifications = "off"
)

// Options are the parts a bridge is made of. All are required unless said
// otherwise.
type Options struct {
	Account  connector.AccountID
	ClientID string
	Journal  Journal
	Client   *connector.Client
	// VerifySignature checks the signature header of a notification.
	VerifySignature func(header string, body []byte) error
	Notifications   Notifications
	// EchoWait is how long a delivery without an answer waits for its echo.
	EchoWait time.Duration
	// DeadLetterAfter is how long after acceptance an event is still tried.
	DeadLetterAfter time.Duration
	// MaxInFlight is the most concurrent deliveries to LivePerson, and to each
	// channel.
	MaxInFlight int
	// PublicURL is where the public listener is reached from outside. It may be
	// nil: agents' files then reach the channels as their captions only.
	PublicURL *url.URL
	// Attachments is how consumers' files reach LivePerson; as links when empty.
	Attachments AttachmentHandling
	// AttachmentPrivateNetworks permits fetching attachments from private and
	// loopback addresses and from any port.
	AttachmentPrivateNetworks bool
	// Conversation has the routing of new conversations.
	Conversation ConversationDefaults
	Logger       *slog.Logger
	Metrics      prometheus.Registerer
}

// ConversationDefaults are what every new conversation asks for.
type ConversationDefaults struct {
	SkillID      string
	CampaignID   string
	EngagementID string
	// Survey lets a survey follow when the channel closes a conversation; it
	// needs the feature MULTI_DIALOG.
	Survey bool
}

// Bridge relays between channels and one LivePerson account.
type Bridge struct {
	opts    Options
	journal Journal
	lp      *connector.Client
	log     *slog.Logger
	metrics *metrics

	threads  *threads
	openings openings
	turns    turns
	schedule *schedule
	adapters map[string]Adapter
	channels map[string]Channel

	toLivePerson *lanes
	toChannel    map[string]*lanes
	// consumerTyping and agentTyping translate typing towards LivePerson and
	// towards the channels.
	consumerTyping *typingClock
	agentTyping    *typingClock

	// fetcher gets consumers' files; nil when they go as links.
	fetcher   *fetcher
	previews  *previews
	fileSlots chan struct{}

	notified atomic.Bool
	ready    atomic.Bool
	started  time.Time
	inDoubt  time.Time
}

// New makes a bridge. Attach adapters, then Run it.
func New(o Options) (*Bridge, error) {
	if o.Journal == nil || o.Client == nil || o.VerifySignature == nil {
		return nil, errors.New("bridge: a journal, a client and a signature check are needed")
	}
	b := &Bridge{
		opts: o, journal: o.Journal, lp: o.Client, log: o.Logger,
		metrics:   newMetrics(o.Metrics),
		threads:   newThreads(o.Journal),
		schedule:  newSchedule(),
		adapters:  map[string]Adapter{},
		channels:  map[string]Channel{},
		toChannel: map[string]*lanes{},
		previews:  newPreviews(),
		fileSlots: make(chan struct{}, fileSlots),
	}
	registerGauges(o.Metrics, o.Journal, b.backlog)
	b.consumerTyping = newTypingClock(typingConfig{
		source:   func(channel string) TypingSource { return b.channels[channel].TypingIn },
		target:   func(string) TypingTarget { return livePersonTyping },
		expired:  Paused,
		say:      b.sayToLivePerson,
		told:     b.journal.MarkComposing,
		schedule: b.schedule,
		inFlight: typingInFlight,
		counts:   b.typingCounts(ToLivePerson),
	})
	b.agentTyping = newTypingClock(typingConfig{
		source:   func(string) TypingSource { return TypingSource{Reported: true, Hold: LivePersonHold} },
		target:   func(channel string) TypingTarget { return b.channels[channel].TypingOut },
		expired:  Stopped,
		say:      b.sayToChannel,
		schedule: b.schedule,
		inFlight: typingInFlight,
		counts:   b.typingCounts(ToChannel),

		throttlePerChannel: true,
	})
	return b, nil
}

// livePersonTyping is how LivePerson wants to hear of a consumer's typing: a
// state is kept until another comes, and a message does not end it (Send Chat
// State Events).
var livePersonTyping = TypingTarget{
	Shown: true, MinInterval: time.Second, HasPaused: true,
}

// Core returns the bridge as a channel's adapter sees it.
func (b *Bridge) Core(channel string) Core {
	return &core{bridge: b, channel: channel, records: b.journal.RecordsOf(channel)}
}

// Attach adds the adapter of a channel. It must be called before Run.
func (b *Bridge) Attach(a Adapter) error {
	ch := a.Channel()
	if _, taken := b.adapters[ch.Name]; taken {
		return fmt.Errorf("attach: channel %s is there twice", ch.Name)
	}
	if _, shows := a.(Typist); ch.TypingOut.Shown && !shows {
		return fmt.Errorf("attach: channel %s declares typing it does not show", ch.Name)
	}
	b.adapters[ch.Name], b.channels[ch.Name] = a, ch
	return nil
}

// Channels describes the attached channels, by name.
func (b *Bridge) Channels() []Channel {
	list := make([]Channel, 0, len(b.channels))
	for _, ch := range b.channels {
		list = append(list, ch)
	}
	slices.SortFunc(list, func(x, y Channel) int {
		if x.Name < y.Name {
			return -1
		}
		return 1
	})
	return list
}

// Routes are the front doors of the public listener.
func (b *Bridge) Routes() []Route {
	routes := []Route{
		{"POST /webhooks/liveperson", http.HandlerFunc(b.serveNotification)},
		{"GET /files/{token}", http.HandlerFunc(b.serveFile)},
	}
	for _, ch := range b.Channels() {
		routes = append(routes, b.adapters[ch.Name].Routes()...)
	}
	return routes
}

// frontDoors is the public listener as a file under our own address sees it.
func (b *Bridge) frontDoors() http.Handler {
	mux := http.NewServeMux()
	for _, route := range b.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	return mux
}

// Run relays until ctx ends, then stops within drain: deliveries under way
// end, connections of channels are closed, typing is cleared. What is not
// delivered by then stays in the journal. The listeners must have stopped
// accepting before ctx ends; the journal must be closed after Run returned.
func (b *Bridge) Run(ctx context.Context, drain time.Duration, started func()) error {
	b.started = time.Now()
	b.inDoubt = b.started.Add(b.opts.EchoWait)
	if err := b.recallNotified(ctx); err != nil {
		return err
	}
	clean, err := b.recallDoubt(ctx)
	if err != nil {
		return err
	}
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	if b.opts.Attachments == AttachmentsUpload {
		b.fetcher = newFetcher(newGuard(b.opts.AttachmentPrivateNetworks), b.opts.PublicURL, b.frontDoors())
		defer b.fetcher.close()
	}
	b.makeLanes(work, clean)
	if err := b.journal.Start(b.committed); err != nil {
		return fmt.Errorf("start the journal: %w", err)
	}
	var parts sync.WaitGroup
	clocks, endClocks := context.WithCancel(context.WithoutCancel(ctx))
	defer endClocks()
	parts.Go(func() { b.schedule.Run(clocks) })
	parts.Go(func() { b.consumerTyping.Run(clocks) })
	parts.Go(func() { b.agentTyping.Run(clocks) })
	if err := b.clearTypingOfEarlierProcess(ctx); err != nil {
		endClocks()
		parts.Wait()
		return err
	}
	parts.Go(func() { b.recoverLanes(ctx) })
	for name, a := range b.adapters {
		if p, ok := a.(Poller); ok {
			parts.Go(func() { b.poll(ctx, name, p) })
		}
	}
	b.ready.Store(true)
	started()
	<-ctx.Done()
	b.ready.Store(false)
	err = b.stop(context.WithoutCancel(ctx), drain)
	endWork()
	b.awaitCutOff(context.WithoutCancel(ctx), clean)
	endClocks()
	parts.Wait()
	return err
}

// stop ends deliveries, channel connections and typing, in this order.
func (b *Bridge) stop(ctx context.Context, drain time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	var closing sync.WaitGroup
	for name, a := range b.adapters {
		if c, ok := a.(Closer); ok {
			closing.Go(func() {
				if err := c.Close(ctx); err != nil {
					b.log.Warn("channel did not close in order", "channel", name, "error", err)
				}
			})
		}
	}
	closing.Wait()
	var ending sync.WaitGroup
	ending.Go(func() { b.consumerTyping.shutdown(ctx) })
	ending.Go(func() { b.agentTyping.shutdown(ctx) })
	var cutOff atomic.Bool
	for _, l := range b.allLanes() {
		ending.Go(func() {
			if l.stop(ctx) != nil {
				cutOff.Store(true)
			}
		})
	}
	ending.Wait()
	if cutOff.Load() {
		return errors.New("stop: deliveries were cut off, they are settled after the next start")
	}
	return nil
}

// awaitCutOff gives deliveries whose context has ended the time to say so: the
// journal is closed next, and must know which are in doubt.
func (b *Bridge) awaitCutOff(ctx context.Context, clean bool) {
	ctx, cancel := context.WithTimeout(ctx, cutOffWait)
	defer cancel()
	settled := true
	for _, l := range b.allLanes() {
		if err := l.stop(ctx); err != nil {
			b.log.Error("a delivery does not end", "error", err)
			settled = false
		}
		settled = settled && (clean || l.recoveredAll())
	}
	if settled == clean {
		return
	}
	if err := b.journal.SetFlag(context.WithoutCancel(ctx), doubtFlag, doubtValue(settled)); err != nil {
		b.log.Error("the journal did not remember what is in doubt", "error", err)
	}
}

// recallDoubt reports whether no delivery of an earlier process may have been
// cut off, and remembers it until all were looked at.
func (b *Bridge) recallDoubt(ctx context.Context) (clean bool, err error) {
	doubt, err := b.journal.Flag(ctx, doubtFlag)
	if err != nil {
		return false, fmt.Errorf("read the journal: %w", err)
	}
	clean = b.journal.Clean() && doubt == ""
	if !clean && doubt == "" {
		if err := b.journal.SetFlag(ctx, doubtFlag, doubtValue(false)); err != nil {
			return false, fmt.Errorf("write the journal: %w", err)
		}
	}
	return clean, nil
}

func doubtValue(settled bool) string {
	if settled {
		return ""
	}
	return "yes"
}

// makeLanes builds the lanes of both directions. Channels get lanes of their
// own, so that one that is slow holds up none of the others.
func (b *Bridge) makeLanes(work context.Context, clean bool) {
	base := laneWork{
		spawn:   func(run func(context.Context)) { go run(work) },
		journal: b.journal, schedule: b.schedule, settled: b.settled, loaded: b.loaded, inDoubt: b.markInDoubt,
		panicked: b.judgePanic,
		boot:     b.journal.LastSeq(), clean: clean,
	}
	lp := base
	lp.deliver, lp.together, lp.gate = b.deliverToLivePerson, receiptsTogether, newGate(b.opts.MaxInFlight)
	b.toLivePerson = newLanes(lp)
	for name := range b.adapters {
		ch := base
		ch.deliver, ch.gate = b.deliverToChannel, newGate(b.opts.MaxInFlight)
		b.toChannel[name] = newLanes(ch)
	}
}

func (b *Bridge) allLanes() []*lanes {
	all := []*lanes{b.toLivePerson}
	for _, l := range b.toChannel {
		all = append(all, l)
	}
	return all
}

func (b *Bridge) lanesOf(key LaneKey) *lanes {
	if key.Direction == ToLivePerson {
		return b.toLivePerson
	}
	return b.toChannel[key.Channel]
}

// committed is the journal's hook: it hands new entries to their lanes.
func (b *Bridge) committed(entries []Entry) {
	for i := range entries {
		e := &entries[i]
		b.metrics.accepted.WithLabelValues(e.Lane.Channel, e.Lane.Direction.String(), string(e.Kind)).Inc()
		b.messageOnItsWay(e)
		b.clockOf(e.Lane.Direction.opposite()).traffic(e.threadKey())
		if l := b.lanesOf(e.Lane); l != nil {
			l.add(e)
		}
	}
}

// recoverLanes finds the lanes that hold entries of an earlier process.
func (b *Bridge) recoverLanes(ctx context.Context) {
	var after LaneKey
	for {
		page, err := b.journal.Lanes(ctx, after, lanesPage)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			b.log.Error("the journal cannot list what is pending", "error", err)
			pause(ctx, loadRetry)
			continue
		}
		for _, key := range page {
			// A channel that is no longer configured keeps its entries.
			if l := b.lanesOf(key); l != nil {
				l.recover(key)
			}
			after = key
		}
		if len(page) < lanesPage {
			break
		}
	}
	for _, l := range b.allLanes() {
		l.recoveryDone()
	}
}

// poll asks a channel for news until ctx ends.
func (b *Bridge) poll(ctx context.Context, channel string, p Poller) {
	failing := false
	for ctx.Err() == nil {
		next, err := p.Poll(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			b.log.Warn("channel cannot be polled", "channel", channel, "error", err)
		}
		failing = err != nil
		pause(ctx, next)
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

func (b *Bridge) backlog() (known, delivering int) {
	for _, l := range b.allLanes() {
		if l == nil {
			continue
		}
		k, d := l.backlog()
		known, delivering = known+k, delivering+d
	}
	return known, delivering
}

func (b *Bridge) recallNotified(ctx context.Context) error {
	seen, err := b.journal.Flag(ctx, notifiedFlag)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	b.notified.Store(b.opts.Notifications == NotificationsOn || b.opts.Notifications != NotificationsOff && seen != "")
	return nil
}

// notifiedNow remembers that a notification came.
func (b *Bridge) notifiedNow(ctx context.Context) {
	if b.opts.Notifications != NotificationsAuto || b.notified.Swap(true) {
		return
	}
	if err := b.journal.SetFlag(ctx, notifiedFlag, time.Now().UTC().Format(time.RFC3339)); err != nil {
		b.log.Warn("the journal did not remember that notifications come", "error", err)
	}
}
