package connector

import (
	"encoding/json"
	"testing"
)

func TestUpdateConversation(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []ConversationField
		want    string
	}{
		{"close", []ConversationField{ConversationStateField{}}, `{"field":"ConversationStateField","conversationState":"CLOSE"}`},
		{"close without survey", []ConversationField{Stage{}}, `{"field":"Stage","conversationState":"CLOSE"}`},
		{"close for a survey", []ConversationField{DialogChange{DialogID: "D"}}, `{"field":"DialogChange","type":"UPDATE","dialog":{"dialogId":"D","state":"CLOSE","closedCause":"Closed by consumer"}}`},
		{"rate", []ConversationField{CSATRate{Rate: 5, ResolutionConfirmation: new(true)}}, `{"field":"CSATRate","csatRate":5,"csatResolutionConfirmation":true,"status":"FILLED"}`},
		{"rate and say nothing of the resolution", []ConversationField{CSATRate{Rate: 4}}, `{"field":"CSATRate","csatRate":4,"status":"PARTIALLY_FILLED"}`},
		{"skip the rating", []ConversationField{CSATRate{Status: CSATSkipped}}, `{"field":"CSATRate","csatRate":0,"status":"SKIPPED"}`},
		{"urgent", []ConversationField{TTRField{TTRType: "URGENT", Value: 300}}, `{"field":"TTRField","ttrType":"URGENT","value":300}`},
		{"several", []ConversationField{TTRField{"NORMAL", 0}, Stage{}}, `[{"field":"TTRField","ttrType":"NORMAL","value":0},{"field":"Stage","conversationState":"CLOSE"}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(sendPath, reply(200, `{"code":"OK","body":{"msg":"OK Conversation resolved successfully"},"reqId":"$ID"}`))
			client, _ := testClient(t, lp.transport)
			if err := client.UpdateConversation(t.Context(), ana, "C", c.changes...); err != nil {
				t.Fatal(err)
			}
			var got struct {
				Type string
				Body struct {
					ConversationID    string
					ConversationField json.RawMessage
				}
			}
			if err := json.Unmarshal([]byte(lp.received()[0].body), &got); err != nil {
				t.Fatal(err)
			}
			if got.Type != "cm.UpdateConversationField" || got.Body.ConversationID != "C" || string(got.Body.ConversationField) != c.want {
				t.Errorf("got %+v %s, want %s", got, got.Body.ConversationField, c.want)
			}
		})
	}
	lp := newLivePerson(t)
	client, _ := testClient(t, lp.transport)
	for _, wrong := range [][]ConversationField{nil, {nil}, {DialogChange{}}, {CSATRate{}}, {CSATRate{Rate: 6}}, {TTRField{}}, {TTRField{"NORMAL", -1}}} {
		if err := client.UpdateConversation(t.Context(), ana, "C", wrong...); OutcomeOf(err) != Invalid {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	if err := client.UpdateConversation(t.Context(), ana, "", Stage{}); OutcomeOf(err) != Invalid {
		t.Errorf("no conversation: %v", err)
	}
	if len(lp.received()) != 0 {
		t.Error("a request was made for nonsense")
	}
}

// Closing twice does no harm, so a lost answer needs no search for an echo.
func TestLostUpdatesAreToBeRepeated(t *testing.T) {
	lp := newLivePerson(t)
	lp.HandleFunc(sendPath, reply(200, "<html>"))
	client, _ := testClient(t, lp.transport)
	for name, err := range map[string]error{
		"update":  client.UpdateConversation(t.Context(), ana, "C", Stage{}),
		"profile": client.SetUserProfile(t.Context(), ana, UserProfile{FirstName: "Ana"}),
	} {
		if failed := asError(t, err); failed.Outcome != Retry || failed.Certainty == MaybeApplied {
			t.Errorf("%s: %v, %v", name, failed.Outcome, failed.Certainty)
		}
	}
}
