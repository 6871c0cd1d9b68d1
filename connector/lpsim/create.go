package lpsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// request is the envelope of one request (Send API). The id is a string in the schema and an integer in some of
// LivePerson's own examples.
type request struct {
	Kind            string          `json:"kind"`
	ID              requestID       `json:"id"`
	Type            string          `json:"type"`
	Body            json.RawMessage `json:"body"`
	Metadata        json.RawMessage `json:"metadata"`
	EncodedMetadata string          `json:"encodedMetadata"`
}

// requestID is the id as it is echoed: always a string.
type requestID string

// UnmarshalJSON takes a string of 1 to 64 characters or an integer.
func (id *requestID) UnmarshalJSON(data []byte) error {
	var text string
	if data[0] == '"' {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	} else {
		var number int64
		if err := json.Unmarshal(data, &number); err != nil {
			return err
		}
		text = string(data)
	}
	if n := utf8.RuneCountInString(text); n < 1 || n > 64 {
		return &FieldError{"id", "want 1 to 64 characters"}
	}
	*id = requestID(text)
	return nil
}

func (r *request) valid() bool {
	return r.Kind == "req" && r.ID != "" && r.Type != "" && isObject(r.Body)
}

func isObject(data json.RawMessage) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && data[0] == '{'
}

func isArray(data json.RawMessage) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && data[0] == '['
}

// reply is one element of a batch's answer, or the answer of a SEND.
type reply struct {
	Code  string `json:"code"`
	Body  any    `json:"body"`
	ReqID string `json:"reqId"`
}

type replyMessage struct {
	Msg string `json:"msg"`
}

const (
	codeOK         = "OK"
	codeBadRequest = "BAD_REQUEST"
	msgBadRequest  = "Bad Request"
	msgClosed      = "Bad Request, Conversation is close"
	msgProfileSet  = "OK User Profile set successfully"
	msgResolved    = "OK Conversation resolved successfully"
)

func refusal(id requestID, msg string) reply {
	return reply{codeBadRequest, replyMessage{msg}, string(id)}
}

func success(id requestID, body any) reply { return reply{codeOK, body, string(id)} }

// features reads Client-Properties. All three spellings of its type that are in use are accepted.
func (c *call) features() ([]string, bool) {
	header := c.Header.Get("Client-Properties")
	if header == "" {
		return nil, true
	}
	var properties struct {
		Type     string   `json:"type"`
		Features []string `json:"features"`
	}
	known := json.Unmarshal([]byte(header), &properties) == nil &&
		slices.Contains([]string{".ClientProperties", "ClientProperties", ".ams.headers.ClientProperties"}, properties.Type)
	if !known {
		if c.faults.ClientPropertiesForm == "ignore" {
			return nil, true
		}
		c.because("Client-Properties is not JSON of a known type", undocumented)
		return nil, false
	}
	return properties.Features, true
}

// connectorAPI is the Connector API: CONVERSATION and SEND, by which a connector speaks for consumers.
type connectorAPI struct {
	*installation
	registry  *registry
	messaging *messaging
	tokens    *tokens
	files     *files
}

// createConversation is CONVERSATION: a batch of a profile and a request for a conversation, in that order, each
// with its own outcome.
func (a *connectorAPI) createConversation(c *call) answer {
	claims, authErr := a.tokens.authenticate(c, ConversationAPI)
	if authErr != nil {
		return authErr.answer(c.faults)
	}
	features, ok := c.features()
	var batch []request
	if !ok || !c.wellAsked(json.Unmarshal(c.body, &batch), pageConversation) {
		return encodeReply(http.StatusBadRequest, refusal("", msgBadRequest))
	}
	if c.faults.RequestLimitAll && tooLong(c) {
		return encodeReply(http.StatusBadRequest, c.refusal("", "the request is longer than requestLimit", undocumented))
	}
	if !validBatch(batch) {
		return encodeReply(http.StatusBadRequest, c.refusal("", "a batch begins with userprofile.SetUserProfile and cm.ConsumerRequestConversation, each with kind, id and body", pageConversation))
	}
	replies := a.runBatch(c, claims, features, batch)
	status := http.StatusOK
	if slices.ContainsFunc(replies, func(r reply) bool { return r.Code != codeOK }) {
		status = c.faults.BatchErrorStatus
	}
	body, _ := json.Marshal(replies)
	return jsonAnswer(status, body)
}

// validBatch checks what makes a batch one at all; more requests may follow the two mandatory ones.
func validBatch(batch []request) bool {
	if len(batch) < 2 || batch[0].Type != "userprofile.SetUserProfile" || batch[1].Type != "cm.ConsumerRequestConversation" {
		return false
	}
	return !slices.ContainsFunc(batch, func(r request) bool { return !r.valid() })
}

func (a *connectorAPI) runBatch(c *call, claims consumerClaims, features []string, batch []request) []reply {
	owner := a.registry.lockConsumer(claims.LPConsumerID)
	defer owner.mu.Unlock()
	replies := make([]reply, 0, len(batch))
	for i, r := range batch {
		switch {
		case i == 1 && replies[0].Code != codeOK && c.faults.BatchAfterError == "skip":
			replies = append(replies, c.refusal(r.ID, "the request before it was refused", undocumented))
		case r.Type == "userprofile.SetUserProfile":
			replies = append(replies, setProfile(c, owner, r))
		case r.Type == "cm.ConsumerRequestConversation":
			replies = append(replies, a.requestConversation(c, owner, claims, features, r))
		case r.Type == "ms.PublishEvent" && c.faults.LongBatch == "accept" && replies[1].Code == codeOK:
			replies = append(replies, a.publishFirst(c, owner.current, &r))
		default:
			replies = append(replies, c.refusal(r.ID, "type does not belong into a batch", pageConversation))
		}
	}
	return replies
}

// publishFirst is an event that a batch brings along for the conversation it has just opened, whose id nobody knows yet.
func (a *connectorAPI) publishFirst(c *call, conv *conversation, r *request) reply {
	var body publishBody
	if json.Unmarshal(r.Body, &body) != nil || body.DialogID != "" || body.ConversationID != "" {
		return c.refusal(r.ID, "an event of the batch cannot name a conversation that is not open yet", undocumented)
	}
	conv.mu.Lock()
	defer conv.mu.Unlock()
	out := a.publishInto(c, conv, conv.main(), r, &body.Event)
	if n, isSequence := out.reply.Body.(int64); isSequence {
		return success(r.ID, map[string]int64{"sequence": n})
	}
	return out.reply
}

// setProfile keeps a profile whose engagement attributes are ones a connector may send.
func setProfile(c *call, owner *consumer, r request) reply {
	if !validProfile(c.faults, r.Body) {
		return c.refusal(r.ID, "an engagement attribute is neither ctmrinfo with info nor personal with personal", pageExamples)
	}
	owner.profile = r.Body
	return success(r.ID, replyMessage{msgProfileSet})
}

// validProfile wants each SDE as {"type":"ctmrinfo","info":{}} or {"type":"personal","personal":{}}: only those two
// are supported (Examples, engagement attributes).
func validProfile(f *inForce, body json.RawMessage) bool {
	var profile struct {
		AuthenticatedData struct {
			SDEs []struct {
				Type     string          `json:"type"`
				Info     json.RawMessage `json:"info"`
				Personal json.RawMessage `json:"personal"`
			} `json:"lp_sdes"`
		} `json:"authenticatedData"`
	}
	if json.Unmarshal(body, &profile) != nil {
		return false
	}
	if f.SDETypes == "any" {
		return true
	}
	for _, sde := range profile.AuthenticatedData.SDEs {
		if !(sde.Type == "ctmrinfo" && isObject(sde.Info)) && !(sde.Type == "personal" && isObject(sde.Personal)) {
			return false
		}
	}
	return true
}

type conversationRequest struct {
	BrandID     string          `json:"brandId"`
	ChannelType string          `json:"channelType"`
	TTR         *string         `json:"ttrDefName"`
	Campaign    json.RawMessage `json:"campaignInfo"`
	Context     json.RawMessage `json:"conversationContext"`
	SkillID     json.RawMessage `json:"skillId"`
}

// ttrs are the response times the samples show, by name.
var ttrs = map[string]TTR{"PRIORITIZED": {"PRIORITIZED", 600}, "NORMAL": {"NORMAL", 1200}, "URGENT": {"URGENT", 300}}

func (r *conversationRequest) valid(f *inForce, account string) bool {
	for _, field := range []*json.RawMessage{&r.Campaign, &r.Context, &r.SkillID} {
		if string(*field) == "null" {
			if f.NullOptionalFields == "reject" {
				return false
			}
			*field = nil
		}
	}
	if r.BrandID != account || r.ChannelType != "" && r.ChannelType != "MESSAGING" {
		return false
	}
	if r.TTR != nil && ttrs[*r.TTR].Type == "" && f.TTRNames == "listed" {
		return false
	}
	return (r.Campaign == nil || isObject(r.Campaign)) && (r.Context == nil || isObject(r.Context))
}

// skill is a string or a number; "-1" stands for all skills.
func (r *conversationRequest) skill() string {
	return orElse(strings.Trim(string(r.SkillID), `" `), "-1")
}

func (a *connectorAPI) requestConversation(c *call, owner *consumer, claims consumerClaims, features []string, r request) reply {
	var body conversationRequest
	if json.Unmarshal(r.Body, &body) != nil || !body.valid(c.faults, a.Account) {
		return c.refusal(r.ID, "brandId is not the account, or a field has a value that is not listed", pageConversation)
	}
	if busy(owner.current, c.faults) {
		c.because("the consumer has an open conversation", pageGuide)
		return refusal(r.ID, "Consumer request conversation failed: User "+claims.LPConsumerID+
			" already has open conversation. Can't open another one.")
	}
	fresh := newConversation(claims, features, a.Now())
	fresh.profile, fresh.campaign, fresh.context, fresh.skill = owner.profile, body.Campaign, body.Context, body.skill()
	if body.TTR != nil {
		fresh.ttr = orElse(ttrs[*body.TTR], TTR{*body.TTR, 3600})
	}
	owner.current = fresh
	a.messaging.begin(fresh, c)
	return success(r.ID, map[string]string{"conversationId": fresh.id})
}

func tooLong(c *call) bool {
	if c.faults.RequestLimitUnit == "bytes" {
		return len(c.body) > c.faults.RequestLimit
	}
	return len(c.body) > c.faults.RequestLimit && utf8.RuneCount(c.body) > c.faults.RequestLimit
}

func encodeReply(status int, r reply) answer {
	body, _ := json.Marshal(r)
	return jsonAnswer(status, body)
}
