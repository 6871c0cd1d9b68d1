package lpsim

import (
	"encoding/json"
	"slices"
)

// fieldChange is one conversationField of cm.UpdateConversationField, of any kind.
type fieldChange struct {
	Field             string          `json:"field"`
	Type              string          `json:"type"`
	ConversationState string          `json:"conversationState"`
	Dialog            json.RawMessage `json:"dialog"`
	Rate              *int            `json:"csatRate"`
	Resolution        *bool           `json:"csatResolutionConfirmation"`
	Status            string          `json:"status"`
	TTRType           string          `json:"ttrType"`
	Value             *int            `json:"value"`
}

// update is cm.UpdateConversationField. An array of changes is checked as a whole before any of it is applied.
func (a *connectorAPI) update(c *call, claims consumerClaims, r *request) outcome {
	var body struct {
		ConversationID string          `json:"conversationId"`
		Field          json.RawMessage `json:"conversationField"`
	}
	if json.Unmarshal(r.Body, &body) != nil || body.ConversationID == "" {
		return c.badRequest(r, "body has no conversationId, or a field of the wrong type", pageExamples)
	}
	changes, ok := fieldChanges(body.Field)
	if !ok {
		return c.badRequest(r, "conversationField is neither an object nor an array of them", pageExamples)
	}
	conv, out := a.owned(c, claims, r, body.ConversationID)
	if conv == nil {
		return out
	}
	defer conv.mu.Unlock()
	msg := c.faults.UpdateMessage
	for _, change := range changes {
		if problem := checkChange(conv, &change); problem != "" {
			return c.refused(r, problem, "a change of "+change.Field+" is not possible, or not now", pageExamples)
		}
		if change.closes() {
			msg = msgResolved
		}
	}
	for _, change := range changes {
		a.apply(c, conv, &change)
	}
	c.note(Applied{API: SendAPI, ConversationID: conv.id, Type: r.Type, RequestID: string(r.ID)})
	return granted(r, replyMessage{msg})
}

// fieldChanges reads one object or an array of them, as the Protocol Overview allows.
func fieldChanges(data json.RawMessage) ([]fieldChange, bool) {
	var list []fieldChange
	if isArray(data) {
		return list, json.Unmarshal(data, &list) == nil && len(list) > 0
	}
	var one fieldChange
	if !isObject(data) || json.Unmarshal(data, &one) != nil {
		return nil, false
	}
	return []fieldChange{one}, true
}

func (f *fieldChange) closes() bool {
	return f.Field == "ConversationStateField" || f.Field == "DialogChange" || f.Field == "Stage"
}

// dialogChange is what a DialogChange says.
func (f *fieldChange) dialogChange() (id, cause string, ok bool) {
	var d struct {
		DialogID    string `json:"dialogId"`
		State       string `json:"state"`
		ClosedCause string `json:"closedCause"`
	}
	if json.Unmarshal(f.Dialog, &d) != nil || f.Type != "UPDATE" || d.State != stateClose {
		return "", "", false
	}
	return d.DialogID, d.ClosedCause, true
}

// checkChange tells why a change cannot be made, or nothing. Only the rating is possible after the end.
func checkChange(c *conversation, f *fieldChange) string {
	valid, open := false, c.stage == stateOpen
	switch f.Field {
	case "ConversationStateField":
		valid, open = f.ConversationState == stateClose, c.state == stateOpen
	case "Stage":
		valid = f.ConversationState == stateClose
	case "DialogChange":
		id, _, ok := f.dialogChange()
		d := c.dialog(id)
		if valid = ok && d != nil; valid {
			open = d.State == stateOpen
		}
	case "CSATRate":
		valid = f.validRating()
		open = true
	case "TTRField":
		valid = slices.Contains([]string{"CUSTOM", "NORMAL", "PRIORITIZED", "URGENT"}, f.TTRType) && f.Value != nil && *f.Value >= 0
	}
	switch {
	case !valid:
		return msgBadRequest
	case !open:
		return msgClosed
	}
	return ""
}

// validRating wants the resolution only of a rating that claims to be complete, and no rate of one that was skipped.
func (f *fieldChange) validRating() bool {
	rated := f.Rate != nil && *f.Rate >= 1 && *f.Rate <= 5
	switch f.Status {
	case "FILLED":
		return rated && f.Resolution != nil
	case "PARTIALLY_FILLED":
		return rated || f.Resolution != nil
	}
	return f.Status == "SKIPPED"
}

func (a *connectorAPI) apply(c *call, conv *conversation, f *fieldChange) {
	switch f.Field {
	case "ConversationStateField":
		a.messaging.closeMain(conv, RoleConsumer, "", c.faults.CloseStartsSurvey, c)
	case "DialogChange":
		id, cause, _ := f.dialogChange()
		if conv.dialog(id).DialogType == dialogMain {
			a.messaging.closeMain(conv, RoleConsumer, cause, true, c)
		} else {
			a.messaging.endSurvey(conv, RoleConsumer, cause, c)
		}
	case "Stage":
		a.messaging.closeAll(conv, RoleConsumer, c)
	case "CSATRate":
		conv.csat = &CSAT{Resolution: f.Resolution, Status: f.Status}
		if f.Rate != nil {
			conv.csat.Rate = *f.Rate
		}
		a.messaging.changed(conv, c)
	case "TTRField":
		conv.ttr = TTR{f.TTRType, *f.Value}
		a.messaging.changed(conv, c)
	}
}
