package lpsim_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"lpbridge/connector/lpsim"
)

// surveyed opens a conversation whose main dialog was closed into a survey.
func surveyed(t *testing.T, w *world, closing func(*chat)) (*chat, string) {
	t.Helper()
	c := w.open("ana")
	if _, err := w.sim.AgentJoin(c.id, lpsim.Agent{}, ""); err != nil {
		t.Fatal(err)
	}
	c.say("hello")
	closing(c)
	synctest.Wait()
	dialogs := c.view().Dialogs
	if len(dialogs) != 2 {
		t.Fatalf("dialogs %+v", dialogs)
	}
	return c, dialogs[1].DialogID
}

func closeMain(c *chat) {
	c.update(`{"field":"DialogChange","type":"UPDATE","dialog":{"dialogId":"` + c.id + `","state":"CLOSE","closedCause":"Closed by consumer"}}`)
}

// ask is the last question in a survey.
func ask(t *testing.T, c *chat) lpsim.Entry {
	t.Helper()
	entries := c.view().Transcript
	for _, e := range slices.Backward(entries) {
		if e.QuickReplies != nil {
			return e
		}
	}
	t.Fatalf("no question in %+v", entries)
	return lpsim.Entry{}
}

func (c *chat) click(t *testing.T, dialog string, question lpsim.Entry, i int) (action, content reply) {
	t.Helper()
	var offered struct {
		Replies []struct {
			Title string
			Click struct{ Metadata json.RawMessage }
		}
	}
	if err := json.Unmarshal(question.QuickReplies, &offered); err != nil {
		t.Fatal(err)
	}
	sequence, _ := json.Marshal([]int64{question.Sequence})
	metadata := `,"metadata":` + string(offered.Replies[i].Click.Metadata) + "}"
	action = c.send(strings.TrimSuffix(event(c.id, dialog, `{"type":"AcceptStatusEvent","status":"ACTION","sequenceList":`+string(sequence)+`}`), "}") + metadata)
	content = c.send(strings.TrimSuffix(event(c.id, dialog, textEvent(offered.Replies[i].Title)), "}") + metadata)
	synctest.Wait()
	return action, content
}

func TestSurvey(t *testing.T) {
	config := lpsim.Config{Survey: lpsim.DefaultSurvey()}
	listen(t, config, func(t *testing.T, w *world, r *receiver) {
		c, dialog := surveyed(t, w, closeMain)
		if len(dialog) != 22 || strings.Contains(dialog, "=") {
			t.Errorf("dialog id %q", dialog)
		}
		v := c.view()
		want(t, "state", v.State, "CLOSE")
		want(t, "stage", v.Stage, "OPEN")
		want(t, "reason", v.CloseReason, "CONSUMER")
		announced := r.with("POST_SURVEY")
		want(t, "announcements", len(announced), 1)
		want(t, "MAIN", announced[0].reply().field(t, "body.changes.0.result.conversationDetails.dialogs.0.state"), any("CLOSE"))
		want(t, "its cause", announced[0].reply().field(t, "body.changes.0.result.conversationDetails.dialogs.0.closedCause"), any("Closed by consumer"))
		want(t, "survey", announced[0].reply().field(t, "body.changes.0.result.conversationDetails.dialogs.1.state"), any("OPEN"))
		want(t, "message into MAIN", c.say("x").field(t, "body.msg"), any("Bad Request, Conversation is close"))
		want(t, "chat state in the survey", c.send(event(c.id, dialog, `{"type":"ChatStateEvent","chatState":"COMPOSING"}`)).status, 400)
		want(t, "new conversation", w.do("POST", createPath, batch, w.headers(c.jws)...).status, 400)

		question := ask(t, c)
		want(t, "question's sequence restarts", question.Sequence, int64(1))
		want(t, "ACTION without metadata", c.send(event(c.id, dialog, `{"type":"AcceptStatusEvent","status":"ACTION","sequenceList":[1]}`)).status, 400)
		action, content := c.click(t, dialog, question, 4)
		want(t, "ACTION", action.field(t, "body.sequence"), any(2.0))
		want(t, "content", content.field(t, "body.sequence"), any(3.0))
		want(t, "old question", func() int { a, _ := c.click(t, dialog, question, 4); return a.status }(), 400)

		c.send(event(c.id, dialog, textEvent("yes")))
		synctest.Wait()
		v = c.view()
		want(t, "stage at the end", v.Stage, "CLOSE")
		want(t, "cause", v.Dialogs[1].ClosedCause, "Completed")
		want(t, "by", v.Dialogs[1].ClosedBy, "AGENT")
		want(t, "answers", len(v.SurveyAnswers), 2)
		want(t, "first answer", v.SurveyAnswers[0], lpsim.SurveyAnswer{QuestionID: "csat", Text: "5", AnswerID: "a5", Clicked: true})
		want(t, "second answer", v.SurveyAnswers[1], lpsim.SurveyAnswer{QuestionID: "fcr", Text: "yes", AnswerID: "a1"})
		want(t, "bot typed", len(r.with(`"role":"AGENT"},"event":{"type":"ChatStateEvent"`)) > 0, true)
		w.open("ana")
	})
}

func TestSkippingASurvey(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, _ *receiver) {
		yes := true
		c, dialog := surveyed(t, w, func(c *chat) {
			if err := w.sim.AgentClose(c.id, lpsim.AgentClose{Survey: &yes}); err != nil {
				t.Fatal(err)
			}
		})
		want(t, "reason", c.view().CloseReason, "AGENT")
		c.send(event(c.id, dialog, textEvent("Skip")))
		synctest.Wait()
		want(t, "stage", c.view().Stage, "CLOSE")
		want(t, "answers", len(c.view().SurveyAnswers), 0)
	})
}

func TestTheGreetingMayComeFirstAndDialogsInAnyOrder(t *testing.T) {
	config := lpsim.Config{Survey: lpsim.DefaultSurvey(), Faults: lpsim.Faults{SurveyGreetingEarly: true, DialogsReversedRate: 1}}
	listen(t, config, func(t *testing.T, w *world, r *receiver) {
		_, dialog := surveyed(t, w, closeMain)
		first := r.with(dialog)[0].reply()
		want(t, "first", first.field(t, "type"), any("ms.MessagingEventNotification"))
		announced := r.with("POST_SURVEY")[0].reply()
		want(t, "first dialog", announced.field(t, "body.changes.0.result.conversationDetails.dialogs.0.dialogType"), any("POST_SURVEY"))
	})
}

func TestWhenNoSurveyFollows(t *testing.T) {
	for name, test := range map[string]struct {
		assigned bool
		faults   lpsim.Faults
		field    string
		stage    string
	}{
		"nobody assigned":       {false, lpsim.Faults{}, `{"field":"DialogChange","type":"UPDATE","dialog":{"dialogId":"ID","state":"CLOSE"}}`, "CLOSE"},
		"Stage":                 {true, lpsim.Faults{}, `{"field":"Stage","conversationState":"CLOSE"}`, "CLOSE"},
		"state":                 {true, lpsim.Faults{}, `{"field":"ConversationStateField","conversationState":"CLOSE"}`, "CLOSE"},
		"state, as the switch":  {true, lpsim.Faults{CloseStartsSurvey: true}, `{"field":"ConversationStateField","conversationState":"CLOSE"}`, "OPEN"},
		"dialog (this has one)": {true, lpsim.Faults{}, `{"field":"DialogChange","type":"UPDATE","dialog":{"dialogId":"ID","state":"CLOSE"}}`, "OPEN"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, lpsim.Config{Survey: lpsim.DefaultSurvey(), Faults: test.faults})
			c := w.open("ana")
			if test.assigned {
				w.sim.AgentJoin(c.id, lpsim.Agent{}, "")
			}
			c.update(strings.Replace(test.field, "ID", c.id, 1))
			want(t, "stage", c.view().Stage, test.stage)
			c.update(`{"field":"Stage","conversationState":"CLOSE"}`)
			want(t, "after Stage", c.view().Stage, "CLOSE")
		})
	}
}
