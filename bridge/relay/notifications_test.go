package relay_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/connector"
	"lpbridge/connector/lpsim"
	"lpbridge/lpauth"
)

func TestForeignPrivateAndOwnEventsStayOut(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.agentSays(id, "hello")
		time.Sleep(time.Second)
		before := r.channel.got()
		r.sim.StartForeign("not ours")
		if _, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "between us", Private: true}); err != nil {
			t.Fatal(err)
		}
		r.say("t-1", "e-9", "our own words")
		r.types("t-1", bridge.Composing)
		time.Sleep(5 * time.Second)
		if diff := cmp.Diff(before, r.channel.got()); diff != "" {
			t.Errorf("delivered (-before +after):\n%s", diff)
		}
		if shown := r.channel.shown(); len(shown) != 0 {
			t.Errorf("the channel was shown %v for the consumer's own typing", shown)
		}
	})
}

func TestMisbehavingWebhooksDoNotShow(t *testing.T) {
	faults := map[string]lpsim.Faults{
		"duplicates":          {WebhookDuplicateRate: 1},
		"early":               {WebhookEarlyRate: 1},
		"batches":             {WebhookBatchMs: 300},
		"bare changes":        {WebhookBareChangeRate: 1},
		"old payloads":        {OmitConversationIDRate: 1, OmitStageRate: 1, OmitDialogsRate: 1, NullMetadataRate: 1, OmitAudienceRate: 1},
		"participants map":    {ParticipantsMapRate: 1, SubscriptionIDRate: 1, DialogsReversedRate: 1},
		"foreign accompanied": {WebhookForeignRate: 1},
		"all at once": {
			Seed: 7, WebhookDuplicateRate: .5, WebhookEarlyRate: .5, WebhookBareChangeRate: .5, OmitConversationIDRate: .5,
			OmitStageRate: .5, OmitDialogsRate: .5, ParticipantsMapRate: .5, WebhookForeignRate: .5,
		},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				r.sim.SetFaults(f)
				id := r.begin("t-1")
				for _, text := range []string{"one", "two", "three"} {
					r.agentSays(id, text)
					time.Sleep(time.Second)
				}
				if err := r.sim.AgentClose(id, lpsim.AgentClose{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				want := []string{"state:open", "state:joined", "message:one", "message:two", "message:three", "state:closed"}
				got := slices.DeleteFunc(r.channel.got(), func(line string) bool { return strings.HasPrefix(line, "receipt:") })
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("delivered (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestReorderedWebhooksLoseNothing(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.sim.SetFaults(lpsim.Faults{Seed: 3, WebhookReorderRate: .4, WebhookDelayRate: .4, WebhookDelayMinMs: 100, WebhookDelayMaxMs: 3000})
		id := r.begin("t-1")
		var want []string
		for i := range 20 {
			text := strings.Repeat("x", i+1)
			r.agentSays(id, text)
			want = append(want, "message:"+text)
		}
		if err := r.sim.AgentClose(id, lpsim.AgentClose{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got := r.channel.got()
		for _, line := range append(want, "state:closed") {
			if n := len(slices.DeleteFunc(slices.Clone(got), func(l string) bool { return l != line })); n != 1 {
				t.Errorf("%s was delivered %d times, want once", line, n)
			}
		}
	})
}

// notify posts a signed notification.
func (r *rig) notify(body string, change func(*http.Request)) int {
	req := httptest.NewRequest(http.MethodPost, "/webhooks/liveperson", bytes.NewReader([]byte(body)))
	req.Header.Set("X-Liveperson-Account-Id", account)
	req.Header.Set("X-Liveperson-Client-Id", clientID)
	req.Header.Set("X-Liveperson-Signature", lpauth.Sign(lpauth.SHA1, secret, []byte(body)))
	if change != nil {
		change(req)
	}
	rec := httptest.NewRecorder()
	r.handler.ServeHTTP(rec, req)
	return rec.Code
}

func TestOnlyWhatIsNotLivePersonsIsRefused(t *testing.T) {
	valid := `{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[]}}`
	tests := map[string]struct {
		body   string
		change func(*http.Request)
		want   int
	}{
		"signed":          {valid, nil, 200},
		"of unknown type": {`{"kind":"notification","type":"x.Y","body":{}}`, nil, 200},
		"sha256": {valid, func(r *http.Request) {
			r.Header.Set("X-Liveperson-Signature", lpauth.Sign(lpauth.SHA256, secret, []byte(valid)))
		}, 200},
		"unsigned": {valid, func(r *http.Request) { r.Header.Del("X-Liveperson-Signature") }, 401},
		"forged": {valid, func(r *http.Request) {
			r.Header.Set("X-Liveperson-Signature", lpauth.Sign(lpauth.SHA1, "other", []byte(valid)))
		}, 401},
		"another account":  {valid, func(r *http.Request) { r.Header.Set("X-Liveperson-Account-Id", "other") }, 403},
		"another app":      {valid, func(r *http.Request) { r.Header.Set("X-Liveperson-Client-Id", "other") }, 403},
		"not JSON":         {`{"kind"`, nil, 200},
		"changes a number": {`{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":7}}`, nil, 200},
		"body a number":    {`{"kind":"notification","type":"ms.MessagingEventNotification","body":7}`, nil, 200},
		"too large":        {valid + strings.Repeat(" ", connector.MaxNotificationBytes), nil, 413},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				if got := r.notify(tt.body, tt.change); got != tt.want {
					t.Errorf("status %d, want %d", got, tt.want)
				}
			})
		})
	}
}

func TestNotificationIsNotAnsweredBeforeTheJournalHasIt(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.agentSays(id, "join first")
		time.Sleep(time.Second)
		r.journal.Break(errors.New("disk full"))
		r.agentSays(id, "keep me")
		time.Sleep(time.Second)
		r.journal.Break(nil)
		time.Sleep(time.Minute)
		if got := r.channel.got(); !slices.Contains(got, "message:keep me") {
			t.Errorf("delivered %v, want what LivePerson sent again", got)
		}
	})
}

func FuzzNotification(f *testing.F) {
	f.Add([]byte(`{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[{"sequence":2,"originatorId":"a","originatorMetadata":{"id":"a","role":"ASSIGNED_AGENT"},"serverTimestamp":1528371199686,"event":{"type":"ContentEvent","message":"Olá 😉","contentType":"text/plain","quickReplies":{"type":"quickReplies","replies":[{"type":"button","title":"Yes","click":{"actions":[{"type":"publishText","text":"yep"}]}}]}},"dialogId":"d"}]}}`))
	f.Add([]byte(`{"kind":"notification","type":"cqm.ExConversationChangeNotification","body":{"changes":[{"type":"UPSERT","result":{"convId":"c","conversationDetails":{"participants":{"CONSUMER":["x"]},"state":"CLOSE"}}}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			if status := r.notify(string(body), nil); status != 200 && status != 400 {
				t.Errorf("status %d", status)
			}
			r.shutDown()
			r.sim.Close()
		})
	})
}
