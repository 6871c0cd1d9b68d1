package connector_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"lpbridge/connector"
	"lpbridge/connector/lpsim"
)

// demo is a LivePerson to try things on, and a connection to it. Leave DomainURL
// out to reach LivePerson itself.
func demo() (*lpsim.Sim, *connector.Connection, func()) {
	sim := lpsim.New(lpsim.Config{})
	server := httptest.NewServer(sim)
	connection, err := connector.Connect(connector.ConnectOptions{
		AccountID: "sandbox", ClientID: "sandbox-client", ClientSecret: "sandbox-secret", DomainURL: server.URL,
		Features: []string{connector.FeatureRichContent, connector.FeatureQuickReplies},
	})
	if err != nil {
		panic(err)
	}
	return sim, connection, func() { connection.Close(); server.Close(); sim.Close() }
}

// One consumer opens a conversation, says something longer than LivePerson takes
// at once, and leaves.
func Example() {
	_, client, done := demo()
	defer done()
	ctx := context.Background()
	const consumer = "webchat:u-7"

	id, err := client.Conversation(ctx, consumer, connector.ConversationRequest{
		Profile: connector.UserProfile{FirstName: "Ana"},
	})
	if err != nil {
		panic(err)
	}
	to := connector.Target{ConversationID: id}
	for _, part := range connector.SplitText(strings.Repeat("tell me more ", 400), 0) {
		sequence, err := client.Send(ctx, consumer, to, connector.ContentEvent{Message: part})
		fmt.Println("part", sequence, err)
	}
	if err := client.UpdateConversation(ctx, consumer, id, connector.Stage{}); err != nil {
		panic(err)
	}
	_, err = client.Send(ctx, consumer, to, connector.ContentEvent{Message: "one more thing"})
	fmt.Println(connector.OutcomeOf(err), err)

	// Output:
	// part 0 <nil>
	// part 1 <nil>
	// closed ms.PublishEvent: status 400 BAD_REQUEST: conversation is closed
}

// COMPOSING sticks: the agent sees "typing" until another state is sent, and a
// message does not end it.
func ExampleClient_Send_typing() {
	sim, client, done := demo()
	defer done()
	ctx := context.Background()
	const consumer = "webchat:u-7"
	id, err := client.Conversation(ctx, consumer, connector.ConversationRequest{})
	if err != nil {
		panic(err)
	}
	to := connector.Target{ConversationID: id}
	agentSees := func(event connector.Event) {
		if _, err := client.Send(ctx, consumer, to, event); err != nil {
			panic(err)
		}
		seen, _ := sim.Conversation(string(id))
		fmt.Println("typing:", seen.AgentSees.ConsumerTyping)
	}
	agentSees(connector.ChatStateEvent{ChatState: connector.ChatComposing})
	agentSees(connector.ContentEvent{Message: "hello"})
	agentSees(connector.ChatStateEvent{ChatState: connector.ChatActive})

	// Output:
	// typing: true
	// typing: true
	// typing: false
}

// LivePerson tells of everything that happens in the account, our own messages
// included, by webhook.
func ExampleConnection_Webhook() {
	sim, client, done := demo()
	defer done()
	ctx := context.Background()
	const consumer = "webchat:u-7"
	words := make(chan string, 10)
	hook := client.Webhook(func(_ context.Context, n connector.Notification) error {
		if events, ok := n.(*connector.MessagingEventNotification); ok {
			for _, change := range events.Changes {
				if !change.FromConsumer() && !change.Private() && change.Event.FallbackText() != "" {
					words <- change.Event.FallbackText()
				}
			}
		}
		return nil // stored: LivePerson need not send it again
	})
	server := httptest.NewServer(hook)
	defer server.Close()
	if err := sim.SetWebhooks(lpsim.Webhooks{URL: server.URL}); err != nil {
		panic(err)
	}

	id, err := client.Conversation(ctx, consumer, connector.ConversationRequest{})
	if err != nil {
		panic(err)
	}
	if _, err := client.Send(ctx, consumer, connector.Target{ConversationID: id}, connector.ContentEvent{Message: "hello"}); err != nil {
		panic(err)
	}
	if _, err := sim.AgentMessage(string(id), lpsim.AgentMessage{Text: "How can I help?", QuickReplies: []byte(`["Order","Invoice"]`)}); err != nil {
		panic(err)
	}
	fmt.Println(<-words)

	// Output:
	// How can I help?
	// - Order
	// - Invoice
}

// A failure says how far it reaches and whether it was applied.
func ExampleError() {
	sim, client, done := demo()
	defer done()
	ctx := context.Background()
	id, err := client.Conversation(ctx, "webchat:u-7", connector.ConversationRequest{})
	if err != nil {
		panic(err)
	}
	for _, faults := range []lpsim.Faults{
		{BetweenRate: lpsim.Rates{lpsim.SendAPI: 1}, BetweenStatuses: []int{http.StatusForbidden}},
		{AppliedErrorRate: lpsim.Rates{lpsim.SendAPI: 1}},
		{ForgetConversationRate: 1},
	} {
		if err := sim.SetFaults(faults); err != nil {
			panic(err)
		}
		_, err := client.Send(ctx, "webchat:u-7", connector.Target{ConversationID: id}, connector.ContentEvent{Message: "hello"})
		if failed, ok := err.(*connector.Error); ok {
			fmt.Println(failed.StatusCode, failed.Outcome, failed.Scope, failed.Certainty)
		}
	}

	// Output:
	// 403 retry between maybe applied
	// 500 unknown between maybe applied
	// 400 invalid conversation refused
}

// What this package has no words for can be sent and read as LivePerson spells it.
func ExampleClient_Call() {
	sim, client, done := demo()
	defer done()
	ctx := context.Background()
	const consumer = "webchat:u-7"
	id, err := client.Conversation(ctx, consumer, connector.ConversationRequest{})
	if err != nil {
		panic(err)
	}
	event := connector.RawEvent{Event: []byte(`{"type":"ContentEvent","contentType":"text/plain","message":"hello"}`)}
	sequence, err := client.Send(ctx, consumer, connector.Target{ConversationID: id}, event)
	fmt.Println(sequence, err)
	err = client.Call(ctx, consumer, "cm.UpdateConversationField", map[string]any{
		"conversationId":    id,
		"conversationField": []any{map[string]string{"field": "Stage", "conversationState": "CLOSE"}},
	}, nil)
	seen, _ := sim.Conversation(string(id))
	fmt.Println(seen.State, err)
	_, err = client.Send(ctx, consumer, connector.Target{ConversationID: id}, event)
	if failed, ok := errors.AsType[*connector.Error](err); ok {
		var answer struct{ Body struct{ Msg string } }
		fmt.Println(json.Unmarshal(failed.Answer, &answer), answer.Body.Msg)
	}

	// Output:
	// 0 <nil>
	// CLOSE <nil>
	// <nil> Bad Request, Conversation is close
}
