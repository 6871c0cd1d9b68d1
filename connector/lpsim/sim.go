package lpsim

import (
	"context"
	"net/http"
	"sync"
)

// Sim is one LivePerson account with one app installation, or more once an administrator installs them. It is an [http.Handler] for all of LivePerson's paths,
// the management API and the agent's page. Its methods are safe for concurrent use; Close must be called once.
type Sim struct {
	*agents // AgentMessage and all else that agents do

	app        *installation
	registry   *registry
	messaging  *messaging
	tokens     *tokens
	files      *files
	monitoring *monitoring
	profiles   *profiles
	script     *script
	requests   *requests
	clients    *clients
	admins     *admins
	stream     *stream
	gateway    *gateway
	management http.Handler

	stop       context.CancelFunc
	background sync.WaitGroup
}

// New starts a simulator. It panics on a configuration that Validate refuses: check outside input first.
func New(config Config) *Sim {
	if err := config.Validate(); err != nil {
		panic("lpsim: " + err.Error())
	}
	app := newInstallation(config.withDefaults())
	agenda := newAgenda(app.travel)
	known := newClients(app, agenda)
	s := &Sim{
		app: app, registry: newRegistry(app.MaxConversations), tokens: newTokens(app, known), files: newFiles(app.Config),
		profiles: &profiles{account: app.Account}, requests: &requests{}, stream: newStream(), clients: known,
		admins: &admins{installation: app},
	}
	s.monitoring = newMonitoring(app, known, s.registry)
	tell := &notifier{installation: app, clients: known, stream: s.stream}
	s.messaging = &messaging{installation: app, registry: s.registry, tell: tell, agenda: agenda}
	s.agents = &agents{installation: app, registry: s.registry, messaging: s.messaging, files: s.files}
	s.script = newScript(app.Script, agenda, s.agents)
	s.messaging.happened = s.script.perform
	s.gateway = newGateway(app, s.requests, s.stream, s.endpoints())
	s.management = managementAPI(s)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.background.Go(func() { agenda.run(ctx) })
	known.begin(ctx)
	return s
}

// endpoints are who answers LivePerson's APIs. The two messaging ones check their tokens themselves.
func (s *Sim) endpoints() map[API]endpoint {
	consumers := &connectorAPI{
		installation: s.app, registry: s.registry, messaging: s.messaging, tokens: s.tokens, files: s.files,
	}
	return map[API]endpoint{
		DomainAPI:       {"GET", s.app.domain},
		SentinelAPI:     {"POST GET", s.tokens.sentinel},
		IDPAPI:          {"POST", s.tokens.idp},
		ConversationAPI: {"POST", consumers.createConversation},
		SendAPI:         {"POST", consumers.send},
		SwiftAPI:        {"GET PUT OPTIONS", s.files.serve},
		EngagementAPI:   {"POST", s.monitoring.serve},
		ProfileAPI:      {"GET", s.profiles.serve},

		LoginAPI:         {"POST", s.admins.login},
		InstallationsAPI: {"GET POST PUT DELETE", (&installations{s.admins, s.clients}).serve},
		FeaturesAPI:      {"GET", s.admins.features},
		HistoryAPI:       {"POST", (&history{s.admins, s.registry, s.profiles}).serve},
	}
}

// Close ends event streams, timers and deliveries and waits for them. Notifications not yet delivered are lost.
func (s *Sim) Close() {
	s.stop()
	s.stream.close()
	s.clients.end()
	s.background.Wait()
}

// SetFaults replaces all faults and restarts their random sequences and outage windows.
func (s *Sim) SetFaults(f Faults) error {
	if err := f.Validate(); err != nil {
		return err
	}
	s.app.enforce(f)
	s.stream.publish("faults", func() any { return s.Faults() })
	return nil
}

// Faults are those in force, with defaults filled in.
func (s *Sim) Faults() Faults { return s.app.faults().Faults }

// SetWebhooks replaces the webhook configuration of the configured app at once; LivePerson takes up to two minutes.
func (s *Sim) SetWebhooks(w Webhooks) error {
	if err := w.Validate(); err != nil {
		return err
	}
	return s.clients.configure(w)
}

// Webhooks is the webhook configuration of the configured app, empty if an administrator deleted it.
func (s *Sim) Webhooks() Webhooks { return s.clients.webhooks() }

// SetScript replaces what the scripted agents do from now on.
func (s *Sim) SetScript(script Script) error {
	if err := script.Validate(); err != nil {
		return err
	}
	s.script.set(script)
	return nil
}

// Script is what the scripted agents do.
func (s *Sim) Script() Script { return s.script.get() }

// Conversations lists all conversations, newest first.
func (s *Sim) Conversations() []Summary { return s.registry.newest(0) }

// Conversation is a copy of one conversation, found by its id or by that of one of its dialogs.
func (s *Sim) Conversation(id string) (Conversation, bool) {
	c := s.registry.find(id)
	if c == nil {
		return Conversation{}, false
	}
	return c.snapshot(), true
}

// ConsumerID is the lp_consumer_id of a consumer.
func (s *Sim) ConsumerID(extConsumerID string) string {
	if s.Faults().IdentityIncludesApp {
		return s.app.consumerID(extConsumerID, s.app.ClientID)
	}
	return s.app.consumerID(extConsumerID, "")
}

// SignAppJWT makes an AppJWT with any claims, signed with the right key, for tests of what LivePerson refuses.
func (s *Sim) SignAppJWT(claims AppClaims) string { return sign(staticKeyID, claims) }

// ForgetAppJWTs makes every AppJWT that was presented or issued until now invalid (40102).
func (s *Sim) ForgetAppJWTs() { s.tokens.forgetApps() }

// ServeHTTP plays LivePerson, and the simulator's own pages at / and below /sim/ and /page/.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if api, ok := route(r.URL.Path); ok {
		s.gateway.serve(w, r, api)
		return
	}
	s.management.ServeHTTP(w, r)
}
