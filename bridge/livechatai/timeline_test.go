package livechatai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/livechatai/livechataitest"
	"lpbridge/bridge/relay"
	"lpbridge/connector"
	"lpbridge/connector/lpsim"
	"lpbridge/lpauth"
)

const (
	account      = "sandbox"
	clientID     = "sandbox-client"
	clientSecret = "sandbox-secret"
)

// rig is LiveChatAI, the bridge and LivePerson, all in one bubble of fake time
// and without sockets.
type rig struct {
	t       *testing.T
	far     *livechataitest.Server
	sim     *lpsim.Sim
	handler http.Handler
	began   time.Time
}

// RoundTrip brings LivePerson's webhooks to the bridge.
func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.handler == nil {
		return nil, errors.New("connection refused")
	}
	rec := httptest.NewRecorder()
	r.handler.ServeHTTP(rec, req)
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// withBridge runs a test with a rig in which one visitor's conversation is open
// in LivePerson and all is quiet.
func withBridge(t *testing.T, change func(*Config), test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, far: livechataitest.New()}
		defer r.start(change)()
		r.far.Open(livechataitest.Conversation{
			ID: "chat_1", Agent: aiAgent, IsAgent: true, Contact: livechataitest.Contact{ID: "contact_1", Name: "Ana Silva"},
		})
		time.Sleep(20 * time.Second)
		r.far.Say("chat_1", "hello")
		time.Sleep(time.Minute)
		r.far.ForgetCalls()
		r.began = time.Now()
		test(t, r)
		for _, c := range r.far.Complaints() {
			t.Errorf("LiveChatAI complains: %s", c)
		}
	})
}

// start runs the bridge; the result stops it in order.
func (r *rig) start(change func(*Config)) (stop func()) {
	t := r.t
	t.Helper()
	r.sim = lpsim.New(lpsim.Config{
		WebhookClient: &http.Client{Transport: r},
		Webhooks:      lpsim.Webhooks{URL: "http://bridge.test/webhooks/liveperson", RetentionSeconds: 3600},
		Now:           time.Now,
	})
	client, closeClient := livePerson(t, r.sim.Transport())
	journal := bridgetest.NewJournal()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	b, err := relay.New(relay.Options{
		Account: account, ClientID: clientID, Journal: journal, Client: client,
		VerifySignature: func(header string, body []byte) error {
			return lpauth.VerifySignature(clientSecret, header, body)
		},
		Notifications: relay.NotificationsOn, EchoWait: 15 * time.Second, DeadLetterAfter: 24 * time.Hour, MaxInFlight: 64,
		ConsumerKey: []byte("a key of the test"),
		Logger:      log, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Attach(adapterOf(t, r.far, b.Core(name), log, change)); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, route := range b.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	r.handler = mux
	ctx, cancel := context.WithCancel(t.Context())
	started, stopped := make(chan struct{}), make(chan error, 1)
	go func() { stopped <- b.Run(ctx, 10*time.Second, func() { close(started) }) }()
	<-started
	return func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("stop: %v", err)
		}
		closeClient()
		if err := journal.Close(); err != nil {
			t.Errorf("close the journal: %v", err)
		}
		r.sim.Close()
	}
}

func livePerson(t *testing.T, transport http.RoundTripper) (*connector.Client, func()) {
	t.Helper()
	domains, err := lpauth.NewDomains(lpauth.DomainsOptions{AccountID: account, URL: "http://127.0.0.1:8090", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := lpauth.NewAppTokens(lpauth.AppTokensOptions{
		AccountID: account, ClientID: clientID, ClientSecret: clientSecret, Domains: domains, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	consumers, err := lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{
		AccountID: account, Domains: domains, AppTokens: tokens, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := connector.New(connector.Options{
		AccountID: account, ClientID: clientID, Domains: domains, AppTokens: tokens, Consumers: consumers,
		Transport: transport, Features: []string{"MULTI_DIALOG", "QUICK_REPLIES", "RICH_CONTENT"}, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, func() {
		consumers.Close()
		tokens.Close()
		domains.Close()
	}
}

// conversation is LivePerson's newest.
func (r *rig) conversation() lpsim.Conversation {
	r.t.Helper()
	all := r.sim.Conversations()
	if len(all) == 0 {
		r.t.Fatal("LivePerson has no conversation")
	}
	c, _ := r.sim.Conversation(all[0].ConversationID)
	return c
}

// texts lists what the visitor and agents said in LivePerson's conversation.
func (r *rig) texts() []string {
	var texts []string
	for _, e := range r.conversation().Transcript {
		if e.Type == "ContentEvent" {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// timeline lists what LiveChatAI was called for agents, as "5 true" and with
// the user if there is one.
func (r *rig) timeline() []string {
	lines := []string{}
	for _, c := range r.far.Calls("typing", "reply", "end") {
		line := fmt.Sprintf("%g ", c.At.Sub(r.began).Seconds())
		var body struct {
			IsTyping bool
			UserID   string
		}
		if err := json.Unmarshal([]byte(c.Body), &body); err != nil {
			r.t.Fatal(err)
		}
		if c.Verb == "typing" {
			line += fmt.Sprint(body.IsTyping)
		} else {
			line += c.Verb
		}
		lines = append(lines, strings.TrimSpace(line+" "+body.UserID))
	}
	return lines
}

// step is what an agent does at a time, in seconds.
type step struct {
	at    float64
	agent string
	does  string
}

func (r *rig) play(steps []step) {
	r.t.Helper()
	id := r.conversation().ConversationID
	for _, s := range steps {
		time.Sleep(time.Until(r.began.Add(time.Duration(s.at * float64(time.Second)))))
		var err error
		who := lpsim.Agent{ID: s.agent}
		if s.agent == "B" {
			// Who is assigned sends the one before away; a manager sits beside.
			who.Role = "MANAGER"
		}
		switch s.does {
		case "message":
			_, err = r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "answer", Agent: who})
		case "close":
			err = r.sim.AgentClose(id, lpsim.AgentClose{})
		default:
			err = r.sim.AgentTyping(id, s.does, who)
		}
		if err != nil {
			r.t.Fatalf("%s at %g: %v", s.does, s.at, err)
		}
		synctest.Wait()
	}
}

// TestAgentTypingTimelines has the stories of an agent's typing, from
// LivePerson's webhook to LiveChatAI's typing endpoint, with the exact calls.
func TestAgentTypingTimelines(t *testing.T) {
	byName := func(c *Config) { c.Users = []string{"A=user_a", "B=user_b"} }
	tests := []struct {
		name   string
		change func(*Config)
		steps  []step
		want   []string
	}{
		{
			name:  "D8 typing is refreshed and stopped",
			steps: []step{{0, "A", "COMPOSING"}, {12.3, "A", "ACTIVE"}},
			want:  []string{"0 true", "5 true", "10 true", "12.3 false"},
		},
		{
			name:  "D9 flapping that ends in a message",
			steps: []step{{0, "A", "COMPOSING"}, {1, "A", "ACTIVE"}, {2, "A", "COMPOSING"}, {7, "A", "message"}},
			want:  []string{"0 true", "1 false", "5 true", "7 reply", "7 false"},
		},
		{
			name:  "D10 flapping that ends",
			steps: []step{{0, "A", "COMPOSING"}, {1, "A", "ACTIVE"}, {2, "A", "COMPOSING"}, {3, "A", "ACTIVE"}},
			want:  []string{"0 true", "1 false"},
		},
		{
			name:  "D11 the stop is lost",
			steps: []step{{0, "A", "COMPOSING"}},
			want: []string{
				"0 true", "5 true", "10 true", "15 true", "20 true", "25 true", "30 true", "35 true", "40 true", "45 true", "50 true",
				"55 true", "60 false",
			},
		},
		{
			name: "D15 two agents share one indicator",
			steps: []step{
				{0, "A", "COMPOSING"}, {1, "B", "COMPOSING"}, {3, "A", "message"}, {9, "B", "ACTIVE"},
			},
			want: []string{"0 true", "3 reply", "5 true", "9 false"},
		},
		{
			name: "two agents by name", change: byName,
			steps: []step{
				{0, "A", "COMPOSING"}, {1, "B", "COMPOSING"}, {3, "A", "message"}, {9, "B", "ACTIVE"},
			},
			want: []string{"0 true user_a", "1 true user_b", "3 reply user_a", "3 false user_a", "6 true user_b", "9 false user_b"},
		},
		{
			name:  "a pause is a stop, and other words are too",
			steps: []step{{0, "A", "COMPOSING"}, {1, "A", "PAUSE"}, {6, "A", "COMPOSING"}, {7, "A", "INACTIVE"}},
			want:  []string{"0 true", "1 false", "6 true", "7 false"},
		},
		{
			name:  "a close ends typing",
			steps: []step{{0, "A", "COMPOSING"}, {2, "", "close"}},
			want:  []string{"0 true", "2 end", "2 false"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withBridge(t, tt.change, func(t *testing.T, r *rig) {
				r.play(tt.steps)
				time.Sleep(3 * time.Minute)
				got := r.timeline()
				if strings.Contains(tt.name, "close") {
					// The end of a conversation and that of typing go by different ways.
					slices.Sort(got)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTypingThatFailsHoldsUpNothing(t *testing.T) {
	const refusal = `{"status":"error","message":"no","code":"x"}`
	for name, answer := range map[string]livechataitest.Answer{
		"404": {Status: 404, Body: refusal}, "403": {Status: 403, Body: refusal}, "429": {Status: 429, RetryAfter: "30"},
	} {
		t.Run(name, func(t *testing.T) {
			withBridge(t, nil, func(t *testing.T, r *rig) {
				r.far.Before(func(c livechataitest.Call) *livechataitest.Answer {
					if c.Verb == "typing" {
						return &answer
					}
					return nil
				})
				r.play([]step{{0, "A", "COMPOSING"}, {6, "A", "message"}})
				time.Sleep(time.Minute)
				got := r.timeline()
				if !slices.Contains(got, "6 reply") || len(got) > 10 {
					t.Errorf("calls %q, want a reply at 6 and no flood", got)
				}
			})
		})
	}
}

// TestLifeOfAConversation goes once through all, with a lost answer on the way.
func TestLifeOfAConversation(t *testing.T) {
	withBridge(t, nil, func(t *testing.T, r *rig) {
		if want := bridge.ExtConsumerID([]byte("a key of the test"), "livechatai", "contact_1"); r.conversation().ExtConsumerID != want {
			t.Errorf("ext_consumer_id %q, want %q", r.conversation().ExtConsumerID, want)
		}
		lose(r.far)
		r.play([]step{{0, "A", "message"}})
		time.Sleep(time.Minute)
		r.far.Say("chat_1", "thanks")
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"user: hello", "agent: answer", "user: thanks"}, r.far.Messages("chat_1")); diff != "" {
			t.Errorf("LiveChatAI (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"hello", "answer", "thanks"}, r.texts()); diff != "" {
			t.Errorf("LivePerson (-want +got):\n%s", diff)
		}
		r.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = true })
		time.Sleep(time.Minute)
		if s := r.conversation().State; s != "CLOSE" {
			t.Errorf("LivePerson's conversation is %s", s)
		}
		if n := len(r.far.Calls("end")); n != 0 {
			t.Errorf("%d ends of a conversation that LiveChatAI resolved itself", n)
		}
	})
}

// TestVisitorTyping comes by push only.
func TestVisitorTyping(t *testing.T) {
	withBridge(t, nil, func(t *testing.T, r *rig) {
		sees := func(want bool) {
			t.Helper()
			synctest.Wait()
			if got := r.conversation().AgentSees.ConsumerTyping; got != want {
				t.Errorf("%g s: the agent sees typing: %t, want %t", time.Since(r.began).Seconds(), got, want)
			}
		}
		push := func(isTyping bool) {
			rec := httptest.NewRecorder()
			r.handler.ServeHTTP(rec, pushRequest(fmt.Sprintf(`{"type":"typing","conversationId":"chat_1","isTyping":%t}`, isTyping), time.Now()))
			if rec.Code != http.StatusOK {
				t.Fatalf("push is answered %d %s", rec.Code, rec.Body)
			}
		}
		sees(false)
		push(true)
		sees(true)
		time.Sleep(2 * time.Second)
		push(false)
		sees(false)
		time.Sleep(2 * time.Second)
		push(true)
		sees(true)
		time.Sleep(31 * time.Second)
		sees(false)
	})
}
