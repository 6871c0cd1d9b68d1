package chatwoot

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/farside"
	"lpbridge/config"
)

// FuzzPayload has bodies that carry a good signature: whatever Chatwoot or
// somebody with its secret sends ends in good events or in a problem that names
// a field.
func FuzzPayload(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no recorded payloads")
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"event":"message_updated","id":1,"message_type":"outgoing","conversation":{"id":1,"contact_inbox":{"contact_id":1}},"content_attributes":{"lpbridge_event_id":"a","submitted_values":[{"value":"\u0000"}]}}`))
	f.Add([]byte(`{"event":"conversation_resolved","id":1,"status":"resolved","updated_at":1e300,"meta":{"sender":{"id":1}}}`))
	c, err := New(Config{
		BaseURL: mustURL(f, "https://chat.example.com"), AccountID: 1, Token: config.NewSecret(stubToken),
		Secrets: []config.Secret{config.NewSecret(accountSecret)},
	}, bridgetest.NewCore(), client(nil), discard)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"event":"message_created","id":"5","message_type":0,"content":7,"sender":{"id":"10","phone_number":4912,"name":[]},"conversation":{"id":"42","status":"pending","meta":null,"messages":"none"},"attachments":[{"file_type":"location","coordinates_lat":"1.5","coordinates_long":-2},{},7]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := readAlone(t.Context(), c, body)
		if err != nil {
			wrong, ok := errors.AsType[*bridge.FieldError](err)
			if !ok || wrong.Field == "" || wrong.Reason == "" || len(wrong.Reason) > 100 {
				t.Fatalf("error %v", err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatal("took what is no JSON")
		}
		for _, e := range append(n.events, n.spoken()...) {
			if e.Kind != bridge.KindTyping && e.ID == "" {
				t.Fatalf("%s without id", e.Kind)
			}
			// The bridge checks the content; ids and persons are ours to get right.
			if wrong, ok := errors.AsType[*bridge.FieldError](e.Validate()); ok {
				switch wrong.Field {
				case "id", "type", "thread", "consumer", "consumer.id", "typing", "typing.state", "message", "click", "rating", "rating.score", "receipt", "receipt.status":
					t.Fatalf("event %+v: %v", e, wrong)
				}
			}
		}
	})
}

// readAlone reads a payload that waits for no other.
func readAlone(ctx context.Context, c *Chatwoot, body []byte) (news, error) {
	payload, err := farside.ParseObject(body)
	if err != nil {
		return news{}, err
	}
	r := &report{Chatwoot: c, Object: payload, event: payload.Text("event"), delivery: "delivery", next: func(int64, int64) {}}
	return r.read(ctx)
}

// FuzzSignature has headers of every kind: only the right one is believed.
func FuzzSignature(f *testing.F) {
	body := []byte(`{"event":"message_created","id":1}`)
	const right = "sha256=04138dcc53323f6d45a6017e6ecde3e44d8a8fd47345498ffe2c3c7216510220"
	f.Add("1700000000", right)
	f.Add("1700000000", right+"00")
	f.Add("+1700000000", right)
	f.Add("", "")
	f.Add("99999999999999999999", "sha256=")
	secrets := []config.Secret{config.NewSecret("x"), config.NewSecret("s3cr3t")}
	f.Fuzz(func(t *testing.T, timestamp, signature string) {
		h := http.Header{headerTimestamp: {timestamp}, headerSignature: {signature}}
		err := verify(secrets, h, body, time.Unix(1700000000, 0))
		if err == nil && (timestamp != "1700000000" || len(signature) != len(right)) {
			t.Fatalf("believed %q %q", timestamp, signature)
		}
		if err != nil && timestamp == "1700000000" && signature == right {
			t.Fatal(err)
		}
	})
}
