// Package connector is a Go client for LivePerson's Connector API: it lets a
// program speak to agents on behalf of consumers, and understand what LivePerson
// tells it through webhooks. It can be used alone, with package lpauth.
//
// # Starting
//
// A connection is made from what the app installation gives:
//
//	client, err := connector.Connect(connector.ConnectOptions{
//		AccountID: account, ClientID: id, ClientSecret: secret,
//		Features:  []string{connector.FeatureRichContent, connector.FeatureQuickReplies},
//	})
//
// [New] makes a client of parts that are shared with something else, see lpauth.
//
// # Speaking
//
// A consumer has at most one open conversation. It has a main dialog of the same
// id, and perhaps a survey dialog afterwards:
//
//	id, err := client.Conversation(ctx, "webchat:u-7", connector.ConversationRequest{
//		Profile: connector.UserProfile{FirstName: "Ana"},
//	})
//	to := connector.Target{ConversationID: id}
//	_, err = client.Send(ctx, "webchat:u-7", to, connector.ChatStateEvent{ChatState: connector.ChatComposing})
//	for _, part := range connector.SplitText(text, 0) {
//		sequence, err := client.Send(ctx, "webchat:u-7", to, connector.ContentEvent{Message: part})
//	}
//	_, err = client.Send(ctx, "webchat:u-7", to, connector.ChatStateEvent{ChatState: connector.ChatActive})
//
// COMPOSING sticks: the agent sees "typing" until another state is sent, even
// after the message. [Client.UpdateConversation] closes and rates,
// [Client.Upload] and [Client.Download] move files, [Client.Engagement] asks
// which campaign to route by.
//
// # Failing
//
// Every error is an *[Error] with an [Outcome], which is all a caller needs to
// decide what next:
//
//	switch connector.OutcomeOf(err) {
//	case connector.Throttled: // slow the whole account down, for Error.RetryAfter
//	case connector.Closed:    // open a new conversation, send again
//	case connector.Retry:     // try again later
//	case connector.Unknown:   // sent, no answer: wait for the echo before sending again
//	}
//
// Error.Scope tells how far a failure reaches: an Invalid about the conversation
// is no refusal of the message, and a failure in between LivePerson and us is no
// refusal at all. Error.Certainty tells whether the request may have been applied,
// so that its echo must be looked for first. [Rules] lists every answer.
//
// SEND and CONVERSATION have no idempotency key, so each is one HTTP attempt, and
// one more with fresh tokens after a 401. Repeating anything else is the caller's
// decision. A request is taken as applied only when LivePerson answers 2xx and
// code "OK", within a body that arrived whole.
//
// # Listening
//
// [Connection.Webhook] is the http.Handler of an app's webhooks: it verifies the
// signature over the raw bytes and decodes what it brings with [ParseNotification].
// Notifications cover the whole account and may come twice, late or in disorder;
// our own events come back, see [MessagingChange.FromConsumer]. The client takes
// both generations of LivePerson's payloads and the spellings of other programs.
//
// # Assumptions
//
// Base URIs are bare hosts; tokens go raw into their headers, without "Bearer";
// both conversationId and dialogId are sent always. The wording "conversation is
// close" is the only sign of a closed conversation, and is matched in one place.
package connector
