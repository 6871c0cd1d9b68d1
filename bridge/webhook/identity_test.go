package webhook

import (
	"net/http"
	"testing"

	"lpbridge/bridge"

	"github.com/google/go-cmp/cmp"
)

// TestOnlyTheConsumersIDSaysWhoSomebodyIs has people share all details but the id,
// and one person give other details each time.
func TestOnlyTheConsumersIDSaysWhoSomebodyIs(t *testing.T) {
	w, core := newWebhook(t, unsigned())
	for _, body := range []string{
		`{"id":"1","type":"message","thread":"t-1","consumer":{"id":"u-1","email":"ana@example.com","phone":"+351210000000","attributes":{"customerId":"c-9"}},"message":{"text":"a"}}`,
		`{"id":"2","type":"message","thread":"t-2","consumer":{"id":"u-2","email":"Ana@example.com","phone":"+351210000000","attributes":{"customerId":"c-9"}},"message":{"text":"b"}}`,
		`{"id":"3","type":"message","thread":"t-3","consumer":{"id":"u-1","firstName":"Rui","email":"rui@example.com"},"message":{"text":"c"}}`,
		`{"id":"4","type":"message","thread":"t-1","consumer":{"id":"U-1"},"message":{"text":"d"}}`,
	} {
		if rec := post(w, request(body)); rec.Code != http.StatusOK {
			t.Fatalf("%s was answered %d", body, rec.Code)
		}
	}
	var ids []bridge.ConsumerID
	for _, e := range core.Events() {
		ids = append(ids, e.Consumer.ID)
	}
	if diff := cmp.Diff([]bridge.ConsumerID{"u-1", "u-2", "u-1", "U-1"}, ids); diff != "" {
		t.Errorf("consumers (-want +got):\n%s", diff)
	}
}
