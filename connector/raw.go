package connector

import (
	"context"
	"encoding/json"
)

// RawEvent is an event that this package has no type for, as LivePerson spells it
// ("Send API Examples" page).
type RawEvent struct {
	// Event is a JSON object with a type, such as {"type":"ContentEvent",…}.
	Event json.RawMessage
	// Metadata is a JSON array to send beside it; it may be nil.
	Metadata json.RawMessage
}

func (e RawEvent) wire() (any, json.RawMessage, string) {
	var head struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(e.Event, &head) != nil || head.Type == "" {
		return nil, nil, "event is no json object with a type"
	}
	return e.Event, e.Metadata, ""
}

// Call makes a request on the consumer's behalf that this package has no method for
// ("SEND" page): its type, such as "cm.UpdateConversationField", and its body, which is
// encoded as JSON. The body of a success is decoded into out, which may be nil. It is
// tried as [Client.Send] is, and errors are of type *[Error].
func (c *Client) Call(ctx context.Context, consumer ConsumerIdentity, requestType string, body, out any) error {
	if requestType == "" {
		return invalid("SEND", "type of the request is empty")
	}
	return c.send(ctx, requestType, consumer, body, nil, out)
}
