// Package relay is the engine: it makes durable what channels and LivePerson
// report, and takes it to the other side, in order, once, with typing translated
// between clocks. Channels attach to it as adapters of package bridge; only
// commands import it.
//
// Accepting is accept.go, the way of a consumer's event toliveperson.go and
// opening.go, the way of an agent's notifications.go, conversations.go and
// tochannel.go. What an end of a delivery means is verdict.go, for both
// directions; what an earlier process left behind is recovery.go.
//
// It assumes that one process serves an account and owns its journal: busy rows are
// kept in memory, and no other process delivers what is pending.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/bridge/relay/picture"
	"lpbridge/bridge/relay/schedule"
	"lpbridge/bridge/relay/typing"
	"lpbridge/bridge/tracing"
	"lpbridge/connector"
)

const (
	// backlogMemory is what lanes of all far sides together keep of what waits.
	backlogMemory = 24 << 20
	// cutOffWait is how long deliveries that were cut off may take to end.
	cutOffWait = time.Second
	// notifiedFlag remembers that LivePerson's webhooks reach us.
	notifiedFlag = "liveperson_notified"
	// replayFlag remembers by when LivePerson has brought what it kept while
	// nobody was there, for the next process may come before that.
	replayFlag = "liveperson_replay"
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
	Journal  bridge.Journal
	// Archive shows and erases what is kept of one consumer; nil where that is not
	// wanted.
	Archive Archive
	Client  *connector.Client
	// VerifySignature checks the signature header of a notification.
	VerifySignature func(header string, body []byte) error
	// TryCredential gets a token from LivePerson; may be nil. It is called at the
	// start.
	TryCredential func(ctx context.Context) error
	Notifications Notifications
	// EchoWait is how long a delivery without an answer waits for its echo.
	EchoWait time.Duration
	// DeadLetterAfter is how long after acceptance an event is still tried.
	DeadLetterAfter time.Duration
	// ConsumerKey is what consumers' ids in LivePerson are made with. Without one the
	// journal keeps one that was drawn when it was first used.
	ConsumerKey []byte
	// UnclaimedFor is how long what LivePerson says of a conversation nobody knows
	// is kept where it may be ours; [defaultUnclaimedFor] when zero.
	UnclaimedFor time.Duration
	// ConsumerShare is how many events of one consumer of a channel that is
	// [bridge.Channel.Served] may be pending; 0 for no limit.
	ConsumerShare int
	// Slots is how many requests of one channel may be under way at once; 0 for no bound.
	Slots int
	// MaxInFlight is the most concurrent deliveries to LivePerson, and to each
	// channel.
	MaxInFlight int
	// PublicURL is where the public listener is reached from outside. It may be
	// nil: agents' files then reach channels only that upload them.
	PublicURL *url.URL
	// Attachments is how consumers' files reach LivePerson; as links when empty.
	Attachments AttachmentHandling
	// Documents says that the account takes consumers' documents, not only their
	// pictures. The client must have been made with it too.
	Documents bool
	// AttachmentPrivateNetworks permits fetching attachments from private and
	// loopback addresses and from any port.
	AttachmentPrivateNetworks bool
	// AttachmentsOfOurOwn fetches those below PublicURL only, which takes no network.
	AttachmentsOfOurOwn bool
	// UserAgent is what hosts of attachments are told of us; may be empty.
	UserAgent string
	// AgentProfiles lets agents' names and pictures be looked up for the channels.
	AgentProfiles bool
	// Routing says where new conversations go.
	Routing Routing
	// Survey lets a survey follow when the channel closes a conversation; it needs the
	// feature MULTI_DIALOG.
	Survey  bool
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	// Tracer may be nil: nothing is traced then.
	Tracer *tracing.Tracer
}

// Bridge relays between channels and one LivePerson account.
type Bridge struct {
	opts    Options
	journal bridge.Journal
	lp      *connector.Client
	log     *slog.Logger
	metrics *metrics
	levels  *levels
	// closings are told of connections that channels close.
	closings *closings

	directory *directory
	openings  *openings
	stalls    *stalls
	opener    *opener
	sender    *sender
	news      *news
	offers    *offers
	denied    *denied
	shares    *shares
	identity  *identity
	uploads   *uploads
	files     *files
	// agents is nil where their profiles are not wanted.
	agents *agentProfiles

	schedule *schedule.Schedule
	adapters map[string]bridge.Adapter
	channels map[string]bridge.Channel

	toLivePerson *lane.Set
	toChannel    map[string]*lane.Set
	// laned says that there are lanes.
	laned atomic.Bool
	// order brings agents' messages in the order of their dialog.
	order *lane.Order
	// consumerTyping and agentTyping translate typing towards LivePerson and
	// towards the channels.
	consumerTyping *typing.Clock
	agentTyping    *typing.Clock

	background background

	notified atomic.Bool
	// replay is that of the absence before this start, until a notification comes.
	replay  atomic.Pointer[lane.Replay]
	reach   *lane.Reach
	ready   atomic.Bool
	started time.Time
}

// New makes a bridge. Attach adapters, then Run it.
func New(o Options) (*Bridge, error) {
	if o.Journal == nil || o.Client == nil || o.VerifySignature == nil {
		return nil, errors.New("bridge: a journal, a client and a signature check are needed")
	}
	if o.UnclaimedFor == 0 {
		o.UnclaimedFor = defaultUnclaimedFor
	}
	b := &Bridge{
		opts: o, journal: o.Journal, lp: o.Client, log: o.Logger,
		metrics:   newMetrics(o.Metrics),
		levels:    newLevels(o.Metrics, o.Logger),
		closings:  newClosings(o.Metrics, o.Logger),
		directory: newDirectory(o.Journal),
		openings:  newOpenings(o.Journal, o.Logger),
		shares:    newShares(int64(o.ConsumerShare)),
		schedule:  schedule.New(),
		adapters:  map[string]bridge.Adapter{},
		channels:  map[string]bridge.Channel{},
		toChannel: map[string]*lane.Set{},
	}
	b.stalls = newStalls(func(key bridge.LaneKey) { b.toLivePerson.Wake(key) }, func() { b.consumerTyping.Well("") }, o.Logger)
	registerGauges(o.Metrics, o.Journal, b.backlog, b.stalls.waiting)
	o.Metrics.MustRegister(farSides{b})
	b.makeClocks()
	b.makeRooms()
	return b, nil
}

// makeRooms makes the parts that events and notifications pass through.
func (b *Bridge) makeRooms() {
	records := b.journal.RecordsOf(coreRecords)
	known := newProfiles(b.journal, b.log, b.metrics)
	b.order = lane.NewOrder(positionInDialog)
	b.identity = &identity{consumers: b.journal, key: b.opts.ConsumerKey}
	copies := &copies{records: records, key: func() []byte { return b.identity.key }, log: b.log}
	b.offers = &offers{records: records, metrics: b.metrics}
	b.denied = &denied{records: records}
	b.files = &files{
		lp: b.lp, records: records, publicURL: b.opts.PublicURL, slots: make(chan struct{}, fileSlots), elsewhere: make(chan struct{}, elsewhereSlots), log: b.log,
		uploads: func(channel string) bool { return b.channels[channel].Uploads },
	}
	b.uploads = &uploads{
		lp: b.lp, records: records, previews: picture.NewPreviews(), log: b.log, metrics: b.metrics,
		sending: func(e *bridge.Entry, dialog string) func() { return b.toLivePerson.Sending(e, dialog) },
	}
	if b.opts.AgentProfiles {
		b.agents = newAgentProfiles(b.lp.AgentProfile, b.background.spawn, b.log, b.metrics)
	}
	b.opener = &opener{
		lp: b.lp, directory: b.directory, openings: b.openings, profiles: known, identity: b.identity, stalls: b.stalls, log: b.log,
		router:    newRouter(b.opts.Routing, b.lp.Engagement, b.metrics, b.log),
		endTyping: b.endTyping,
		claimed:   func(ctx context.Context, conversation string) error { return b.news.claim(ctx, conversation) },
	}
	b.sender = &sender{
		lp: b.lp, opener: b.opener, directory: b.directory, profiles: known, uploads: b.uploads, copies: copies, order: b.order, survey: b.opts.Survey,
		notified: b.notified.Load, log: b.log, metrics: b.metrics, endTyping: b.endTyping, forgetTyping: b.consumerTyping.Forget,
	}
	b.news = &news{
		account: b.opts.Account, clientID: b.opts.ClientID, verify: b.opts.VerifySignature, journal: b.journal,
		directory: b.directory, openings: b.openings, files: b.files, copies: copies, uploaded: b.uploads.of, offers: b.offers, denied: b.denied,
		wants: b.wants, notified: b.notifiedNow, refused: b.refusedNow, consumerTyping: b.consumerTyping, agentTyping: b.agentTyping,
		wake: func(key bridge.LaneKey) { b.toLivePerson.Wake(key) }, begin: b.begin, trace: b.opts.Tracer.Kept, order: b.order,
		heard: func(key bridge.LaneKey, happened time.Time) { b.toLivePerson.Heard(key, happened) },
		echoed: func(ctx context.Context, keys []bridge.LaneKey, a lane.Arrival) (lane.Finding, error) {
			return b.toLivePerson.Echo(ctx, keys, a)
		},
		spawn: func(run func(context.Context)) { b.background.spawn(run) }, expect: b.agents.expect,
		log: b.log, metrics: b.metrics,
	}
}

// background is what goes on beside the lanes while the bridge runs.
type background struct {
	mu    sync.Mutex
	ctx   context.Context
	parts sync.WaitGroup
}

// start lets work begin that ends with ctx.
func (g *background) start(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ctx = ctx
}

// spawn runs something unless the bridge is about to stop or not yet there, and
// reports whether it does.
func (g *background) spawn(run func(context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	ctx := g.ctx
	if ctx == nil || ctx.Err() != nil {
		return false
	}
	g.parts.Go(func() { run(ctx) })
	return true
}

// end waits for everything that was begun. The context must have ended.
func (g *background) end() {
	g.mu.Lock()
	g.ctx = nil
	g.mu.Unlock()
	g.parts.Wait()
}

// Core returns the bridge as a channel's adapter sees it.
func (b *Bridge) Core(channel string) bridge.Core {
	return &core{bridge: b, channel: channel, records: b.journal.RecordsOf(channel)}
}

// Attach adds the adapter of a channel. It must be called before Run.
func (b *Bridge) Attach(a bridge.Adapter) error {
	ch := a.Channel()
	if _, taken := b.adapters[ch.Name]; taken {
		return fmt.Errorf("attach: channel %s is there twice", ch.Name)
	}
	if _, shows := a.(bridge.Typist); ch.TypingOut.Shown && !shows {
		return fmt.Errorf("attach: channel %s declares typing it does not show", ch.Name)
	}
	b.adapters[ch.Name], b.channels[ch.Name] = a, ch
	return nil
}

// Channels describes the attached channels, by name.
func (b *Bridge) Channels() []bridge.Channel {
	list := make([]bridge.Channel, 0, len(b.channels))
	for _, ch := range b.channels {
		list = append(list, ch)
	}
	slices.SortFunc(list, func(x, y bridge.Channel) int {
		if x.Name < y.Name {
			return -1
		}
		return 1
	})
	return list
}

// Run relays until ctx ends, then stops within drain: deliveries under way
// end, connections of channels are closed, typing is cleared. What is not
// delivered by then stays in the journal. The listeners must have stopped
// accepting before ctx ends; the journal must be closed after Run returned.
func (b *Bridge) Run(ctx context.Context, drain time.Duration, started func()) error {
	b.started = time.Now()
	replay, err := b.recall(ctx)
	if err != nil {
		return err
	}
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	if b.opts.Attachments == AttachmentsUpload {
		guard := picture.NewGuard(b.opts.AttachmentPrivateNetworks)
		if b.opts.AttachmentsOfOurOwn {
			guard = nil
		}
		b.files.fetcher = picture.NewFetcher(guard, b.opts.PublicURL, b.frontDoors(), b.opts.Documents)
		if b.opts.UserAgent != "" {
			b.files.fetcher.UserAgent = b.opts.UserAgent
		}
		b.uploads.fetcher = b.files.fetcher
		defer b.files.fetcher.Close()
	}
	b.reach = lane.NewReach(replay)
	b.makeLanes(work)
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
	b.launch(ctx, &parts, replay)
	b.ready.Store(true)
	started()
	<-ctx.Done()
	b.ready.Store(false)
	b.background.end()
	err = b.stop(context.WithoutCancel(ctx), drain)
	endWork()
	b.awaitCutOff(context.WithoutCancel(ctx))
	endClocks()
	parts.Wait()
	return err
}

// launch starts what goes on until ctx ends.
func (b *Bridge) launch(ctx context.Context, parts *sync.WaitGroup, replay lane.Replay) {
	for _, l := range b.allLanes() {
		parts.Go(func() { l.Run(ctx) })
	}
	b.background.start(ctx)
	b.background.spawn(func(ctx context.Context) { b.news.sweep(ctx, b.opts.UnclaimedFor) })
	b.background.spawn(func(ctx context.Context) { b.outliveReplay(ctx, replay) })
	if b.opts.TryCredential != nil {
		parts.Go(func() { b.tryCredential(ctx) })
	}
	for name, a := range b.adapters {
		if p, ok := a.(bridge.Poller); ok {
			parts.Go(func() { b.poll(ctx, name, p) })
		}
	}
}

// stop ends deliveries, channel connections and typing, in this order.
func (b *Bridge) stop(ctx context.Context, drain time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	var closing sync.WaitGroup
	for name, a := range b.adapters {
		if c, ok := a.(bridge.Closer); ok {
			closing.Go(func() {
				if err := c.Close(ctx); err != nil {
					b.log.Warn("channel did not close in order", "channel", name, "error", err)
				}
			})
		}
	}
	closing.Wait()
	var ending sync.WaitGroup
	for _, clock := range []*typing.Clock{b.consumerTyping, b.agentTyping} {
		ending.Go(func() {
			if err := clock.Shutdown(ctx); err != nil {
				b.log.WarnContext(ctx, "typing may still be shown", "error", err)
			}
		})
	}
	var cutOff atomic.Bool
	for _, l := range b.allLanes() {
		ending.Go(func() {
			if l.Stop(ctx) != nil {
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

// poll asks a channel for news until ctx ends.
func (b *Bridge) poll(ctx context.Context, channel string, p bridge.Poller) {
	failing := false
	// A channel that never answers is one that last answered before we asked.
	b.levels.polled.WithLabelValues(channel).SetToCurrentTime()
	for ctx.Err() == nil {
		next, err := p.Poll(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			b.log.Warn("channel cannot be polled", "channel", channel, "error", err)
		}
		if failing = err != nil; !failing {
			b.levels.polled.WithLabelValues(channel).SetToCurrentTime()
		}
		pause(ctx, next)
	}
}

// pause waits and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
