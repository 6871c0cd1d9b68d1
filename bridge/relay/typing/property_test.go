package typing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

// TestTypingProperties throws random lives at the clock and judges what it
// told the far side by the rules alone: see typingJudge.
func TestTypingProperties(t *testing.T) {
	// Lives are short, and rare meetings of events are what this is after: many
	// more than rapid's hundred are worth their time.
	for range 20 {
		rapid.Check(t, func(rt *rapid.T) {
			life := drawLife(rt)
			var fault string
			// Each life has a bubble of its own, for rapid counts its time limits by
			// the clock around it. The bubble does not end before the last goroutine.
			synctest.Test(t, func(t *testing.T) { fault = life.live(t.Context()) })
			if fault != "" {
				rt.Fatal(fault)
			}
		})
	}
}

// typingPair is a source and a target that the clock stands between.
type typingPair struct {
	name    string
	source  bridge.TypingSource
	target  bridge.TypingTarget
	expired bridge.TypingState
	persons int
}

var typingPairs = []typingPair{
	{"layer to liveperson", layerSource, livePersonTarget, bridge.Paused, 1},
	{"chatwoot to liveperson", chatwootSource, livePersonTarget, bridge.Paused, 1},
	{"agents to layer", agentSource, layerTarget, bridge.Stopped, 2},
	{"agents to livechatai", agentSource, liveChatAITarget, bridge.Stopped, 2},
	{"agents to chatwoot", agentSource, chatwootTarget, bridge.Stopped, 2},
	{"agents to webhook", agentSource, webhookTarget, bridge.Stopped, 2},
}

// typingLife is one random life: what happens and how calls go.
type typingLife struct {
	pair   typingPair
	faulty bool
	events []lifeEvent
	// fates are how the calls of each thread go, in turn; later ones go well.
	fates [lifeThreads][]fate

	start time.Time
	mu    sync.Mutex
	lines []lifeLine
}

const lifeThreads = 3

// lifeEvent is an input of the clock.
type lifeEvent struct {
	at     time.Duration
	thread int
	who    string
	verb   string
}

// fate is how a call goes.
type fate struct {
	latency time.Duration
	end     End
	// took says whether an uncertain call arrived after all.
	took  bool
	pause time.Duration
}

// lifeLine is an entry of the log that is judged.
type lifeLine struct {
	lifeEvent
	state bridge.TypingState
	fate  fate
}

func (l lifeLine) String() string {
	s := fmt.Sprintf("%9.3f t%d %s %s", l.at.Seconds(), l.thread, l.verb, words(l.who, string(l.state)))
	if l.verb == "end" {
		s += fmt.Sprintf(" %v took=%t pause=%v", l.fate.end, l.fate.took, l.fate.pause)
	}
	return s
}

func drawLife(rt *rapid.T) *typingLife {
	life := &typingLife{pair: rapid.SampledFrom(typingPairs).Draw(rt, "pair")}
	life.faulty = rapid.Bool().Draw(rt, "faulty")
	for i := range life.fates {
		life.fates[i] = rapid.SliceOfN(rapid.Custom(life.drawFate), 0, 20).Draw(rt, "fates")
	}
	var now time.Duration
	sent := make([]time.Duration, lifeThreads)
	for range rapid.IntRange(1, 40).Draw(rt, "steps") {
		now += drawWait(rt)
		e := lifeEvent{at: now, thread: rapid.IntRange(0, lifeThreads-1).Draw(rt, "thread")}
		if life.pair.persons > 1 {
			e.who = rapid.SampledFrom([]string{"A", "B"}).Draw(rt, "who")
		}
		e.verb = rapid.SampledFrom(lifeVerbs).Draw(rt, "verb")
		life.events = append(life.events, e)
		if e.verb == "queued" {
			// A lane delivers one message after the other.
			e.at = max(now, sent[e.thread]) + drawDelivery(rt)
			sent[e.thread] = e.at
			e.verb = "sent"
			life.events = append(life.events, e)
		}
	}
	slices.SortStableFunc(life.events, func(a, b lifeEvent) int { return cmp.Compare(a.at, b.at) })
	return life
}

var lifeVerbs = []string{
	"composing", "composing", "composing", "composing", "stopped", "stopped", "paused", "queued", "queued",
	"nonsense", "lost", "clear", "forget", "traffic",
}

func drawWait(rt *rapid.T) time.Duration {
	most := rapid.SampledFrom([]int{0, 300, 300, 3000, 3000, 40_000}).Draw(rt, "pace")
	return time.Duration(rapid.IntRange(0, most).Draw(rt, "wait")) * time.Millisecond
}

func drawDelivery(rt *rapid.T) time.Duration {
	most := rapid.SampledFrom([]int{0, 200, 4000, 90_000}).Draw(rt, "delivery")
	return time.Duration(rapid.IntRange(0, most).Draw(rt, "took")) * time.Millisecond
}

// maxGoodLatency is the slowest call of a life without faults.
const maxGoodLatency = 300 * time.Millisecond

func (life *typingLife) drawFate(rt *rapid.T) fate {
	f := fate{latency: time.Duration(rapid.IntRange(0, int(maxGoodLatency/time.Millisecond)).Draw(rt, "latency")) * time.Millisecond}
	if !life.faulty {
		return f
	}
	switch rapid.SampledFrom([]string{"good", "good", "refused", "throttled", "lost", "answer lost", "slow"}).Draw(rt, "fate") {
	case "refused":
		f.end = Refused
	case "throttled":
		f.end, f.pause = Refused, time.Duration(rapid.IntRange(1, 20).Draw(rt, "pause"))*time.Second
	case "lost":
		f.end, f.latency = Uncertain, CallTimeout
	case "answer lost":
		f.end, f.took = Uncertain, true
	case "slow":
		f.latency = CallTimeout - time.Millisecond
	}
	return f
}

// live runs the life and returns what was wrong with it, if anything.
func (life *typingLife) live(ctx context.Context) string {
	ctx, cancel := context.WithCancel(ctx)
	life.start = time.Now()
	judge := newReferee(life)
	clock := New(Config{
		Source: func(string) bridge.TypingSource { return life.pair.source }, Target: func(string) bridge.TypingTarget { return life.pair.target },
		Expired: life.pair.expired, Say: life.say, Told: life.told, Schedule: schedule.New(), InFlight: 3,
	})
	var running sync.WaitGroup
	if life.faulty {
		// Threads then wait for each other's slow calls.
		clock.ready.most = 2
	}
	running.Go(func() { clock.cfg.Schedule.Run(ctx) })
	running.Go(func() { clock.Run(ctx) })
	for _, e := range life.events {
		time.Sleep(time.Until(life.start.Add(e.at)))
		synctest.Wait()
		life.act(ctx, clock, e, &running)
	}
	// The faults are over: whatever is still shown must go once something
	// happens in the thread.
	time.Sleep(200 * time.Second)
	life.heal()
	for i := range lifeThreads {
		life.act(ctx, clock, lifeEvent{thread: i, verb: "traffic"}, &running)
	}
	time.Sleep(60 * time.Second)
	synctest.Wait()
	rest := clock.tracked.Load()
	cancel()
	running.Wait()
	fault := judge.judge(life.lines, time.Since(life.start))
	if fault == "" && rest != 0 {
		fault = fmt.Sprintf("%d threads are looked after at rest", rest)
	}
	if fault == "" {
		return ""
	}
	return fmt.Sprintf("%s, %s\n%s", life.pair.name, fault, life)
}

func (life *typingLife) String() string {
	var b strings.Builder
	for _, l := range life.lines {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

func (life *typingLife) write(l lifeLine) {
	life.mu.Lock()
	defer life.mu.Unlock()
	l.at = time.Since(life.start)
	life.lines = append(life.lines, l)
}

func (life *typingLife) heal() {
	life.mu.Lock()
	defer life.mu.Unlock()
	life.fates = [lifeThreads][]fate{}
}

func (life *typingLife) nextFate(thread int) fate {
	life.mu.Lock()
	defer life.mu.Unlock()
	fates := &life.fates[thread]
	if len(*fates) == 0 {
		return fate{}
	}
	f := (*fates)[0]
	*fates = (*fates)[1:]
	return f
}

func lifeKey(thread int) bridge.ThreadKey {
	return bridge.ThreadKey{Channel: "test", Thread: bridge.ThreadID(fmt.Sprint(thread))}
}

func lifeThread(key bridge.ThreadKey) int { return int(key.Thread[0] - '0') }

func (life *typingLife) say(ctx context.Context, call Call) Result {
	e := lifeEvent{thread: lifeThread(call.Thread), who: call.Agent.ID, verb: "begin"}
	f := life.nextFate(e.thread)
	life.write(lifeLine{lifeEvent: e, state: call.State})
	select {
	case <-time.After(f.latency):
	case <-ctx.Done():
	}
	e.verb = "end"
	life.write(lifeLine{lifeEvent: e, state: call.State, fate: f})
	return Result{End: f.end, Pause: f.pause}
}

func (life *typingLife) told(key bridge.ThreadKey, composing bool) {
	life.write(lifeLine{lifeEvent: lifeEvent{thread: lifeThread(key), verb: "mark " + fmt.Sprint(composing)}})
}

// act makes an event happen. No input may take time: messages wait for none.
func (life *typingLife) act(ctx context.Context, c *Clock, e lifeEvent, running *sync.WaitGroup) {
	life.write(lifeLine{lifeEvent: e})
	before := time.Now()
	key, who := lifeKey(e.thread), bridge.Agent{ID: e.who}
	switch e.verb {
	case "queued":
		c.MessageQueued(key, who)
	case "sent":
		c.MessageSent(key, who)
	case "lost":
		c.Disconnected(key)
	case "forget":
		c.Forget(key)
	case "traffic":
		c.Traffic(key)
	case "clear":
		running.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			// How it ends is judged by the calls.
			_ = c.Clear(ctx, key)
		})
	default:
		c.Observe(key, who, bridge.TypingState(e.verb))
	}
	if took := time.Since(before); took != 0 {
		life.write(lifeLine{lifeEvent: lifeEvent{thread: e.thread, verb: "blocked"}})
	}
	synctest.Wait()
}

// referee reads the log of a life and knows what must hold. It follows
// what was said, what the far side shows, and what the clock can know of that,
// and has none of the clock's own ideas of how to get there.
type referee struct {
	life    *typingLife
	source  bridge.TypingSource
	target  bridge.TypingTarget
	expired bridge.TypingState
	threads []*judgedThread
	// pause is until when no calls are made, because of an answer at throttled.
	pause, throttled time.Duration
	// line is the number of the line that is read.
	line int
}

type judgedThread struct {
	inCall  bool
	pending int
	// queuedAt is the line at which pending was last zero.
	queuedAt int
	marked   bool
	leases   map[string]*judgedLease
}

type judgedLease struct {
	typists map[string]*judgedTypist
	// known is what the clock can know of what is shown, and shown the truth.
	known, shown bridge.TypingState
	// lit is when a state that expires was last told, as the clock knows and as
	// it truly arrived.
	lit, shownLit time.Duration
	calling       bridge.TypingState
	callAt        time.Duration
	// lastCall and lastOn are when calls started; negative for never.
	lastCall, lastOn time.Duration
	// exempt says that a message was sent or a clear asked for since lastCall.
	exempt bool
	// heard is when composing was last said by anybody.
	heard time.Duration
	// offAt is when somebody's typing last ended; on says that somebody types.
	on    bool
	offAt time.Duration
	// onAt is when it began, seen that the far side showed it since, and clean
	// that no message stood in its way.
	onAt  time.Duration
	seen  bool
	clean bool
	// kept says that composing was told, so that it may be kept up while typing
	// lasts.
	kept bool
	// ons counts the composing calls of a burst.
	ons int
	// failedEnds counts ends that were told in vain since the last input, and
	// vain since the last composing. retryBy is when the next is due; zero when
	// none is.
	failedEnds, vain int
	retryBy          time.Duration
}

type judgedTypist struct {
	on bool
	// since is the line at which the burst began; until when it ends by itself.
	since   int
	until   time.Duration
	phantom time.Duration
	// owed says that a message on its way ended a burst, which would have ended
	// by itself at owedUntil.
	owed      bool
	owedUntil time.Duration
}

func newReferee(life *typingLife) *referee {
	j := &referee{life: life, source: life.pair.source, target: life.pair.target, expired: life.pair.expired}
	for range lifeThreads {
		j.threads = append(j.threads, &judgedThread{leases: map[string]*judgedLease{}})
	}
	return j
}

func (j *referee) lease(t *judgedThread, who string) *judgedLease {
	if !j.target.PerPerson {
		who = ""
	}
	if t.leases[who] == nil {
		t.leases[who] = &judgedLease{
			typists: map[string]*judgedTypist{}, known: bridge.Stopped, shown: bridge.Stopped, lastCall: -time.Hour, lastOn: -time.Hour, heard: -time.Hour,
		}
	}
	return t.leases[who]
}

func (l *judgedLease) typist(who string) *judgedTypist {
	if l.typists[who] == nil {
		l.typists[who] = &judgedTypist{}
	}
	return l.typists[who]
}

// off reports whether a state shows no typing.
func (j *referee) off(s bridge.TypingState) bool { return s == bridge.Stopped || s == j.expired }

func (j *referee) judge(lines []lifeLine, end time.Duration) string {
	for i, line := range lines {
		for _, t := range j.threads {
			if fault := j.pass(t, line.at); fault != "" {
				return fmt.Sprintf("before line %d: %s", i+1, fault)
			}
		}
		j.line = i
		if fault := j.read(line); fault != "" {
			return fmt.Sprintf("line %d (%v): %s", i+1, line, fault)
		}
	}
	for _, t := range j.threads {
		if fault := j.pass(t, end); fault != "" {
			return "at the end: " + fault
		}
		if t.marked {
			return "at the end: the mark stands"
		}
		for _, l := range t.leases {
			if !j.off(l.shown) {
				return "(a) at the end typing is shown"
			}
		}
	}
	return ""
}

// pass lets time pass until now, and finds what should have happened before.
func (j *referee) pass(t *judgedThread, now time.Duration) string {
	for _, l := range t.leases {
		if fault := j.passTarget(t, l, now); fault != "" {
			return fault
		}
		j.passSource(l, now)
		if fault := j.passOff(l, now); fault != "" {
			return fault
		}
		if fault := j.passOn(t, l, now); fault != "" {
			return fault
		}
		if l.retryBy > 0 && !l.on && now > max(l.retryBy, max(l.offAt, j.pause)+2*CallTimeout) && !j.off(l.known) {
			return "the end that failed was not tried again"
		}
	}
	return ""
}

// passTarget lets the far side forget what it forgets by itself.
func (j *referee) passTarget(t *judgedThread, l *judgedLease, now time.Duration) string {
	if j.target.Expiry == 0 {
		return ""
	}
	dark := l.shownLit + j.target.Expiry
	if !j.off(l.shown) && now >= dark {
		if l.shown == bridge.Composing && !j.life.faulty && l.typing(dark) && t.pending == 0 {
			return fmt.Sprintf("(b) the far side stopped showing at %v while typing lasts", dark)
		}
		l.shown = bridge.Stopped
	}
	// A call under way may have changed it.
	if now >= l.lit+j.target.Expiry && l.known != bridge.Paused && l.calling == "" {
		l.known = bridge.Stopped
		l.kept = l.kept && l.on
	}
	return ""
}

// typing reports whether somebody types at a time.
func (l *judgedLease) typing(at time.Duration) bool {
	for _, p := range l.typists {
		if p.on && at < p.until {
			return true
		}
	}
	return false
}

// passSource ends what the source said and did not renew.
func (j *referee) passSource(l *judgedLease, now time.Duration) {
	for _, p := range l.typists {
		if p.on && now >= p.until {
			p.on = false
			l.ended(p.until)
		}
		if p.owed && now >= p.owedUntil {
			p.owed = false
			l.ended(p.owedUntil)
		}
	}
}

// ended takes note of the end of somebody's typing.
func (l *judgedLease) ended(at time.Duration) {
	// Ends that passed unseen come in no order.
	l.offAt = max(l.offAt, at)
	for _, p := range l.typists {
		if p.on || p.owed {
			return
		}
	}
	l.on = false
}

// passOff finds typing that is shown although it ended.
func (j *referee) passOff(l *judgedLease, now time.Duration) string {
	slack := j.target.MinInterval + 3*maxGoodLatency
	if !j.life.faulty && !l.on && l.shown == bridge.Composing && now > l.offAt+slack {
		return fmt.Sprintf("(a) composing is shown although typing ended at %v", l.offAt)
	}
	return ""
}

// passOn finds typing that should be shown and is not.
func (j *referee) passOn(t *judgedThread, l *judgedLease, now time.Duration) string {
	if l.shown == bridge.Composing {
		l.seen = true
	}
	slack := j.target.MinInterval + 3*maxGoodLatency
	if !j.life.faulty && l.on && l.clean && !l.seen && now > l.onAt+slack && l.typing(l.onAt+slack) {
		return fmt.Sprintf("typing since %v is not shown", l.onAt)
	}
	return ""
}

func (j *referee) read(line lifeLine) string {
	t := j.threads[line.thread]
	switch line.verb {
	case "begin":
		return j.readBegin(t, j.lease(t, line.who), line)
	case "end":
		j.readEnd(t, line)
	case "mark true", "mark false":
		return j.readMark(t, line.verb == "mark true")
	case "blocked":
		return "(e) an input had to wait"
	default:
		j.readInput(t, line)
	}
	return ""
}

func (j *referee) readInput(t *judgedThread, line lifeLine) {
	l := j.lease(t, line.who)
	p := l.typist(line.who)
	switch line.verb {
	case "composing":
		j.readComposing(t, l, p, line.at)
	case "queued":
		if t.pending == 0 {
			t.queuedAt = j.line
		}
		t.pending++
		for _, other := range t.leases {
			other.clean = false
		}
		p.phantom = line.at + j.source.PhantomWindow
		if p.on {
			if !p.owed {
				p.owedUntil = p.until
			}
			p.on, p.owed = false, true
		}
	case "sent":
		t.pending--
		p.owed, l.exempt = false, true
		l.ended(line.at)
	case "lost", "clear":
		for _, l := range t.leases {
			l.exempt = l.exempt || line.verb == "clear"
			for _, p := range l.typists {
				p.on, p.owed = false, p.owed && line.verb != "clear"
			}
			l.ended(line.at)
		}
	case "forget":
		t.leases = map[string]*judgedLease{}
	case "traffic":
	default:
		p.on = false
		l.ended(line.at)
	}
	for _, l := range t.leases {
		l.failedEnds, l.retryBy = 0, 0
		if l.calling != "" {
			// The call under way belongs to what was before.
			l.failedEnds = -1
		}
	}
}

func (j *referee) readComposing(t *judgedThread, l *judgedLease, p *judgedTypist, at time.Duration) {
	if at < p.phantom {
		return
	}
	l.heard, l.vain = at, 0
	if !p.on {
		p.on, p.since = true, j.line
		l.ons = 0
		if !l.on {
			l.on, l.onAt, l.seen, l.clean = true, at, false, t.pending == 0
		}
	}
	p.until = at + j.source.Hold
}

func (j *referee) readMark(t *judgedThread, on bool) string {
	if t.marked == on {
		return "the mark is set to what it is"
	}
	t.marked = on
	for _, l := range t.leases {
		if !on && !j.off(l.shown) && j.target.Expiry == 0 {
			return "the mark is taken back while typing is shown"
		}
	}
	return ""
}

func (j *referee) readBegin(t *judgedThread, l *judgedLease, line lifeLine) string {
	if t.inCall {
		return "a second call of the thread"
	}
	t.inCall = true
	fault := j.judgeRate(l, line)
	if fault == "" {
		if line.state == bridge.Composing {
			fault = j.judgeOn(t, l, line.at)
		} else {
			fault = j.judgeOff(t, l, line)
		}
	}
	l.calling, l.callAt, l.lastCall, l.exempt = line.state, line.at, line.at, false
	l.retryBy = 0
	if line.state == bridge.Composing {
		l.lastOn = line.at
	}
	return fault
}

// judgeRate holds the calls of a lease apart, and all calls to a pause.
func (j *referee) judgeRate(l *judgedLease, line lifeLine) string {
	// What began while the answer came could not know of it.
	if line.at < j.pause && line.at > j.throttled {
		return "C11 a call in the pause of a throttled account"
	}
	if line.state == bridge.Composing && line.at < l.lastOn+j.target.MinInterval {
		return "C8 composing too soon after composing"
	}
	if j.target.StopUnlimited || line.state != bridge.Composing && l.exempt {
		return ""
	}
	if line.at < l.lastCall+j.target.MinInterval {
		return "C8 a call too soon after another"
	}
	return ""
}

// judgeOn judges a composing.
func (j *referee) judgeOn(t *judgedThread, l *judgedLease, at time.Duration) string {
	l.ons++
	ahead := l.ahead(t)
	refresh := j.target.Refresh > 0 && l.kept
	switch {
	case !l.typing(at):
		return "(d) composing although nobody types"
	case t.pending > 0 && !(ahead && refresh):
		return "(d) composing overtakes a message"
	case !refresh && at > l.heard+max(freshness, j.target.MinInterval):
		return "C13 a stale composing"
	case j.target.Refresh == 0 && l.known == bridge.Composing:
		return "C6 composing repeated to a side that keeps it"
	case j.target.Refresh == 0 && l.ons > 1 && len(l.typists) == 1:
		return "a composing was tried again"
	case !t.marked:
		return "C4 composing without the mark"
	}
	return ""
}

// judgeOff judges a call that ends typing.
func (j *referee) judgeOff(t *judgedThread, l *judgedLease, line lifeLine) string {
	switch {
	case j.off(l.known):
		return "C10 an end of what is not shown"
	case line.state == l.known:
		return "C10 the same state again"
	case line.state == bridge.Paused && !j.target.HasPaused:
		return "paused to a side that does not know it"
	case l.failedEnds >= len(clearTries):
		return "an end was tried too often"
	case !j.life.faulty && l.known == bridge.Composing && l.owed() && !l.exempt && len(l.typists) == 1:
		return "C20 an end before its message"
	case !j.life.faulty && l.ahead(t) && !l.owed() && l.typing(line.at) && !l.exempt:
		return "(b) an end while typing lasts"
	}
	return ""
}

// ahead reports whether somebody types since before the messages on their way.
func (l *judgedLease) ahead(t *judgedThread) bool {
	for _, p := range l.typists {
		if p.on && (t.pending == 0 || p.since < t.queuedAt) {
			return true
		}
	}
	return false
}

func (l *judgedLease) owed() bool {
	for _, p := range l.typists {
		if p.owed {
			return true
		}
	}
	return false
}

func (j *referee) readEnd(t *judgedThread, line lifeLine) {
	t.inCall = false
	f := line.fate
	if f.pause > 0 {
		j.pause, j.throttled = max(j.pause, line.at+f.pause), line.at
	}
	l := j.lease(t, line.who)
	if l.calling == "" {
		// The call began in a conversation that was forgotten since.
		return
	}
	l.calling = ""
	if f.end == Applied || f.took {
		l.shown, l.shownLit = line.state, line.at
	}
	if line.state != bridge.Stopped && f.end != Refused {
		l.lit = line.at
	}
	switch {
	case f.end == Applied:
		l.known = line.state
	case f.end == Uncertain && (line.state == bridge.Composing || !j.off(l.known)):
		l.known = shownUnknown
	}
	if line.state == bridge.Composing {
		l.failedEnds = 0
		l.kept = l.kept || f.end != Refused
		return
	}
	l.failedEnds++
	l.vain++
	if f.end == Applied {
		l.failedEnds, l.vain, l.kept = 0, 0, false
		return
	}
	if l.typing(line.at) {
		// The end of what is typed now is counted anew.
		l.failedEnds, l.vain = 0, 0
		return
	}
	if l.vain < len(clearTries) && j.target.Expiry == 0 {
		l.retryBy = max(l.callAt+4*time.Second, line.at, j.pause) + j.target.MinInterval + 2*CallTimeout
	}
}
