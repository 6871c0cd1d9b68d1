package lpsim_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

// delivery is one webhook request as it came.
type delivery struct {
	at     time.Time
	url    string
	header http.Header
	body   string
}

// receiver is a connector's webhook side, as the RoundTripper of the simulator's client. Its answer decides status
// and delay of each request; no status means 200.
type receiver struct {
	mu     sync.Mutex
	got    []delivery
	answer func(n int, d delivery) (status int, after time.Duration)
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	d := delivery{time.Now(), req.URL.String(), req.Header, string(body)}
	r.mu.Lock()
	r.got = append(r.got, d)
	n, answer := len(r.got), r.answer
	r.mu.Unlock()
	status, after := 0, time.Duration(0)
	if answer != nil {
		status, after = answer(n, d)
	}
	select {
	case <-time.After(after):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	return &http.Response{StatusCode: max(status, 200), Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
}

// expect changes the answers from now on and forgets what came before.
func (r *receiver) expect(answer func(n int, d delivery) (int, time.Duration)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got, r.answer = nil, answer
}

func (r *receiver) all() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// with lists the deliveries whose body has a text.
func (r *receiver) with(text string) []delivery {
	return slices.DeleteFunc(r.all(), func(d delivery) bool { return !strings.Contains(d.body, text) })
}

func (d delivery) reply() reply { return reply{200, d.header, d.body} }

func seconds(list []delivery, since time.Time) []float64 {
	var out []float64
	for _, d := range list {
		out = append(out, d.at.Sub(since).Seconds())
	}
	return out
}

// listen runs a test in a bubble with a receiver for every type.
func listen(t *testing.T, config lpsim.Config, test func(*testing.T, *world, *receiver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		config.WebhookClient = &http.Client{Transport: r}
		if config.Webhooks.URL == "" && config.Webhooks.Endpoints == nil {
			config.Webhooks.URL = "http://bridge.invalid/hook"
		}
		test(t, startInside(t, config), r)
	})
}

func TestEchoesOfTheConsumersEvents(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		c.send(strings.TrimSuffix(event(c.id, c.id, textEvent("olá <b>😉</b>")), "}") + `,"metadata":[{"type":"ExternalId","id":"x"}]}`)
		c.state("COMPOSING")
		c.send(strings.TrimSuffix(event(c.id, c.id, `{"type":"AcceptStatusEvent","status":"ACTION","sequenceList":[0]}`), "}") + `,"metadata":[{"type":"ExternalId","id":"y"}]}`)
		synctest.Wait()
		got := r.all()
		if len(got) != 4 {
			t.Fatalf("%d notifications, want 4", len(got))
		}
		want(t, "first", got[0].reply().field(t, "type"), any("cqm.ExConversationChangeNotification"))
		want(t, "conversation", got[0].reply().field(t, "body.changes.0.result.convId"), any(c.id))
		want(t, "stage", got[0].reply().field(t, "body.changes.0.result.conversationDetails.stage"), any("OPEN"))
		content := got[1].reply()
		want(t, "type", content.field(t, "type"), any("ms.MessagingEventNotification"))
		want(t, "text", content.field(t, "body.changes.0.event.message"), any("olá <b>😉</b>"))
		want(t, "role", content.field(t, "body.changes.0.originatorMetadata.role"), any("CONSUMER"))
		want(t, "originator", content.field(t, "body.changes.0.originatorId"), any(w.sim.ConsumerID("ana")))
		want(t, "sequence", content.field(t, "body.changes.0.sequence"), any(0.0))
		want(t, "metadata of content", content.field(t, "body.changes.0.metadata"), any(nil))
		typing := got[2].reply()
		want(t, "state", typing.field(t, "body.changes.0.event.chatState"), any("COMPOSING"))
		for _, absent := range []string{"sequence", "serverTimestamp"} {
			want(t, "chat state's "+absent, typing.field(t, "body.changes.0."+absent), any(nil))
		}
		want(t, "metadata of ACTION", got[3].reply().field(t, "body.changes.0.metadata.0.id"), any("y"))
	})
}

func TestHeadersAndSignature(t *testing.T) {
	for name, sha2 := range map[string]bool{"sha1=": false, "sha256=": true} {
		t.Run(name, func(t *testing.T) {
			hooks := lpsim.Webhooks{SHA256: sha2, URL: "http://all.invalid/", Headers: map[string]string{"X-A": "b"}, Endpoints: map[lpsim.EventType]lpsim.Endpoint{
				lpsim.ContentEvents:   {URL: "http://content.invalid/path", Headers: map[string]string{"X-B": "c"}},
				lpsim.ChatStateEvents: {},
			}}
			listen(t, lpsim.Config{Webhooks: hooks}, func(t *testing.T, w *world, r *receiver) {
				c := w.open("ana")
				c.say("Olá 😉")
				c.state("COMPOSING")
				synctest.Wait()
				got := r.all()
				if len(got) != 2 {
					t.Fatalf("%d notifications, want 2: a type without URL is not subscribed to", len(got))
				}
				want(t, "first to", got[0].url, "http://all.invalid/")
				want(t, "second to", got[1].url, "http://content.invalid/path")
				want(t, "account", got[1].header.Get("x-liveperson-account-id"), "sandbox")
				want(t, "client", got[1].header.Get("x-liveperson-client-id"), "sandbox-client")
				want(t, "header of all", got[1].header.Get("X-A"), "b")
				want(t, "header of one", got[1].header.Get("X-B"), "c")
				mac := hmac.New(sha1.New, []byte("sandbox-secret"))
				if sha2 {
					mac = hmac.New(sha256.New, []byte("sandbox-secret"))
				}
				mac.Write([]byte(got[1].body))
				want(t, "signature", got[1].header.Get("x-liveperson-signature"), name+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
			})
		})
	}
}

func TestRetryByNumber(t *testing.T) {
	for name, test := range map[string]struct {
		retries int
		answer  func(n int, d delivery) (int, time.Duration)
		want    []float64
		lost    int64
	}{
		"none":                     {0, func(int, delivery) (int, time.Duration) { return 500, 0 }, []float64{0}, 1},
		"five, 30 s apart":         {5, func(int, delivery) (int, time.Duration) { return 500, 0 }, []float64{0, 30, 60, 90, 120, 150}, 1},
		"until one succeeds":       {5, func(n int, _ delivery) (int, time.Duration) { return []int{500, 202, 201}[n-1], 0 }, []float64{0, 30, 60}, 0},
		"204 and redirects fail":   {2, func(n int, _ delivery) (int, time.Duration) { return []int{204, 302, 200}[n-1], 0 }, []float64{0, 30, 60}, 0},
		"after 5 s without answer": {1, func(n int, _ delivery) (int, time.Duration) { return 200, []time.Duration{6 * time.Second, 0}[n-1] }, []float64{0, 35}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			hooks := lpsim.Webhooks{MaxRetries: test.retries, Endpoints: map[lpsim.EventType]lpsim.Endpoint{lpsim.ContentEvents: {URL: "http://b.invalid/"}}}
			listen(t, lpsim.Config{Webhooks: hooks}, func(t *testing.T, w *world, r *receiver) {
				r.answer = test.answer
				begin := time.Now()
				w.open("ana").say("hello")
				time.Sleep(time.Hour)
				if got := seconds(r.all(), begin); !slices.Equal(got, test.want) {
					t.Errorf("attempts at %v, want %v", got, test.want)
				}
				want(t, "lost", w.sim.Stats().Webhooks.Lost, test.lost)
				want(t, "stored", w.sim.Stats().Webhooks.Stored, int64(0))
			})
		})
	}
}

func TestRetryByNumberKeepsNoOrder(t *testing.T) {
	hooks := lpsim.Webhooks{MaxRetries: 1, Endpoints: map[lpsim.EventType]lpsim.Endpoint{lpsim.ContentEvents: {URL: "http://b.invalid/"}}}
	listen(t, lpsim.Config{Webhooks: hooks}, func(t *testing.T, w *world, r *receiver) {
		r.answer = func(n int, _ delivery) (int, time.Duration) { return []int{500, 200, 200}[n-1], 0 }
		c := w.open("ana")
		c.say("one")
		c.say("two")
		time.Sleep(time.Minute)
		want(t, "deliveries", len(r.all()), 3)
		want(t, "the last is the first", strings.Contains(r.all()[2].body, `"one"`), true)
	})
}

func TestTimeToLiveStoresTheWholeAppAndReplaysInOrder(t *testing.T) {
	hooks := lpsim.Webhooks{URL: "http://b.invalid/", RetentionSeconds: 86400}
	listen(t, lpsim.Config{Webhooks: hooks}, func(t *testing.T, w *world, r *receiver) {
		ana, bob := w.open("ana"), w.open("bob")
		synctest.Wait()
		begin := time.Now()
		r.expect(func(int, delivery) (int, time.Duration) { return 503, 0 })
		ana.say("a1")
		synctest.Wait()
		want(t, "state", w.sim.Stats().Webhooks.State, "failed")
		ana.say("a2")
		ana.state("COMPOSING")
		bob.say("b1")
		time.Sleep(1100 * time.Second)
		// 2, 4, 8 … 256, then 300 s apart; only the oldest event is tried.
		wanted := []float64{0, 2, 6, 14, 30, 62, 126, 254, 510, 810}
		if got := seconds(r.all(), begin); !slices.Equal(got, wanted) {
			t.Errorf("attempts at %v, want %v", got, wanted)
		}
		want(t, "probes of the oldest", len(r.with(`"a1"`)), len(wanted))
		want(t, "stored", w.sim.Stats().Webhooks.Stored, int64(4))
		r.expect(nil)
		time.Sleep(20 * time.Second)
		var order []string
		for _, d := range r.all() {
			if d.reply().field(t, "body.changes.0.conversationId") == any(ana.id) {
				order = append(order, kindOf(d))
			}
		}
		if !slices.Equal(order, []string{"a1", "a2", "COMPOSING"}) {
			t.Errorf("replayed %v", order)
		}
		want(t, "other conversation", len(r.with(`"b1"`)), 1)
		want(t, "state", w.sim.Stats().Webhooks.State, "up")
	})
}

func kindOf(d delivery) string {
	var body struct {
		Body struct {
			Changes []struct{ Event map[string]any }
		}
	}
	json.Unmarshal([]byte(d.body), &body)
	event := body.Body.Changes[0].Event
	for _, key := range []string{"message", "chatState", "status"} {
		if text, ok := event[key].(string); ok {
			return text
		}
	}
	return ""
}

func TestTimeToLiveEnds(t *testing.T) {
	hooks := lpsim.Webhooks{URL: "http://b.invalid/", RetentionSeconds: 10}
	listen(t, lpsim.Config{Webhooks: hooks}, func(t *testing.T, w *world, r *receiver) {
		r.expect(func(int, delivery) (int, time.Duration) { return 500, 0 })
		c := w.open("ana")
		time.Sleep(time.Minute)
		stats := w.sim.Stats().Webhooks
		want(t, "lost", stats.Lost, int64(1))
		want(t, "stored", stats.Stored, int64(0))
		want(t, "state", stats.State, "up")
		r.expect(nil)
		c.say("after")
		synctest.Wait()
		want(t, "delivered", len(r.with("after")), 1)
	})
}

func TestAnExplicitZeroBesideTimeToLiveDropsThatType(t *testing.T) {
	zero := 0
	hooks := lpsim.Webhooks{URL: "http://b.invalid/", RetentionSeconds: 100, Endpoints: map[lpsim.EventType]lpsim.Endpoint{
		lpsim.ChatStateEvents: {URL: "http://typing.invalid/", MaxRetries: &zero},
	}}
	listen(t, lpsim.Config{Webhooks: hooks}, func(t *testing.T, w *world, r *receiver) {
		r.answer = func(_ int, d delivery) (int, time.Duration) {
			if strings.Contains(d.url, "typing") {
				return 500, 0
			}
			return 200, 0
		}
		c := w.open("ana")
		c.state("COMPOSING")
		c.say("hello")
		time.Sleep(time.Minute)
		want(t, "state", w.sim.Stats().Webhooks.State, "up")
		want(t, "lost", w.sim.Stats().Webhooks.Lost, int64(1))
		want(t, "message", len(r.with("hello")), 1)
	})
}

func TestSlowAnswersAreCountedAndMayDisable(t *testing.T) {
	listen(t, lpsim.Config{Faults: lpsim.Faults{WebhookDisableWhenSlow: true}}, func(t *testing.T, w *world, r *receiver) {
		r.expect(func(int, delivery) (int, time.Duration) { return 200, 3 * time.Second })
		c := w.open("ana")
		for range 5 {
			time.Sleep(40 * time.Second)
			c.say("x")
		}
		time.Sleep(10 * time.Second)
		want(t, "slow", w.sim.Stats().Webhooks.Slow, int64(5))
		want(t, "state", w.sim.Stats().Webhooks.State, "disabled")
		c.say("unheard")
		time.Sleep(time.Second)
		want(t, "after that", len(r.with("unheard")), 0)
	})
}

func TestDeliveryFaults(t *testing.T) {
	for name, test := range map[string]struct {
		faults lpsim.Faults
		want   []string
	}{
		"none":      {lpsim.Faults{}, []string{"1", "2", "3", "4"}},
		"duplicate": {lpsim.Faults{WebhookDuplicateRate: 1}, []string{"1", "1", "2", "2", "3", "3", "4", "4"}},
		"drop":      {lpsim.Faults{WebhookDropRate: 1}, nil},
		"reorder":   {lpsim.Faults{WebhookReorderRate: 1}, []string{"2", "1", "4", "3"}},
		"batch":     {lpsim.Faults{WebhookBatchMs: 50}, []string{"1234"}},
		"foreign":   {lpsim.Faults{WebhookForeignRate: 1}, []string{"1", "1", "2", "2", "3", "3", "4", "4"}},
	} {
		t.Run(name, func(t *testing.T) {
			hooks := lpsim.Webhooks{Endpoints: map[lpsim.EventType]lpsim.Endpoint{lpsim.ContentEvents: {URL: "http://b.invalid/"}}}
			listen(t, lpsim.Config{Webhooks: hooks, Faults: test.faults, WebhookConcurrency: 1}, func(t *testing.T, w *world, r *receiver) {
				c := w.open("ana")
				for _, text := range []string{"1", "2", "3", "4"} {
					c.say(text)
				}
				time.Sleep(2 * time.Second)
				var got []string
				for _, d := range r.all() {
					var body struct {
						Body struct {
							Changes []struct{ Event struct{ Message string } }
						}
					}
					if err := json.Unmarshal([]byte(d.body), &body); err != nil {
						t.Fatal(err)
					}
					var texts string
					for _, change := range body.Body.Changes {
						texts += change.Event.Message
					}
					got = append(got, texts)
				}
				if name == "foreign" {
					slices.Sort(got) // different conversations have no order
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("got %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestAnEarlyNotificationComesBeforeTheAnswer(t *testing.T) {
	listen(t, lpsim.Config{Faults: lpsim.Faults{WebhookEarlyRate: 1}}, func(t *testing.T, w *world, r *receiver) {
		r.expect(func(int, delivery) (int, time.Duration) { return 200, time.Second })
		w.consumerJWS("ana")
		begin := time.Now()
		c := w.open("ana")
		want(t, "creation", time.Since(begin), time.Second)
		want(t, "heard of", len(r.with(c.id)), 1)
		c.say("hello")
		want(t, "message", time.Since(begin), 2*time.Second)
		want(t, "echo", len(r.with("hello")), 1)
		r.expect(func(int, delivery) (int, time.Duration) { return 200, time.Hour })
		c.say("slow")
		want(t, "at most the timeout", time.Since(begin), 7*time.Second)
	})
}

func TestDelayedNotificationsAreOvertaken(t *testing.T) {
	faults := lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 3000, WebhookDelayMaxMs: 3000}
	listen(t, lpsim.Config{Faults: faults}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		c.say("late")
		w.sim.SetFaults(lpsim.Faults{})
		c.say("soon")
		time.Sleep(5 * time.Second)
		want(t, "last", strings.Contains(r.all()[len(r.all())-1].body, "late"), true)
		want(t, "all", len(r.all()), 3)
	})
}

func TestPayloadGenerations(t *testing.T) {
	old := lpsim.Faults{
		OmitConversationIDRate: 1, OmitStageRate: 1, OmitDialogsRate: 1, SubscriptionIDRate: 1, ParticipantsMapRate: 1, OmitAudienceRate: 1,
		NullMetadataRate: 1, WebhookBareChangeRate: 1, OmitEndTsRate: 1,
	}
	listen(t, lpsim.Config{Faults: old}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		c.say("hello")
		c.update(`{"field":"Stage","conversationState":"CLOSE"}`)
		synctest.Wait()
		got := r.all()
		opened, content, closed := got[0].reply(), got[1].reply(), got[2].reply()
		for path, wanted := range map[string]any{
			"body.changes.result.conversationDetails.stage": nil, "body.changes.result.conversationDetails.dialogs": nil,
			"body.changes.result.conversationDetails.state":                   "OPEN",
			"body.changes.result.conversationDetails.participants.CONSUMER.0": w.sim.ConsumerID("ana"),
		} {
			want(t, path, opened.field(t, path), wanted)
		}
		if opened.field(t, "body.subscriptionId") == nil {
			t.Error("no subscriptionId")
		}
		want(t, "conversationId", content.field(t, "body.changes.conversationId"), any(nil))
		want(t, "dialogId", content.field(t, "body.changes.dialogId"), any(c.id))
		want(t, "audience", content.field(t, "body.changes.messageAudience"), any(nil))
		want(t, "metadata", bytes.Contains([]byte(content.text), []byte(`"metadata":null`)), true)
		want(t, "endTs", closed.field(t, "body.changes.result.conversationDetails.endTs"), any(nil))
		want(t, "closed", closed.field(t, "body.changes.result.conversationDetails.state"), any("CLOSE"))
	})
}

func TestMetaDataLastUpdateTsGrows(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		w.sim.AgentJoin(c.id, lpsim.Agent{}, "")
		w.sim.AgentLeave(c.id, lpsim.Agent{}, "77")
		c.update(`{"field":"Stage","conversationState":"CLOSE"}`)
		synctest.Wait()
		last := 0.0
		for _, d := range r.all() {
			ts := d.reply().field(t, "body.changes.0.result.conversationDetails.metaDataLastUpdateTs").(float64)
			if ts <= last {
				t.Errorf("%v after %v", ts, last)
			}
			last = ts
		}
		want(t, "skill", r.all()[3].reply().field(t, "body.changes.0.result.conversationDetails.skillId"), any("77"))
		want(t, "effectiveTTR", r.all()[3].reply().field(t, "body.changes.0.result.effectiveTTR"), any(-1.0))
	})
}
