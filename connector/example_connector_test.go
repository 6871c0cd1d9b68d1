package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"lpbridge/connector"
	"lpbridge/connector/lpsim"
)

// small is a whole connector: what consumers write goes to LivePerson, what agents
// write comes out of it. It keeps nothing, so a restart forgets who talks where;
// that, order and retries are what the rest of this repository is about.
type small struct {
	client *connector.Connection
	say    func(conversation connector.ConversationID, text string)
	open   sync.Map // consumer -> conversation
}

// fromConsumer takes a message, and opens a conversation when there is none or it
// has ended.
func (s *small) fromConsumer(ctx context.Context, consumer connector.ConsumerIdentity, text string) error {
	for tried := 0; ; tried++ {
		id, known := s.open.Load(consumer)
		if !known {
			opened, err := s.client.Conversation(ctx, consumer, connector.ConversationRequest{})
			if err != nil {
				return err
			}
			id = opened
			s.open.Store(consumer, id)
		}
		to := connector.Target{ConversationID: id.(connector.ConversationID)}
		_, err := s.client.Send(ctx, consumer, to, connector.ContentEvent{Message: text})
		var failed *connector.Error
		if !errors.As(err, &failed) || failed.Scope != connector.ScopeConversation || tried > 0 {
			return err
		}
		s.open.Delete(consumer)
	}
}

// fromLivePerson hands on what agents write.
func (s *small) fromLivePerson(_ context.Context, n connector.Notification) error {
	events, _ := n.(*connector.MessagingEventNotification)
	if events == nil {
		return nil
	}
	for _, change := range events.Changes {
		if text := change.Event.FallbackText(); text != "" && !change.FromConsumer() && !change.Private() {
			s.say(change.ConversationID, text)
		}
	}
	return nil
}

// A whole connector, with the simulator in LivePerson's place.
func Example_connector() {
	sim, client, done := demo()
	defer done()
	said := make(chan string, 10)
	s := &small{client: client, say: func(_ connector.ConversationID, text string) { said <- text }}
	mux := http.NewServeMux()
	mux.Handle("/webhooks/liveperson", client.Webhook(s.fromLivePerson))
	mux.HandleFunc("POST /messages", func(w http.ResponseWriter, r *http.Request) {
		var m struct{ Consumer, Text string }
		if json.NewDecoder(r.Body).Decode(&m) != nil || s.fromConsumer(r.Context(), connector.ConsumerIdentity(m.Consumer), m.Text) != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	if err := sim.SetWebhooks(lpsim.Webhooks{URL: server.URL + "/webhooks/liveperson"}); err != nil {
		panic(err)
	}

	write := func(text string) {
		resp, err := http.Post(server.URL+"/messages", "application/json", strings.NewReader(`{"consumer":"u-7","text":"`+text+`"}`))
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(text, resp.StatusCode)
	}
	write("hello")
	if _, err := sim.AgentMessage(lpsim.Latest, lpsim.AgentMessage{Text: "How can I help?"}); err != nil {
		panic(err)
	}
	fmt.Println(<-said)
	if err := sim.AgentClose(lpsim.Latest, lpsim.AgentClose{}); err != nil {
		panic(err)
	}
	write("one more thing")
	fmt.Println(len(sim.Conversations()), "conversations")

	// Output:
	// hello 200
	// How can I help?
	// one more thing 200
	// 2 conversations
}
