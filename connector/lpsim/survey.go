package lpsim

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Survey is a post-conversation survey (Post Conversation Survey).
type Survey struct {
	Greeting  string           `json:"greeting"`
	Questions []SurveyQuestion `json:"questions"`
	Thanks    string           `json:"thanks"`
}

// SurveyQuestion is asked with one quick reply for each answer, or as an open question when there are none.
type SurveyQuestion struct {
	ID      string   `json:"id"`
	Text    string   `json:"text"`
	Answers []string `json:"answers"`
}

// DefaultSurvey asks for a rating and whether the issue was resolved.
func DefaultSurvey() *Survey {
	return &Survey{
		Greeting: "Please take a moment to answer two questions. Write skip to leave.",
		Questions: []SurveyQuestion{
			{"csat", "How satisfied are you with our service?", []string{"1", "2", "3", "4", "5"}},
			{"fcr", "Was your issue resolved?", []string{"Yes", "No"}},
		},
		Thanks: "Thank you for your feedback!",
	}
}

// surveyRun is a survey in progress and the bot that leads it. The conversation's lock guards it.
type surveyRun struct {
	messaging    *messaging
	conversation *conversation

	survey  *Survey
	dialog  *dialog
	bot     originator
	next    int   // index of the question that is asked
	asked   int64 // its sequence
	clicked string
}

func (r *surveyRun) question() *SurveyQuestion {
	if r.next >= len(r.survey.Questions) {
		return nil
	}
	return &r.survey.Questions[r.next]
}

// surveyPossible tells whether a survey can follow: the account has one, the conversation is assigned, and the
// consumer's client declared MULTI_DIALOG.
func (m *messaging) surveyPossible(c *conversation) bool {
	_, assigned := c.assigned()
	return m.Survey != nil && assigned && c.has("MULTI_DIALOG")
}

// startSurvey opens the survey dialog. One notification shows both the end of the main dialog and the new one.
func (m *messaging) startSurvey(c *conversation, survey *Survey, cause *call) {
	now := m.Now()
	bot := originator{uuid.NewString(), RoleAgent}
	d := &dialog{
		Dialog: Dialog{DialogID: surveyDialogID(), DialogType: dialogPCS, State: stateOpen, Created: now}, metaTs: c.touch(now),
		members: []Participant{{c.consumer.LPConsumerID, RoleConsumer, "ACTIVE"}, {bot.ID, RoleAgent, "ACTIVE"}, {uuid.NewString(), RoleReader, "ACTIVE"}},
	}
	c.dialogs = append(c.dialogs, d)
	c.members = append(c.members, d.members[1:]...)
	m.registry.addDialog(d.DialogID, c)
	run := &surveyRun{messaging: m, conversation: c, survey: survey, dialog: d, bot: bot}
	c.survey = run
	if m.faults().SurveyGreetingEarly {
		run.say(survey.Greeting)
		m.tell.conversation(c, cause)
	} else {
		m.tell.conversation(c, cause)
		run.say(survey.Greeting)
	}
	run.ask()
}

// surveyDialogID has the form of the published samples: 22 characters of base64url, not a UUID.
func surveyDialogID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (r *surveyRun) say(text string) {
	if text == "" {
		return
	}
	r.messaging.post(r.conversation, r.dialog, Entry{
		Role: r.bot.Role, OriginatorID: r.bot.ID, Type: "ContentEvent", ContentType: "text/plain", Text: text, Audience: audienceAll,
	}, nil)
}

type answerMetadata struct {
	Type       string `json:"type"`
	QuestionID string `json:"questionId"`
	ID         string `json:"id"`
	Provider   string `json:"provider"`
}

func answerID(i int) string { return "a" + strconv.Itoa(i+1) }

// ask sends the present question with a quick reply for each answer.
func (r *surveyRun) ask() {
	q := r.question()
	if q == nil {
		r.say(r.survey.Thanks)
		r.messaging.endSurvey(r.conversation, RoleAgent, "Completed", nil)
		return
	}
	var replies []quickReply
	var ids []string
	for i, text := range q.Answers {
		ids = append(ids, answerID(i))
		replies = append(replies, newQuickReply(text, text, answerMetadata{"Answer", q.ID, answerID(i), "AC"}))
	}
	metadata, _ := json.Marshal([]map[string]any{
		{"type": "Question", "id": q.ID, "surveyId": "499706313", "provider": "AC", "replies": nonNil(ids)},
	})
	entry := Entry{
		Role: r.bot.Role, OriginatorID: r.bot.ID, Type: "ContentEvent", ContentType: "text/plain", Text: q.Text,
		Audience: audienceAll, Metadata: metadata,
	}
	if len(replies) > 0 {
		entry.QuickReplies = quickReplies(replies)
		entry.QuickRepliesWithheld = r.messaging.withholds(r.conversation, "QUICK_REPLIES")
	}
	r.clicked = ""
	r.asked = r.messaging.post(r.conversation, r.dialog, entry, nil)
}

// click checks an ACTION: it must name the present question and carry one reply's metadata as it was sent. Without a
// survey there is nothing to click.
func (r *surveyRun) click(sequences []int64, metadata json.RawMessage) bool {
	if r == nil || r.question() == nil || !slices.Contains(sequences, r.asked) {
		return false
	}
	for i := range r.question().Answers {
		want, _ := json.Marshal([]answerMetadata{{"Answer", r.question().ID, answerID(i), "AC"}})
		if sameJSON(want, metadata) {
			r.clicked = answerID(i)
			return true
		}
	}
	return false
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// hear lets the bot react to a consumer's text, after its thinking time, if there is a survey.
func (r *surveyRun) hear(text string) {
	if r == nil {
		return
	}
	last, c := r.dialog.next-1, r.conversation
	delay := time.Duration(r.messaging.faults().SurveyBotDelayMs) * time.Millisecond
	r.messaging.agenda.after(delay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.survey == r {
			r.react(last, text)
		}
	})
}

func (r *surveyRun) react(read int64, text string) {
	r.messaging.post(r.conversation, r.dialog, Entry{
		Role: r.bot.Role, OriginatorID: r.bot.ID, Type: "AcceptStatusEvent", Status: "READ", SequenceList: []int64{read},
	}, nil)
	r.messaging.setChatState(r.conversation, r.dialog, r.bot, "COMPOSING", nil)
	if strings.EqualFold(strings.TrimSpace(text), "skip") {
		r.next = len(r.survey.Questions)
	} else if q := r.question(); q != nil && r.note(q, text) {
		r.next++
	}
	r.ask()
	r.messaging.setChatState(r.conversation, r.dialog, r.bot, "ACTIVE", nil)
}

// note records an answer. A text that is none of the offered answers is not one, and the question is asked again.
func (r *surveyRun) note(q *SurveyQuestion, text string) bool {
	i := slices.IndexFunc(q.Answers, func(a string) bool { return strings.EqualFold(a, strings.TrimSpace(text)) })
	if i < 0 && len(q.Answers) > 0 {
		return false
	}
	answer := SurveyAnswer{QuestionID: q.ID, Text: text}
	if i >= 0 {
		answer.AnswerID = answerID(i)
		answer.Clicked = r.clicked == answer.AnswerID
	}
	r.conversation.answers = append(r.conversation.answers, answer)
	return true
}

// endSurvey closes the survey dialog and with it the conversation.
func (m *messaging) endSurvey(c *conversation, by, cause string, call *call) {
	if d := c.surveyDialog(); d != nil {
		m.endDialog(c, d, by, cause)
		c.survey = nil
		m.end(c, call)
	}
}
