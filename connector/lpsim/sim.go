package lpsim

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
)

// Sim is one LivePerson account with one app installation. It is an [http.Handler] for all of LivePerson's paths,
// the management API and the agent's page. Its methods are safe for concurrent use; Close must be called once.
type Sim struct {
	config     Config
	faults     atomic.Pointer[inForce]
	script     atomic.Pointer[Script]
	onApplied  atomic.Pointer[func(Applied)]
	profiles   profiles
	requests   requests
	tokens     *tokens
	files      *files
	hooks      *hooks
	agenda     *agenda
	stream     *stream
	visits     *visits
	stats      stats
	inProgress atomic.Int64
	management http.Handler

	mu            sync.RWMutex // guards the maps, never held while another lock is taken
	conversations map[string]*conversation
	dialogs       map[string]*conversation
	consumers     map[string]*consumer
	order         []string // conversation ids, oldest first

	stop       context.CancelFunc
	background sync.WaitGroup
}

// New starts a simulator. It panics on a configuration that Validate refuses: check outside input first.
func New(config Config) *Sim {
	if err := config.Validate(); err != nil {
		panic("lpsim: " + err.Error())
	}
	config = config.withDefaults()
	s := &Sim{
		config: config, tokens: newTokens(config), files: newFiles(config), agenda: newAgenda(), stream: newStream(),
		visits: newVisits(), conversations: map[string]*conversation{}, dialogs: map[string]*conversation{},
		consumers: map[string]*consumer{},
	}
	s.faults.Store(enforce(config.Faults, config.Now()))
	s.script.Store(&config.Script)
	s.hooks = newHooks(config, s.agenda, s.faults.Load, &s.stats)
	s.management = s.managementAPI()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.background.Go(func() { s.agenda.run(ctx) })
	s.background.Go(func() { s.hooks.run(ctx) })
	return s
}

// Close ends event streams, timers and deliveries and waits for them. Notifications not yet delivered are lost.
func (s *Sim) Close() {
	s.stop()
	s.stream.close()
	s.background.Wait()
}

// Account is the account id the simulator plays.
func (s *Sim) Account() string { return s.config.Account }

// SetFaults replaces all faults and restarts their random sequences and outage windows.
func (s *Sim) SetFaults(f Faults) error {
	if err := f.Validate(); err != nil {
		return err
	}
	s.faults.Store(enforce(f, s.config.Now()))
	s.stream.publish("faults", func() any { return s.Faults() })
	return nil
}

// Faults are those in force, with defaults filled in.
func (s *Sim) Faults() Faults { return s.faults.Load().Faults }

// SetWebhooks replaces the webhook configuration at once; LivePerson takes up to two minutes.
func (s *Sim) SetWebhooks(w Webhooks) error {
	if err := w.Validate(); err != nil {
		return err
	}
	s.hooks.configure(w)
	return nil
}

// Webhooks is the webhook configuration in force.
func (s *Sim) Webhooks() Webhooks { return s.hooks.configuration() }

// SetScript replaces what the scripted agents do from now on.
func (s *Sim) SetScript(script Script) error {
	if err := script.Validate(); err != nil {
		return err
	}
	s.script.Store(&script)
	return nil
}

// Script is what the scripted agents do.
func (s *Sim) Script() Script { return *s.script.Load() }

// ServeHTTP plays LivePerson, and the simulator's own pages at / and below /sim/ and /page/.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if api, ok := s.route(r.URL.Path); ok {
		s.serveAPI(w, r, api)
		return
	}
	s.management.ServeHTTP(w, r)
}
