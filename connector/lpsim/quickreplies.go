package lpsim

import (
	"encoding/json"

	"github.com/google/uuid"
)

// quickReply is one button below a message (Quick Replies Template).
type quickReply struct {
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Tooltip string          `json:"tooltip"`
	Click   quickReplyClick `json:"click"`
}

type quickReplyClick struct {
	Actions  []map[string]string `json:"actions"`
	Metadata []any               `json:"metadata"`
}

const maxQuickReplies = 24

func newQuickReply(title, publish string, metadata any) quickReply {
	return quickReply{"button", title, title, quickReplyClick{[]map[string]string{{"type": "publishText", "text": publish}}, []any{metadata}}}
}

func quickReplies(replies []quickReply) json.RawMessage {
	data, _ := json.Marshal(struct {
		Type        string       `json:"type"`
		ItemsPerRow int          `json:"itemsPerRow"`
		Replies     []quickReply `json:"replies"`
	}{"quickReplies", 8, replies})
	return data
}

// readQuickReplies takes LivePerson's object as it is, or makes one from a list of titles.
func readQuickReplies(data json.RawMessage) (json.RawMessage, error) {
	var object struct {
		Type    string            `json:"type"`
		Replies []json.RawMessage `json:"replies"`
	}
	if isObject(data) {
		if json.Unmarshal(data, &object) != nil || object.Type != "quickReplies" || len(object.Replies) < 1 || len(object.Replies) > maxQuickReplies {
			return nil, &FieldError{"quickReplies", "want type quickReplies and 1 to 24 replies"}
		}
		return data, nil
	}
	var titles []string
	if json.Unmarshal(data, &titles) != nil || len(titles) < 1 || len(titles) > maxQuickReplies {
		return nil, &FieldError{"quickReplies", "want an object or a list of 1 to 24 titles"}
	}
	var replies []quickReply
	for _, title := range titles {
		id := map[string]string{"type": "ExternalId", "id": "reply-" + uuid.NewString()[:8]}
		replies = append(replies, newQuickReply(title, title, id))
	}
	return quickReplies(replies), nil
}
