package lpsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// history is what LivePerson remembers of conversations for administrators and their tools (Messaging Interactions API). Of
// its calls only the search for one conversation by its id is played.
type history struct {
	admins   *admins
	registry *registry
	profiles *profiles
}

// object is a JSON object that is only written.
type object = map[string]any

func (h *history) serve(c *call) answer {
	if !h.admins.authorized(c) {
		return plainError(http.StatusUnauthorized)
	}
	if !strings.HasSuffix(c.URL.Path, "/conversations/conversation/search") {
		c.because("of history, only conversations/conversation/search is played", pageHistory)
		return plainError(http.StatusNotFound)
	}
	var body struct {
		ID   string   `json:"conversationId"`
		Want []string `json:"contentToRetrieve"`
	}
	limit, err := strconv.Atoi(orElse(c.URL.Query().Get("limit"), "50"))
	if !isJSON(c) || json.Unmarshal(c.body, &body) != nil || body.ID == "" || err != nil || limit < 1 || limit > 100 {
		c.because("Content-Type application/json or conversationId is missing, or limit is not 1 to 100", pageHistory)
		return plainError(http.StatusBadRequest)
	}
	records := []object{}
	if found := h.registry.find(body.ID); found != nil {
		if seen := found.snapshot(); seen.Lost != forgotten {
			records = append(records, h.record(seen, body.Want))
		}
	}
	data, _ := json.Marshal(object{
		"_metadata":                  object{"count": len(records), "self": object{"rel": "self", "href": c.URL.Path}},
		"conversationHistoryRecords": records,
	})
	return jsonAnswer(http.StatusOK, data)
}

// record is one conversation with the contents that were asked for, all of them if none is named.
func (h *history) record(c Conversation, want []string) object {
	all := object{
		"campaign": c.Campaign, "messageRecords": messageRecords(c), "messageStatuses": messageStatuses(c),
		"agentParticipants": h.agents(c), "agentParticipantsActive": h.agents(c), "agentParticipantsLeave": []object{},
		"consumerParticipants": []object{consumerParticipant(c)}, "transfers": []object{}, "messageScores": []object{},
	}
	out := object{"info": h.info(c)}
	for name, content := range all {
		if len(want) == 0 || slices.Contains(want, name) {
			out[name] = content
		}
	}
	return out
}

func (h *history) info(c Conversation) object {
	out := stamped(object{
		"conversationId": c.ConversationID, "brandId": h.admins.Account, "status": c.State, "fullDialogStatus": c.Stage,
		"latestSkillId": c.SkillID, "closeReason": c.CloseReason, "source": "SHARK",
	}, "startTime", c.Started)
	if c.Stage == stateClose {
		stamped(out, "endTime", c.Updated)
	}
	return out
}

// stamped adds a time in the two forms history has.
func stamped(to object, name string, at time.Time) object {
	to[name], to[name+"L"] = at.UTC().Format("2006-01-02 15:04:05.000-0700"), at.UnixMilli()
	return to
}

func messageID(dialogID string, sequence int64) string {
	return "ms::dialog:" + dialogID + "::msg:" + strconv.FormatInt(sequence, 10)
}

func side(role string) string {
	if role == RoleConsumer {
		return "Consumer"
	}
	return "Agent"
}

// messageRecords are what was said, in the order of the transcript.
func messageRecords(c Conversation) []object {
	list := []object{}
	for _, e := range c.Transcript {
		if e.Type == "AcceptStatusEvent" {
			continue
		}
		kind, data := "TEXT_PLAIN", object{"msg": object{"text": e.Text}}
		switch {
		case e.Type == "RichContentEvent":
			kind, data = "RICH_CONTENT", object{"richContent": object{"content": string(e.Content)}}
		case e.ContentType == hostedFile:
			kind, data = "HOSTED_FILE", object{"file": e.File}
		}
		if e.QuickReplies != nil {
			data["quickReplies"] = object{"content": string(e.QuickReplies)}
		}
		list = append(list, stamped(object{
			"type": kind, "messageData": data, "messageId": messageID(e.DialogID, e.Sequence), "seq": e.Sequence, "dialogId": e.DialogID,
			"participantId": e.OriginatorID, "source": "APP", "device": "undefined", "sentBy": side(e.Role), "audience": e.Audience,
		}, "time", e.Time))
	}
	return list
}

// messageStatuses are the receipts, one for each message that one names.
func messageStatuses(c Conversation) []object {
	list := []object{}
	for _, e := range c.Transcript {
		for _, sequence := range e.SequenceList {
			list = append(list, stamped(object{
				"messageId": messageID(e.DialogID, sequence), "seq": sequence, "dialogId": e.DialogID, "participantId": e.OriginatorID,
				"participantType": side(e.Role), "messageDeliveryStatus": e.Status,
			}, "time", e.Time))
		}
	}
	return list
}

// agents are those of the conversation with the public profiles they have.
func (h *history) agents(c Conversation) []object {
	known, list := h.profiles.all(), []object{}
	for _, p := range c.Participants {
		if p.Role != RoleConsumer {
			list = append(list, object{
				"agentId": p.ID, "agentNickname": known[p.ID].Nickname, "agentFullName": known[p.ID].FullName, "role": p.Role, "permission": p.Role,
			})
		}
	}
	return list
}

func consumerParticipant(c Conversation) object {
	var profile struct {
		FirstName string `json:"firstName"`
		LastName  string `json:"lastName"`
		AvatarURL string `json:"avatarUrl"`
	}
	_ = json.Unmarshal(c.Profile, &profile)
	return object{
		"participantId": c.ConsumerID, "firstName": profile.FirstName, "lastName": profile.LastName, "avatarURL": profile.AvatarURL,
		"consumerName": strings.TrimSpace(profile.FirstName + " " + profile.LastName),
	}
}
