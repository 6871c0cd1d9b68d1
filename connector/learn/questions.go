package learn

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/google/uuid"
)

// question is a request whose answer LivePerson's pages leave open.
type question struct {
	knob string
	ask  messaging
	// who asks, where it is not the consumer of the conversation.
	who   *speaker
	value func(a answer) any
}

func sending(body any) messaging { return messaging{path: "/send", body: body} }

// questions are those about one open conversation. bea is another consumer.
func (l *Learner) questions(id string, bea speaker) []question {
	nobody := ""
	acceptOrReject := func(a answer) any { return either(a.succeeded(), "accept", a.refused(), "reject") }
	return []question{
		{knob: "bearerPrefix", ask: messaging{path: "/send", body: event(id, state("ACTIVE")), change: func(h http.Header) {
			h.Set("Authorization", "Bearer "+h.Get("Authorization"))
		}}, value: acceptOrReject},
		{knob: "missingAppJwtCode", ask: messaging{path: "/send", body: event(id, state("ACTIVE")), change: func(h http.Header) {
			h.Del("Authorization")
		}}, value: oneOfCodes(40105, 40104)},
		{
			knob: "missingParameterStatus", ask: messaging{path: "/send", body: event(id, state("ACTIVE")), account: &nobody},
			value: func(a answer) any {
				return either(a.errorCode() == 40001 && a.status == 400, 400, a.errorCode() == 40001 && a.status == 401, 401)
			},
		},
		{knob: "batchErrorStatus", ask: messaging{body: []object{profile(), l.conversation(nil)}}, value: func(a answer) any {
			var replies []reply
			refused := json.Unmarshal(a.body, &replies) == nil && len(replies) > 1 && !replies[1].ok()
			return either(refused && a.status == 200, 200, refused && a.status == 400, 400)
		}},
		{knob: "sendErrorStatus", ask: sending(event(id, words(""))), value: func(a answer) any {
			return either(a.status == 200 && a.refused(), 200, a.status == 400 && a.refused(), 400)
		}},
		{knob: "unknownConversation", ask: sending(event(uuid.NewString(), words("test"))), value: func(a answer) any {
			switch {
			case !a.refused():
				return nil
			case a.status == http.StatusNotFound || a.reply().Code == "NOT_FOUND":
				return "not_found"
			case a.status == http.StatusUnauthorized:
				return "unauthorized"
			}
			return "bad_request"
		}},
		{knob: "foreignConversationCode", ask: sending(event(id, words("test"))), who: &bea, value: oneOfCodes(40102, 40103)},
		{
			knob:  "unknownSequence",
			ask:   sending(event(id, object{"type": "AcceptStatusEvent", "status": "ACCEPT", "sequenceList": []int{999_999}})),
			value: acceptOrReject,
		},
		{knob: "encodedMetadata", ask: sending(encoded(event(id, state("ACTIVE")))), value: acceptOrReject},
		{knob: "updateMessage", ask: sending(request("cm.UpdateConversationField", object{
			"conversationId": id, "conversationField": object{"field": "TTRField", "ttrType": "NORMAL", "value": 1200},
		})), value: plainMessage},
		{
			knob:  "consumerFileTypes",
			ask:   sending(request("ms.GenerateURLForUploadFile", object{"fileSize": 1000, "fileType": "PDF"})),
			value: func(a answer) any { return either(a.succeeded(), "documents", a.refused(), "pictures") },
		},
	}
}

func encoded(request object) object {
	request["encodedMetadata"] = base64.StdEncoding.EncodeToString([]byte("[]"))
	return request
}

func oneOfCodes(codes ...int) func(a answer) any {
	return func(a answer) any {
		for _, code := range codes {
			if a.errorCode() == code {
				return code
			}
		}
		return nil
	}
}

// wordsOnly is a message that can hold nobody's data.
var wordsOnly = regexp.MustCompile(`^[A-Za-z ,.]{1,80}$`)

// plainMessage is what LivePerson says of a change.
func plainMessage(a answer) any {
	var body struct {
		Msg string `json:"msg"`
	}
	if !a.succeeded() || json.Unmarshal(a.reply().Body, &body) != nil || !wordsOnly.MatchString(body.Msg) {
		return nil
	}
	return body.Msg
}
