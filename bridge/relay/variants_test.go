package relay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// actions records the ACTIONs LivePerson is told, as they are sent.
type actions struct {
	mu   sync.Mutex
	sent []string
}

func (a *actions) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.sent)
}

// note keeps what an ACTION says of where it belongs and of its element.
func (a *actions) note(_ *http.Request, body string) (*http.Response, error) {
	var sent struct {
		Body struct {
			Conversation string `json:"conversationId"`
			Dialog       string `json:"dialogId"`
			Event        struct {
				Status       string
				SequenceList []int64
			}
		}
		Metadata json.RawMessage
	}
	if strings.Contains(body, `"ACTION"`) && json.Unmarshal([]byte(body), &sent) == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.sent = append(a.sent, fmt.Sprintf("%s %v %s", sent.Body.Event.Status, sent.Body.Event.SequenceList, sent.Metadata))
		if sent.Body.Conversation == "" || sent.Body.Dialog == "" {
			a.sent = append(a.sent, "without conversation or dialog")
		}
	}
	return nil, nil
}

// TestClickNamesTheMessageItIsIn clicks on elements of several messages, in another
// order than they came, and on two of one message: each ACTION has the sequence of its
// message and the metadata of its element (Rich Messaging Introduction).
func TestClickNamesTheMessageItIsIn(t *testing.T) {
	button := func(name string) string {
		return `{"type":"button","title":"` + name + `","click":{"metadata":[{"type":"ExternalId","id":"` + name + `"}],"actions":[{"type":"publishText","text":"` + name + `"}]}}`
	}
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		var told actions
		id := r.begin("t-1")
		var at []int64
		for _, m := range []lpsim.AgentMessage{
			{Text: "Which?", QuickReplies: json.RawMessage(`{"type":"quickReplies","replies":[` + button("quick") + `]}`)},
			{Text: "by the way"},
			{Rich: json.RawMessage(`{"type":"carousel","elements":[{"type":"vertical","elements":[{"type":"text","text":"a"},` + button("first") + `]},{"type":"vertical","elements":[` + button("second") + `]}]}`)},
		} {
			sent, err := r.sim.AgentMessage(id, m)
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, int64(sent.Sequence))
			time.Sleep(time.Second)
		}
		r.wire.fail(told.note)
		var offers []bridge.Event
		for _, e := range r.channel.events() {
			if e.Kind == bridge.KindMessage && len(e.Message.QuickReplies) > 0 {
				offers = append(offers, e)
			}
		}
		if len(offers) != 2 || len(offers[1].Message.QuickReplies) != 2 {
			t.Fatalf("offered %+v", offers)
		}
		for i, c := range []bridge.Click{
			{MessageID: offers[1].ID, ReplyID: offers[1].Message.QuickReplies[1].ID},
			{MessageID: offers[0].ID, ReplyID: offers[0].Message.QuickReplies[0].ID},
			{MessageID: offers[1].ID, ReplyID: offers[1].Message.QuickReplies[0].ID},
		} {
			click := event(bridge.KindClick, "t-1", fmt.Sprint("k-", i))
			click.Click = &c
			r.accept(click)
			time.Sleep(time.Second)
		}
		want := []string{
			fmt.Sprintf(`ACTION [%d] [{"type":"ExternalId","id":"second"}]`, at[2]),
			fmt.Sprintf(`ACTION [%d] [{"type":"ExternalId","id":"quick"}]`, at[0]),
			fmt.Sprintf(`ACTION [%d] [{"type":"ExternalId","id":"first"}]`, at[2]),
		}
		if diff := cmp.Diff(want, told.list()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if got := consumerTexts(r.conversation()); !slices.Equal(got, []string{"hello", "second", "quick", "first"}) {
			t.Errorf("the agent reads %q", got)
		}
	})
}

// TestEchoThatLivePersonRewroteSettlesItsMessage loses the answer to a message that
// LivePerson changes before anybody sees it: it is there, and is not sent again.
func TestEchoThatLivePersonRewroteSettlesItsMessage(t *testing.T) {
	for name, c := range map[string]struct {
		faults      lpsim.Faults
		text, reads string
	}{
		"a profanity filter":   {lpsim.Faults{FilterWords: []string{"damn", "hell"}}, "Damn it to hell, where is it?", "**** it to ****, where is it?"},
		"a whole message":      {lpsim.Faults{FilterWords: []string{"damn"}}, "damn", "****"},
		"a card and a word":    {lpsim.Faults{FilterWords: []string{"damn"}, MaskCardNumbers: true}, "damn 4111-1111-1111-1111", "**** ****-****-****-****"},
		"trimmed":              {lpsim.Faults{TrimTextRate: 1}, "  where  is it?\n", "where is it?"},
		"trimmed and filtered": {lpsim.Faults{TrimTextRate: 1, FilterWords: []string{"damn"}}, " damn  it ", "**** it"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{echoWait: 35 * time.Second}, func(t *testing.T, r *rig) {
				r.begin("t-1")
				r.sim.SetFaults(c.faults)
				r.loseAnswer(strings.Fields(c.text)[0])
				r.say("t-1", "e-1", c.text)
				r.say("t-1", "e-2", "and then?")
				time.Sleep(5 * time.Minute)
				if got := consumerTexts(r.conversation()); !slices.Equal(got, []string{"hello", c.reads, "and then?"}) {
					t.Errorf("the agent reads %q", got)
				}
				if n := r.journal.PendingCount(); n != 0 {
					t.Errorf("%d are pending", n)
				}
			})
		})
	}
}

// TestFileStoreThatHasNotHeardOfAnUploadYet answers a first upload with 404.
func TestFileStoreThatHasNotHeardOfAnUploadYet(t *testing.T) {
	for _, status := range []int{404, 409, 502} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			o, _ := withFiles(t)
			inBubble(t, o, func(t *testing.T, r *rig) {
				once := inTurn(says(status, "<html><h1>Not Found</h1></html>"))
				r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
					if req.Method == http.MethodPut {
						return once(req, body)
					}
					return nil, nil
				})
				r.send("t-1", "e-1", "look", "a.png")
				r.say("t-1", "e-2", "got it?")
				time.Sleep(2 * time.Minute)
				r.wantMessages("look", "[a.png PNG]", "got it?")
			})
		})
	}
}

// TestSentinelThatIsAwayIsAskedByOne has ten threads wait for a token while Sentinel
// says to come back in the year three billion.
func TestSentinelThatIsAwayIsAskedByOne(t *testing.T) {
	for _, header := range []string{"99999999999999999999", "3600", ""} {
		t.Run(header, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				var mu sync.Mutex
				var asked []time.Time
				well := false
				r.wire.fail(func(req *http.Request, _ string) (*http.Response, error) {
					if !strings.Contains(req.URL.Path, "/sentinel/") {
						return nil, nil
					}
					mu.Lock()
					defer mu.Unlock()
					if well {
						return nil, nil
					}
					asked = append(asked, time.Now())
					if header == "" {
						return answer(503, ""), nil
					}
					return answer(503, "", "Retry-After", header), nil
				})
				for i := range 10 {
					r.say(fmt.Sprint("t-", i), fmt.Sprint("e-", i), "hello")
				}
				time.Sleep(10 * time.Minute)
				mu.Lock()
				n, last := len(asked), asked[len(asked)-1]
				well = true
				mu.Unlock()
				// Ten lanes that each asked every few seconds would have asked a thousand times.
				if most := map[bool]int{true: 3, false: 400}[header != ""]; n > most || time.Since(last) > 6*time.Minute {
					t.Errorf("Sentinel was asked %d times, the last time %s ago", n, time.Since(last))
				}
				time.Sleep(6 * time.Minute)
				if all := r.sim.Conversations(); len(all) != 10 || r.journal.PendingCount() != 0 {
					t.Errorf("%d conversations, %d pending", len(all), r.journal.PendingCount())
				}
			})
		})
	}
}

// TestSeveralChangesOfSeveralConversationsInOneNotification has LivePerson put a survey
// of one conversation, the end of another and words in both dialogs together.
func TestSeveralChangesOfSeveralConversationsInOneNotification(t *testing.T) {
	inBubble(t, rigOptions{survey: true}, func(t *testing.T, r *rig) {
		surveyed, ended := r.begin("t-1"), ""
		r.say("t-2", "first-of-t-2", "hello")
		time.Sleep(time.Second)
		for _, s := range r.sim.Conversations() {
			if s.ConversationID != surveyed {
				ended = s.ConversationID
			}
		}
		r.sim.SetFaults(lpsim.Faults{WebhookBatchMs: 2000, DialogsReversedRate: 1})
		r.agentSays(surveyed, "bye, first")
		r.agentSays(ended, "bye, second")
		time.Sleep(5 * time.Second)
		if err := r.sim.AgentClose(surveyed, lpsim.AgentClose{Survey: new(true)}); err != nil {
			t.Fatal(err)
		}
		if err := r.sim.AgentClose(ended, lpsim.AgentClose{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		got := map[bridge.ThreadID][]string{}
		for _, e := range r.channel.events() {
			switch {
			case e.Kind == bridge.KindState:
				got[e.Thread] = append(got[e.Thread], string(e.State.Conversation))
			case e.Kind == bridge.KindMessage && e.Message.Survey:
				got[e.Thread] = append(got[e.Thread], "survey: "+e.Message.Text)
			case e.Kind == bridge.KindMessage:
				got[e.Thread] = append(got[e.Thread], e.Message.Text)
			}
		}
		for thread, want := range map[bridge.ThreadID][]string{"t-1": {"bye, first", "survey", "survey: How satisfied are you with our service?"}, "t-2": {"bye, second", "closed"}} {
			for _, w := range want {
				if n := len(slices.DeleteFunc(slices.Clone(got[thread]), func(s string) bool { return s != w })); n != 1 {
					t.Errorf("%s was told %q %d times: %q", thread, w, n, got[thread])
				}
			}
		}
		if slices.Contains(got["t-1"], "closed") || slices.Contains(got["t-2"], "survey") {
			t.Errorf("told %q", got)
		}
		// What is written now goes into the survey, and into another conversation.
		r.say("t-1", "e-1", "5")
		r.say("t-2", "e-2", "once more")
		time.Sleep(10 * time.Second)
		c, _ := r.sim.Conversation(surveyed)
		if !slices.Contains(said(c), "survey: 5") {
			t.Errorf("the first said %q", said(c))
		}
		if n := len(r.sim.Conversations()); n != 3 {
			t.Errorf("there are %d conversations", n)
		}
	})
}
