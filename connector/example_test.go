package connector_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"lpbridge/connector"
	"lpbridge/lpauth"
)

// One consumer opens a conversation, types, and says something longer than
// LivePerson takes at once.
func Example() {
	server := httptest.NewServer(demoLivePerson())
	defer server.Close()

	const account, consumer = "le12345678", "webchat:u-7"
	transport := lpauth.NewTransport(lpauth.TransportOptions{})
	defer transport.CloseIdleConnections()

	// Who they are, and who we are. URL is left out to reach LivePerson itself.
	domains, err := lpauth.NewDomains(lpauth.DomainsOptions{AccountID: account, URL: server.URL, Transport: transport})
	if err != nil {
		panic(err)
	}
	defer domains.Close()
	app, err := lpauth.NewAppTokens(lpauth.AppTokensOptions{
		AccountID: account, ClientID: "app", ClientSecret: "secret", Domains: domains, Transport: transport,
	})
	if err != nil {
		panic(err)
	}
	defer app.Close()
	consumers, err := lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{
		AccountID: account, Domains: domains, AppTokens: app, Transport: transport,
	})
	if err != nil {
		panic(err)
	}
	defer consumers.Close()

	client, err := connector.New(connector.Options{
		AccountID: account, Domains: domains, AppTokens: app, Consumers: consumers, Transport: transport,
		Features: []string{"RICH_CONTENT", "QUICK_REPLIES"},
	})
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	id, err := client.Conversation(ctx, consumer, connector.ConversationRequest{
		Profile: connector.UserProfile{FirstName: "Ana"},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("conversation", id)

	to := connector.Target{ConversationID: id}
	say := func(event connector.Event) {
		sequence, err := client.Send(ctx, consumer, to, event)
		if err != nil {
			fmt.Println("failed:", connector.OutcomeOf(err), err)
			return
		}
		fmt.Printf("%T %d\n", event, sequence)
	}
	say(connector.ChatStateEvent{ChatState: connector.ChatComposing})
	for _, part := range connector.SplitText(strings.Repeat("tell me more ", 400), 0) {
		say(connector.ContentEvent{Message: part})
	}
	say(connector.ChatStateEvent{ChatState: connector.ChatActive})
	if err := client.UpdateConversation(ctx, consumer, id, connector.Stage{}); err != nil {
		panic(err)
	}
	say(connector.ContentEvent{Message: "one more thing"})

	// Output:
	// conversation c-1
	// connector.ChatStateEvent 0
	// connector.ContentEvent 0
	// connector.ContentEvent 1
	// connector.ChatStateEvent 0
	// failed: closed ms.PublishEvent: status 400 BAD_REQUEST: conversation is closed
}

// demoLivePerson is the little of LivePerson that the example meets.
func demoLivePerson() http.Handler {
	mux := http.NewServeMux()
	sequence, closed := 0, false
	mux.HandleFunc("GET /api/account/{account}/service/baseURI.json", func(w http.ResponseWriter, r *http.Request) {
		for _, service := range []string{"sentinel", "idp", "asyncMessagingEnt"} {
			separator := map[bool]string{true: `{"baseURIs":[`, false: ","}[service == "sentinel"]
			fmt.Fprintf(w, `%s{"service":%q,"account":"le12345678","baseURI":%q}`, separator, service, r.Host)
		}
		fmt.Fprint(w, "]}")
	})
	mux.HandleFunc("POST /sentinel/api/account/{account}/app/token", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"access_token":"app-token","token_type":"Bearer"}`)
	})
	mux.HandleFunc("POST /api/account/{account}/consumer", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"token":"consumer-token"}`)
	})
	mux.HandleFunc("POST /api/account/{account}/messaging/consumer/conversation", func(w http.ResponseWriter, r *http.Request) {
		var batch []struct{ ID string }
		_ = json.NewDecoder(r.Body).Decode(&batch)
		fmt.Fprintf(w, `[{"code":"OK","body":{},"reqId":%q},{"code":"OK","body":{"conversationId":"c-1"},"reqId":%q}]`, batch[0].ID, batch[1].ID)
	})
	mux.HandleFunc("POST /api/account/{account}/messaging/consumer/conversation/send", func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			Type string
			Body struct{ Event struct{ Type string } }
		}
		_ = json.NewDecoder(r.Body).Decode(&request)
		switch {
		case request.Type == "cm.UpdateConversationField":
			closed = true
			fmt.Fprint(w, `{"code":"OK","body":{"msg":"OK Conversation resolved successfully"}}`)
		case closed:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request, Conversation is close"}}`)
		case request.Body.Event.Type == "ChatStateEvent":
			fmt.Fprint(w, `{"code":"OK","body":{"sequence":0}}`)
		default:
			fmt.Fprintf(w, `{"code":"OK","body":{"sequence":%d}}`, sequence)
			sequence++
		}
	})
	return mux
}
