package lpsim

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// outcome is what a SEND comes to: an answer by status, or a reply to the request.
type outcome struct {
	reply reply
	auth  *authError
}

func granted(r *request, body any) outcome { return outcome{reply: success(r.ID, body)} }

// send is SEND: one request on behalf of a consumer.
func (a *connectorAPI) send(c *call) answer {
	claims, authErr := a.tokens.authenticate(c, SendAPI)
	if authErr != nil {
		return authErr.answer(c.faults)
	}
	var r request
	features, ok := c.features()
	if !ok || !c.wellAsked(json.Unmarshal(c.body, &r), pageSend) || !c.validRequest(&r) || !validMetadata(c, &r) {
		return encodeReply(http.StatusBadRequest, refusal(r.ID, msgBadRequest))
	}
	out := a.act(c, claims, features, &r)
	switch {
	case out.auth != nil:
		return out.auth.answer(c.faults)
	case out.reply.Code != codeOK:
		return encodeReply(sendErrorStatus(c.faults, out.reply), out.reply)
	}
	if n, isSequence := out.reply.Body.(int64); isSequence {
		return jsonAnswer(http.StatusOK, sequenceReply(r.ID, n))
	}
	return encodeReply(http.StatusOK, out.reply)
}

// wellAsked checks what SEND and CONVERSATION have in common.
func (c *call) wellAsked(malformed error, page string) bool {
	switch {
	case !isJSON(c):
		c.because("Content-Type is not application/json", page)
	case c.URL.Query().Get("v") != "3":
		c.because("the query has no v=3", page)
	case malformed != nil:
		c.because("the body is not JSON of the right shape, or an id is not 1 to 64 characters", page)
	default:
		return true
	}
	return false
}

func (c *call) validRequest(r *request) bool {
	if r.valid() {
		return true
	}
	c.because("a request needs kind req, id, type, and body as an object", pageSend)
	return false
}

func sendErrorStatus(f *inForce, r reply) int {
	if r.Code == "NOT_FOUND" {
		return http.StatusNotFound
	}
	return f.SendErrorStatus
}

// sequenceReply is written by hand: it is the answer of nearly every call.
func sequenceReply(id requestID, n int64) []byte {
	name, _ := json.Marshal(string(id))
	b := make([]byte, 0, 64+len(name))
	b = append(append(b, `{"reqId":`...), name...)
	b = strconv.AppendInt(append(b, `,"code":"OK","body":{"sequence":`...), n, 10)
	return append(b, "}}"...)
}

// validMetadata wants an array of objects with a type, and encodedMetadata of at most 5k of base64.
func validMetadata(c *call, r *request) bool {
	if r.EncodedMetadata != "" {
		_, err := base64.StdEncoding.DecodeString(r.EncodedMetadata)
		if err != nil || len(r.EncodedMetadata) > 5<<10 || c.faults.EncodedMetadata == "reject" {
			c.because("encodedMetadata is not base64 of at most 5k, or not allowed", undocumented)
			return false
		}
	}
	if len(r.Metadata) == 0 || string(r.Metadata) == "null" {
		r.Metadata = nil
		return true
	}
	var list []struct {
		Type string          `json:"type"`
		ID   json.RawMessage `json:"id"`
	}
	if json.Unmarshal(r.Metadata, &list) != nil {
		c.because("metadata is not an array of objects", pageExamples)
		return false
	}
	for _, m := range list {
		var id string
		if m.Type == "" || m.Type == "ExternalId" && (json.Unmarshal(m.ID, &id) != nil || len(id) > 64) {
			c.because("metadata has an object without type, or an ExternalId of more than 64 characters", pageRich)
			return false
		}
	}
	return true
}

func (a *connectorAPI) act(c *call, claims consumerClaims, features []string, r *request) outcome {
	switch r.Type {
	case "ms.PublishEvent":
		return a.publish(c, claims, features, r)
	case "cm.UpdateConversationField":
		return a.update(c, claims, r)
	case "userprofile.SetUserProfile":
		owner := a.registry.lockConsumer(claims.LPConsumerID)
		defer owner.mu.Unlock()
		out := setProfile(c, owner, *r)
		if out.Code == codeOK && owner.current != nil {
			owner.current.mu.Lock()
			owner.current.profile = r.Body
			owner.current.mu.Unlock()
		}
		return outcome{reply: out}
	case "ms.GenerateURLForUploadFile":
		return a.files.uploadURL(c, claims, r)
	case "ms.GenerateURLForDownloadFile":
		return a.files.downloadURL(c, claims, r)
	}
	return c.badRequest(r, "type is none of those SEND takes", pageSend)
}

// publishBody is the body of ms.PublishEvent.
type publishBody struct {
	ConversationID string       `json:"conversationId"`
	DialogID       string       `json:"dialogId"`
	Event          publishEvent `json:"event"`
}

type publishEvent struct {
	Type         string          `json:"type"`
	ContentType  string          `json:"contentType"`
	Message      json.RawMessage `json:"message"`
	ChatState    string          `json:"chatState"`
	Status       string          `json:"status"`
	SequenceList []int64         `json:"sequenceList"`
}

func (a *connectorAPI) publish(c *call, claims consumerClaims, features []string, r *request) outcome {
	var body publishBody
	if json.Unmarshal(r.Body, &body) != nil || body.DialogID == "" {
		return c.badRequest(r, "body has no dialogId, or a field of the wrong type", pageSend)
	}
	if (body.Event.ContentType != hostedFile || c.faults.RequestLimitAll) && tooLong(c) {
		return c.badRequest(r, "the request is longer than requestLimit", pageGuide)
	}
	conv, out := a.owned(c, claims, r, orElse(body.ConversationID, body.DialogID))
	if conv == nil {
		return out
	}
	defer conv.mu.Unlock()
	d := conv.dialog(body.DialogID)
	if d == nil || body.ConversationID != "" && body.ConversationID != conv.id {
		return unknown(c, r)
	}
	switch {
	case d.State == stateLocked && c.faults.LockedAnswer == "bad_request":
		return c.badRequest(r, "the conversation is locked", undocumented)
	case d.State != stateOpen:
		return c.refused(r, msgClosed, "the dialog is not open", pageGuide)
	}
	if features != nil {
		conv.features = features
	}
	return a.publishInto(c, conv, d, r, &body.Event)
}

// owned finds a conversation, checks that it is the consumer's own, and locks it.
func (a *connectorAPI) owned(c *call, claims consumerClaims, r *request, id string) (*conversation, outcome) {
	conv := a.registry.find(id)
	if conv == nil {
		return nil, unknown(c, r)
	}
	conv.mu.Lock()
	if conv.consumer.LPConsumerID == claims.LPConsumerID && conv.lost == "" {
		a.messaging.loseByChance(c, conv)
	}
	switch lost := conv.lost; {
	case lost == forgotten:
		conv.mu.Unlock()
		return nil, unknown(c, r)
	case lost == disowned || conv.consumer.LPConsumerID != claims.LPConsumerID:
		conv.mu.Unlock()
		return nil, outcome{auth: c.deny(foreignConversation(c.faults), "the conversation belongs to another consumer")}
	}
	return conv, outcome{}
}

func foreignConversation(f *inForce) *authError {
	if f.ForeignConversation == errAppInvalid.code {
		return errAppInvalid
	}
	return errConsumerInvalid
}

func unknown(c *call, r *request) outcome {
	c.because("there is no such conversation or dialog", undocumented)
	switch c.faults.UnknownConversation {
	case "unauthorized":
		return outcome{auth: foreignConversation(c.faults)}
	case "not_found":
		return outcome{reply: reply{"NOT_FOUND", replyMessage{"Not Found"}, string(r.ID)}}
	}
	return outcome{reply: refusal(r.ID, msgBadRequest)}
}

func (a *connectorAPI) publishInto(c *call, conv *conversation, d *dialog, r *request, e *publishEvent) outcome {
	switch e.Type {
	case "ContentEvent":
		return a.publishContent(c, conv, d, r, e)
	case "ChatStateEvent":
		return a.publishChatState(c, conv, d, r, e.ChatState)
	case "AcceptStatusEvent":
		return a.publishStatus(c, conv, d, r, e)
	}
	return c.badRequest(r, "event.type is none of ContentEvent, ChatStateEvent and AcceptStatusEvent", pageExamples)
}

func (a *connectorAPI) publishContent(c *call, conv *conversation, d *dialog, r *request, e *publishEvent) outcome {
	entry := Entry{
		Role: RoleConsumer, OriginatorID: conv.consumer.LPConsumerID, Type: "ContentEvent", ContentType: e.ContentType,
		Metadata: r.Metadata, RequestID: string(r.ID), Audience: audienceAll,
	}
	switch e.ContentType {
	case "text/plain":
		if len(e.Message) == 0 || e.Message[0] != '"' || json.Unmarshal(e.Message, &entry.Text) != nil || entry.Text == "" {
			return c.badRequest(r, "message of text/plain is not a string with something in it", pageExamples)
		}
	case hostedFile:
		if !a.files.sendable(conv.consumer.LPConsumerID, e.Message, c.faults) {
			return c.badRequest(r, "the file was not uploaded by this consumer with the announced size, or its type or preview is not allowed", pageFiles)
		}
		entry.File = e.Message
	default:
		return c.badRequest(r, "contentType is neither text/plain nor hosted/file", pageExamples)
	}
	conv.noteText(string(r.ID), entry.Text, a.MaxTranscript, &a.stats)
	if kept := c.faults.rewrite(entry.Text); kept != entry.Text {
		entry.Text, entry.Submitted = kept, entry.Text
	}
	sequence := a.messaging.post(conv, d, entry, c)
	if d.DialogType == dialogPCS {
		conv.survey.hear(entry.Text)
	} else {
		a.messaging.happened(conv, "message", entry.Text)
	}
	return granted(r, sequence)
}

// publishChatState keeps the state until another comes: neither time nor a message ends COMPOSING.
func (a *connectorAPI) publishChatState(c *call, conv *conversation, d *dialog, r *request, state string) outcome {
	if !slices.Contains(ChatStates, state) {
		return c.badRequest(r, "chatState is none of LivePerson's", pageExamples)
	}
	if d.DialogType == dialogPCS {
		if c.faults.SurveyChatState == "reject" {
			return c.badRequest(r, "a survey takes no chat states", pageSurvey)
		}
		return granted(r, int64(0))
	}
	a.stats.chatStates.Add(1)
	a.messaging.setChatState(conv, d, originator{conv.consumer.LPConsumerID, RoleConsumer}, state, c)
	return granted(r, int64(0))
}

var acceptStatuses = []string{"ACCEPT", "READ", "ACCESS", "NACK", "ACTION"}

func (a *connectorAPI) publishStatus(c *call, conv *conversation, d *dialog, r *request, e *publishEvent) outcome {
	if !slices.Contains(acceptStatuses, e.Status) || len(e.SequenceList) == 0 {
		return c.badRequest(r, "status is none of LivePerson's, or sequenceList is empty", pageExamples)
	}
	unknown := func(n int64) bool { return n < 0 || n >= d.next }
	if slices.ContainsFunc(e.SequenceList, unknown) && c.faults.UnknownSequence == "reject" {
		return c.badRequest(r, "sequenceList names an event that does not exist", undocumented)
	}
	if e.Status == "ACTION" && d.DialogType == dialogPCS && !conv.survey.click(e.SequenceList, r.Metadata) &&
		c.faults.SurveyActionCheck == "reject" {
		return c.badRequest(r, "the ACTION names no reply of the survey's present question with its metadata", pageSurvey)
	}
	a.stats.receipts.Add(1)
	for _, n := range e.SequenceList {
		conv.receipts = keep(conv.receipts, Receipt{d.DialogID, n, e.Status, a.Now()}, a.MaxTranscript)
	}
	return granted(r, a.messaging.post(conv, d, Entry{
		Role: RoleConsumer, OriginatorID: conv.consumer.LPConsumerID, Type: "AcceptStatusEvent", Status: e.Status,
		SequenceList: e.SequenceList, Metadata: r.Metadata, RequestID: string(r.ID),
	}, c))
}
