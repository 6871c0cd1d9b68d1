package scenario

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"lpbridge/connector/lpsim"
)

// Options say where the connector is.
type Options struct {
	// Connector is where consumers' events are POSTed.
	Connector string
	// Token, if set, is the bearer token of both directions.
	Token string
	// Notifications is where LivePerson's notifications go.
	Notifications string
}

// Runner tries one connector. It is the HTTP handler of the channel, which must be reachable before [Runner.Run].
type Runner struct {
	opts Options
	sim  *lpsim.Sim
	now  atomic.Pointer[channel]
}

// NewRunner lets a connector be tried that uses the simulator.
func NewRunner(sim *lpsim.Sim, o Options) *Runner { return &Runner{opts: o, sim: sim} }

// ServeHTTP takes what the connector brings to the channel.
func (r *Runner) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if c := r.now.Load(); c != nil {
		c.ServeHTTP(w, req)
		return
	}
	// A scenario begins when the one before has ended.
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// Report is how a connector did in one scenario.
type Report struct {
	// Wrong is empty when it did all right.
	Wrong []Complaint
	// Refusals are calls that LivePerson refused, and why; they need not be a fault of the connector.
	Refusals []string
	Said     int
	Written  int
	Took     time.Duration
}

// Run plays a scenario and compares. Its error says that it could not be played, which is not the connector's fault unless
// it says so.
func (r *Runner) Run(ctx context.Context, s Scenario) (Report, error) {
	began := time.Now()
	p, err := r.prepare(s)
	if err != nil {
		return Report{}, err
	}
	limit, cancel := context.WithTimeout(ctx, time.Duration(s.Within)+p.duration())
	defer cancel()
	for i, step := range s.Steps {
		if err := p.step(limit, step); err != nil {
			if ctx.Err() != nil {
				return Report{}, ctx.Err()
			}
			p.stuck = append(p.stuck, Complaint{Stuck, fmt.Sprintf("step %d: %v", i, err)})
			break
		}
	}
	report := Report{Wrong: p.await(ctx, time.Duration(s.Within)), Said: len(p.said), Written: len(p.written), Took: time.Since(began).Round(100 * time.Millisecond)}
	report.Refusals = refusals(r.sim.Requests("", 0))
	return report, ctx.Err()
}

// play is one scenario under way.
type play struct {
	*Runner
	scenario Scenario
	channel  *channel
	// run makes threads and texts unlike those of every other run.
	run     string
	said    []said
	written []written
	stuck   []Complaint
}

// said is a message that the connector promised to deliver, written one of an agent.
type said struct{ thread, text string }

type written struct {
	thread, text string
	sent         lpsim.Sent
	at           time.Time
}

// prepare sets the simulator up for a scenario.
func (r *Runner) prepare(s Scenario) (*play, error) {
	r.sim.Reset()
	if err := r.sim.SetWebhooks(lpsim.Webhooks{URL: r.opts.Notifications, RetentionSeconds: s.RetentionSeconds}); err != nil {
		return nil, err
	}
	if err := r.sim.SetFaults(s.Faults); err != nil {
		return nil, err
	}
	p := &play{Runner: r, scenario: s, run: strings.ToLower(rand.Text()[:6]), channel: newChannel(r.opts.Connector, r.opts.Token)}
	r.now.Store(p.channel)
	return p, nil
}

// duration is how long the steps pause.
func (p *play) duration() (all time.Duration) {
	for _, s := range p.scenario.Steps {
		all += time.Duration(s.Pause)
	}
	return all
}

func (p *play) thread(name string) string { return name + "-" + p.run }

// marked is a text that shows which thread it belongs to.
func (p *play) marked(text, thread string) string { return text + " [" + p.thread(thread) + "]" }

func (p *play) step(ctx context.Context, s Step) error {
	switch {
	case s.Say != nil:
		return p.say(ctx, s.Say)
	case s.Type != nil:
		return p.channel.send(ctx, p.event("typing", s.Type.Thread, func(e *event) { e.Typing = &typing{s.Type.State} }))
	case s.Agent != nil:
		return p.agent(ctx, s.Agent)
	case s.Close != "":
		return p.channel.send(ctx, p.event("close", s.Close, func(*event) {}))
	case s.Forget != "":
		c, err := p.conversation(ctx, s.Forget)
		if err != nil {
			return err
		}
		return p.sim.Forget(c.ConversationID)
	case s.Faults != nil:
		return p.sim.SetFaults(*s.Faults)
	case s.Channel != "":
		p.channel.down.Store(s.Channel == "down")
		return nil
	case s.Spoil != nil:
		p.channel.misbehave(*s.Spoil)
		return nil
	case s.Await != "":
		return p.arrival(ctx, s.Await)
	}
	return pause(ctx, time.Duration(s.Pause))
}

func (p *play) event(kind, thread string, fill func(*event)) event {
	name := p.thread(thread)
	e := event{Type: kind, Thread: name, Consumer: &consumer{"consumer-" + name}}
	fill(&e)
	return e
}

// say says something in each thread, in all of them at once.
func (p *play) say(ctx context.Context, s *Say) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, thread := range s.threads() {
		var texts []string
		for n := range max(s.Times, 1) {
			texts = append(texts, p.marked(numbered(s.Text, n+1), thread))
		}
		for _, text := range texts {
			p.said = append(p.said, said{thread, text})
		}
		all.Go(func() error {
			for _, text := range texts {
				if err := p.channel.send(ctx, p.event("message", thread, func(e *event) { e.Message = &message{text} })); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

func (p *play) agent(ctx context.Context, a *Agent) error {
	c, err := p.conversation(ctx, a.Thread)
	if err != nil {
		return err
	}
	switch {
	case a.ChatState != "":
		return p.sim.AgentTyping(c.ConversationID, a.ChatState, lpsim.Agent{})
	case a.Close:
		survey := a.Survey && slices.Contains(c.Features, "MULTI_DIALOG")
		return p.sim.AgentClose(c.ConversationID, lpsim.AgentClose{Survey: &survey})
	case a.Read:
		_, err := p.sim.AgentRead(c.ConversationID, "READ", sequencesOf(c), lpsim.Agent{})
		return err
	}
	for n := range max(a.Times, 1) {
		text := p.marked(numbered(a.Text, n+1), a.Thread)
		sent, err := p.sim.AgentMessage(c.ConversationID, lpsim.AgentMessage{Text: text})
		if err != nil {
			return err
		}
		p.written = append(p.written, written{a.Thread, text, sent, time.Now()})
	}
	return nil
}

// conversation waits for the conversation of a thread and gives the newest.
func (p *play) conversation(ctx context.Context, thread string) (lpsim.Conversation, error) {
	for {
		if all := p.conversations()[thread]; len(all) > 0 && all[len(all)-1].State == "OPEN" {
			return all[len(all)-1], nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return lpsim.Conversation{}, fmt.Errorf("%s has no open conversation in LivePerson", thread)
		}
	}
}

// conversations are those in which something of a thread was said, oldest first, and those of nobody under "".
func (p *play) conversations() map[string][]lpsim.Conversation {
	found := map[string][]lpsim.Conversation{}
	summaries := p.sim.Conversations()
	slices.Reverse(summaries)
	for _, s := range summaries {
		c, ok := p.sim.Conversation(s.ConversationID)
		if !ok || s.Foreign {
			continue
		}
		for _, thread := range p.threadsIn(c) {
			found[thread] = append(found[thread], c)
		}
	}
	return found
}

// threadsIn are the threads whose consumers wrote in a conversation.
func (p *play) threadsIn(c lpsim.Conversation) (threads []string) {
	for _, e := range c.Transcript {
		for _, said := range p.said {
			if e.Role == lpsim.RoleConsumer && textOf(e) == said.text && !slices.Contains(threads, said.thread) {
				threads = append(threads, said.thread)
			}
		}
	}
	return threads
}

// textOf is what the connector sent, whatever LivePerson made of it.
func textOf(e lpsim.Entry) string {
	if e.Submitted != "" {
		return strings.TrimSpace(e.Submitted)
	}
	return strings.TrimSpace(e.Text)
}

func sequencesOf(c lpsim.Conversation) (list []int64) {
	for _, e := range c.Transcript {
		if e.Role == lpsim.RoleConsumer && e.Type == "ContentEvent" {
			list = append(list, e.Sequence)
		}
	}
	return list
}

var errStill = errors.New("it did not all arrive")

// arrival waits until what was said, or written, has arrived.
func (p *play) arrival(ctx context.Context, what string) error {
	for {
		missing := p.missingAtLivePerson()
		if what == "written" {
			missing = p.missingAtChannel()
		}
		if len(missing) == 0 {
			return nil
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return errStill
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
