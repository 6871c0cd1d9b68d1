package lpsim_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"lpbridge/connector/lpsim"
)

func set(t testing.TB, w *world, f lpsim.Faults) {
	t.Helper()
	if err := w.sim.SetFaults(f); err != nil {
		t.Fatal(err)
	}
}

func TestA5xxMayHideThatTheCallWasApplied(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	set(t, w, lpsim.Faults{AppliedErrorRate: lpsim.Rates{lpsim.SendAPI: 1}, ErrorStatus: 503, ErrorBody: "json", RetryAfterText: "99999999999999999999"})
	r := c.say("hello")
	want(t, "status", r.status, 503)
	want(t, "body in LivePerson's form", r.field(t, "code"), any("INTERNAL_SERVER_ERROR"))
	want(t, "Retry-After as written", r.header.Get("Retry-After"), "99999999999999999999")
	want(t, "applied", c.view().ConsumerMessages, int64(1))
	want(t, "counted", w.sim.Stats().AppliedErrors, int64(1))
	want(t, "a refusal stays one", c.send(`{}`).status, 400)
}

func TestSomethingInBetweenAnswersInHTML(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	set(t, w, lpsim.Faults{BetweenRate: lpsim.Rates{lpsim.SendAPI: 1}, BetweenStatuses: []int{404, 451}, BetweenLimit: 2})
	for range 2 {
		r := c.say("one")
		if r.status != 404 && r.status != 451 || !strings.Contains(r.text, "<html>") {
			t.Errorf("answer %+v", r)
		}
	}
	want(t, "before anything was applied", c.view().ConsumerMessages, int64(0))
	want(t, "the limit is reached", c.say("two").status, 200)
	set(t, w, lpsim.Faults{BetweenRate: lpsim.Rates{lpsim.SendAPI: 1}, BetweenAfterShare: 1})
	want(t, "after it was applied", c.say("three").status, 403)
	want(t, "applied", c.view().ConsumerMessages, int64(2))
	if err := (lpsim.Faults{BetweenStatuses: []int{200}}).Validate(); err == nil || !strings.Contains(err.Error(), "betweenStatuses") {
		t.Errorf("a page with status 200: %v", err)
	}
}

func TestRetryAfterInItsForms(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	set(t, w, lpsim.Faults{ThrottleRate: lpsim.Everywhere(1), RetryAfterSeconds: 60, RetryAfterForm: "date"})
	header := c.say("x").header.Get("Retry-After")
	if at, err := time.Parse(time.RFC1123, header); err != nil || time.Until(at) < 50*time.Second {
		t.Errorf("Retry-After %q: %v", header, err)
	}
	set(t, w, lpsim.Faults{Outages: []lpsim.Outage{{ForMs: 60000, Status: 503}}, RetryAfterText: "-5"})
	want(t, "of an outage", w.do("GET", "/api/account/sandbox/service/baseURI.json?version=1.0", "").header.Get("Retry-After"), "-5")
}

func TestLivePersonMayForgetAConversation(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	c.say("one")
	if r := w.do("POST", "/sim/conversations/"+c.id+"/forget", ""); r.status != 200 || r.field(t, "lost") != any("forgotten") {
		t.Fatalf("%+v", r)
	}
	r := c.say("two")
	want(t, "unknown", compact(r.text), `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"e"}`)
	want(t, "closing it", c.update(`{"field":"Stage","conversationState":"CLOSE"}`).status, 400)
	want(t, "agents", w.do("POST", "/sim/conversations/"+c.id+"/agent/typing", `{"chatState":"COMPOSING"}`).status, 404)
	next := w.open("ana")
	want(t, "the next one takes messages", next.say("two").status, 200)
	want(t, "what was said stays readable", c.view().ConsumerMessages, int64(1))

	set(t, w, lpsim.Faults{UnknownConversation: "not_found", ForgetConversationRate: 1})
	want(t, "by rate", next.say("three").status, 404)
	set(t, w, lpsim.Faults{})
	want(t, "for good", next.say("three").status, 400)
}

func TestAConversationMayPassToAnotherConsumer(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	set(t, w, lpsim.Faults{DisownConversationRate: 1})
	want(t, "refused", c.say("one").field(t, "body.errorCode"), any(40103.0))
	set(t, w, lpsim.Faults{})
	w.app = ""
	c.jws = w.consumerJWS("ana")
	want(t, "whatever the token", c.say("one").field(t, "body.errorCode"), any(40103.0))
	want(t, "another may be opened", w.open("ana").say("one").status, 200)
}

func TestWhatLivePersonKeepsMayDifferFromWhatWasSent(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		set(t, w, lpsim.Faults{MaskCardNumbers: true, FilterWords: []string{"darn"}, TrimTextRate: 1})
		c.say("  my card is 4111 1111 1111 1111,\n DARN it, call 555-0100 ")
		synctest.Wait()
		kept := "my card is **** **** **** ****, **** it, call 555-0100"
		got := c.view().Transcript[0]
		want(t, "the agent reads", got.Text, kept)
		want(t, "the consumer wrote", got.Submitted, "  my card is 4111 1111 1111 1111,\n DARN it, call 555-0100 ")
		want(t, "the echo says", len(r.with(kept)), 1)
	})
}

func TestNotificationsMayBeMinutesLate(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		begin := time.Now()
		set(t, w, lpsim.Faults{LateOpeningRate: 1, WebhookDelayMinMs: 180_000, WebhookDelayMaxMs: 180_000, WebhookDelayInOrder: true})
		headers := append(w.headers(w.consumerJWS("ana")), "Content-Type", "application/json")
		if _, err := w.try("POST", createPath, batch, headers...); err == nil {
			t.Fatal("the answer was not lost")
		}
		id := w.sim.Conversations()[0].ConversationID
		if _, err := w.sim.AgentMessage(id, lpsim.AgentMessage{Text: "hello there"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		want(t, "nothing yet", len(r.all()), 0)
		time.Sleep(3 * time.Minute)
		if got := seconds(r.all(), begin); len(got) != 3 || got[0] != 180 {
			t.Errorf("delivered at %v", got)
		}
		if !strings.Contains(r.all()[0].body, `"convId"`) || !strings.Contains(r.all()[2].body, "hello there") {
			t.Error("the later ones did not wait behind the late one")
		}
	})
}

func TestDelaysWithATailAreMostlyShort(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		time.Sleep(time.Second)
		r.expect(nil)
		begin := time.Now()
		set(t, w, lpsim.Faults{Seed: 3, WebhookDelayRate: 1, WebhookDelayMaxMs: 600_000, WebhookDelayShape: "tail"})
		for range 40 {
			c.say("x")
		}
		time.Sleep(10 * time.Minute)
		got := seconds(r.all(), begin)
		slices.Sort(got)
		if len(got) != 40 || got[20] > 120 || got[39] < 120 {
			t.Errorf("delays %v", got)
		}
	})
}

func TestEventsAreReplayedOneByOneWithDoublingPauses(t *testing.T) {
	listen(t, lpsim.Config{Webhooks: lpsim.Webhooks{URL: "http://bridge.invalid/hook", RetentionSeconds: 259200}}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		time.Sleep(time.Second)
		set(t, w, lpsim.Faults{WebhookReplay: "event"})
		begin := time.Now()
		r.expect(func(int, delivery) (int, time.Duration) {
			if time.Since(begin) < 20*time.Minute {
				return 503, 0
			}
			return 200, 0
		})
		c.say("first")
		time.Sleep(100 * time.Second)
		c.say("second")
		time.Sleep(time.Hour)
		first, second := seconds(r.with("first"), begin), seconds(r.with("second"), begin)
		if want := []float64{0, 2, 6, 14, 30, 62, 126, 254, 510, 810, 1110, 1410}; !slices.Equal(first, want) {
			t.Errorf("the first was tried at %v, want %v", first, want)
		}
		if len(second) < 2 || second[0] != 100 || second[1] != 102 {
			t.Errorf("the second was tried at %v", second)
		}
	})
}

func TestAReplayMayBeShuffled(t *testing.T) {
	listen(t, lpsim.Config{Webhooks: lpsim.Webhooks{URL: "http://bridge.invalid/hook", RetentionSeconds: 3600}}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		time.Sleep(time.Second)
		set(t, w, lpsim.Faults{WebhookReplay: "shuffled"})
		r.expect(func(int, delivery) (int, time.Duration) { return 503, 0 })
		texts := []string{"alpha", "beta", "gamma", "delta", "epsilon", "zeta"}
		for _, text := range texts {
			c.say(text)
		}
		time.Sleep(10 * time.Second)
		r.expect(nil)
		time.Sleep(10 * time.Minute)
		var order []string
		for _, d := range r.all() {
			for _, text := range texts {
				if strings.Contains(d.body, `"`+text+`"`) {
					order = append(order, text)
				}
			}
		}
		if len(order) != len(texts) || slices.Equal(order, texts) {
			t.Errorf("replayed %v", order)
		}
	})
}

// changesOf decodes the changes of all deliveries, whatever their form.
func changesOf(t *testing.T, list []delivery) (changes []map[string]any) {
	t.Helper()
	for _, d := range list {
		if some, ok := d.reply().field(t, "body.changes").([]any); ok {
			for _, change := range some {
				changes = append(changes, change.(map[string]any))
			}
		}
	}
	return changes
}

func TestOddSpellingsOfNotifications(t *testing.T) {
	said := func(t *testing.T, f lpsim.Faults, act func(*chat)) (*chat, []map[string]any) {
		var c *chat
		var changes []map[string]any
		listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
			c = w.open("ana")
			time.Sleep(time.Second)
			set(t, w, f)
			r.expect(nil)
			act(c)
			time.Sleep(time.Second)
			changes = changesOf(t, r.all())
		})
		return c, changes
	}
	hello := func(c *chat) { c.say("hello") }
	t.Run("numbers", func(t *testing.T) {
		_, changes := said(t, lpsim.Faults{OddNumberRate: 1}, hello)
		if n := changes[0]["sequence"]; n != any(0.0) && n != any("0") {
			t.Errorf("sequence = %v", n)
		}
	})
	t.Run("timestamps", func(t *testing.T) {
		_, changes := said(t, lpsim.Faults{OddTimestampRate: 1, Seed: 4}, func(c *chat) {
			for range 10 {
				hello(c)
			}
		})
		odd := 0
		for _, change := range changes {
			if ms, ok := change["serverTimestamp"].(float64); !ok || ms < 9e11 || ms > 9e12 {
				odd++
			}
		}
		want(t, "odd timestamps", odd, 10)
	})
	t.Run("no originator metadata", func(t *testing.T) {
		c, changes := said(t, lpsim.Faults{OmitOriginatorRate: 1}, hello)
		want(t, "metadata", changes[0]["originatorMetadata"], any(nil))
		want(t, "originator", changes[0]["originatorId"], any(c.view().ConsumerID))
	})
	t.Run("receipts without sequence", func(t *testing.T) {
		_, changes := said(t, lpsim.Faults{OmitReceiptNumberRate: 1}, func(c *chat) {
			hello(c)
			c.sim.AgentRead(c.id, "VIEWED", nil, lpsim.Agent{})
		})
		last := changes[len(changes)-1]
		want(t, "status", last["event"].(map[string]any)["status"], any("VIEWED"))
		if _, has := last["sequence"]; has {
			t.Error("the receipt has a sequence")
		}
	})
	t.Run("nulls", func(t *testing.T) {
		_, changes := said(t, lpsim.Faults{NullFieldsRate: 1}, func(c *chat) { c.state("COMPOSING") })
		if n, has := changes[0]["sequence"]; !has || n != nil {
			t.Errorf("change %v", changes[0])
		}
	})
	t.Run("gaps", func(t *testing.T) {
		c, _ := said(t, lpsim.Faults{SequenceGapRate: 1}, func(c *chat) { hello(c); hello(c) })
		want(t, "second sequence", c.view().Transcript[1].Sequence, int64(3))
	})
	t.Run("rich content as a string", func(t *testing.T) {
		_, changes := said(t, lpsim.Faults{RichAsTextRate: 1}, func(c *chat) {
			if _, err := c.sim.AgentMessage(c.id, lpsim.AgentMessage{Rich: json.RawMessage(`{"type":"text","text":"hi"}`)}); err != nil {
				t.Error(err)
			}
		})
		want(t, "content", changes[len(changes)-1]["event"].(map[string]any)["content"], any(`{"type":"text","text":"hi"}`))
	})
}

func TestBytesThatAreNoUTF8AndBodiesThatAreNoJSON(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		time.Sleep(time.Second)
		r.expect(nil)
		set(t, w, lpsim.Faults{InvalidUTF8Rate: 1, WebhookBrokenRate: 1, WebhookPaddingRate: 1})
		c.say("voila")
		synctest.Wait()
		got := r.all()
		want(t, "deliveries", len(got), 2)
		if utf8.ValidString(got[0].body) || !strings.Contains(got[0].body, "\"message\":\"\xe9voila") || len(got[0].body) < 1<<20 {
			t.Error("the first has no odd byte, or is not large")
		}
		if json.Valid([]byte(got[1].body)) {
			t.Error("the second can be read")
		}
	})
}

func TestChangesOfOneNotificationInAnyOrder(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		time.Sleep(time.Second)
		set(t, w, lpsim.Faults{WebhookBatchMs: 100, WebhookShuffleRate: 1})
		r.expect(nil)
		for range 3 {
			c.say("x")
		}
		time.Sleep(time.Second)
		changes := changesOf(t, r.all())
		if len(r.all()) != 1 || len(changes) != 3 || changes[0]["sequence"] == any(0.0) {
			t.Errorf("%d deliveries, changes %v", len(r.all()), changes)
		}
	})
}

func TestNothingOvertakesWhatWasGatheredBeforeBatchingEnded(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		time.Sleep(time.Second)
		set(t, w, lpsim.Faults{WebhookBatchMs: 100})
		r.expect(nil)
		c.say("x")
		set(t, w, lpsim.Faults{})
		c.say("y")
		time.Sleep(time.Second)
		changes := changesOf(t, r.all())
		if len(changes) != 2 || changes[0]["sequence"] != any(0.0) || changes[1]["sequence"] != any(1.0) {
			t.Errorf("changes %v", changes)
		}
	})
}

func TestAppliedIsToldBeforeTheAnswer(t *testing.T) {
	w := start(t, lpsim.Config{})
	var told []lpsim.Applied
	answered := false
	w.sim.OnApplied(func(a lpsim.Applied) {
		if answered {
			t.Error("told after the answer")
		}
		if seen, ok := w.sim.Conversation(a.ConversationID); !ok || a.Type == "ContentEvent" && len(seen.Transcript) != 1 {
			t.Errorf("told before it was applied: %+v", a)
		}
		told = append(told, a)
	})
	c := w.open("ana")
	c.say("hello")
	answered = true
	w.sim.OnApplied(nil)
	c.say("again")
	if len(told) != 2 || told[0].Type != "cm.ConsumerRequestConversation" || told[1].Type != "ContentEvent" || told[1].RequestID != "e" || told[1].ConversationID != c.id {
		t.Errorf("told %+v", told)
	}
}
