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

// surveyRun is a survey in progress.
type surveyRun struct {
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
func (s *Sim) surveyPossible(c *conversation) bool {
	_, assigned := c.assigned()
	return s.config.Survey != nil && assigned && c.has("MULTI_DIALOG")
}

// startSurvey opens the survey dialog. One notification shows both the end of the main dialog and the new one.
func (s *Sim) startSurvey(c *conversation, survey *Survey, cause *call) {
	now := s.config.Now()
	bot := originator{uuid.NewString(), RoleAgent}
	d := &dialog{
		Dialog: Dialog{DialogID: surveyDialogID(), DialogType: dialogPCS, State: stateOpen, Created: now}, metaTs: c.touch(now),
		members: []Participant{{c.consumer.LPConsumerID, RoleConsumer, "ACTIVE"}, {bot.ID, RoleAgent, "ACTIVE"}, {uuid.NewString(), RoleReader, "ACTIVE"}},
	}
	c.dialogs = append(c.dialogs, d)
	c.members = append(c.members, d.members[1:]...)
	s.mu.Lock()
	s.dialogs[d.DialogID] = c
	s.mu.Unlock()
	c.survey = &surveyRun{survey: survey, dialog: d, bot: bot}
	if s.faults.Load().SurveyGreetingEarly {
		s.say(c, survey.Greeting)
		s.notifyConversation(c, cause)
	} else {
		s.notifyConversation(c, cause)
		s.say(c, survey.Greeting)
	}
	s.ask(c)
}

// surveyDialogID has the form of the published samples: 22 characters of base64url, not a UUID.
func surveyDialogID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (s *Sim) say(c *conversation, text string) {
	if text == "" {
		return
	}
	s.post(c, c.survey.dialog, Entry{
		Role: c.survey.bot.Role, OriginatorID: c.survey.bot.ID, Type: "ContentEvent", ContentType: "text/plain", Text: text, Audience: audienceAll,
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
func (s *Sim) ask(c *conversation) {
	run := c.survey
	q := run.question()
	if q == nil {
		s.say(c, run.survey.Thanks)
		s.endSurvey(c, RoleAgent, "Completed", nil)
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
		Role: run.bot.Role, OriginatorID: run.bot.ID, Type: "ContentEvent", ContentType: "text/plain", Text: q.Text,
		Audience: audienceAll, Metadata: metadata,
	}
	if len(replies) > 0 {
		entry.QuickReplies = quickReplies(replies)
		entry.QuickRepliesWithheld = s.withholds(c, "QUICK_REPLIES")
	}
	run.clicked = ""
	run.asked = s.post(c, run.dialog, entry, nil)
}

// clickSurvey checks an ACTION: it must name the present question and carry one reply's metadata as it was sent.
func (s *Sim) clickSurvey(c *conversation, sequences []int64, metadata json.RawMessage) bool {
	run := c.survey
	if run == nil || run.question() == nil || !slices.Contains(sequences, run.asked) {
		return false
	}
	for i := range run.question().Answers {
		want, _ := json.Marshal([]answerMetadata{{"Answer", run.question().ID, answerID(i), "AC"}})
		if sameJSON(want, metadata) {
			run.clicked = answerID(i)
			return true
		}
	}
	return false
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// answerSurvey lets the bot react to a consumer's text, after its thinking time.
func (s *Sim) answerSurvey(c *conversation, text string) {
	run := c.survey
	if run == nil {
		return
	}
	last := run.dialog.next - 1
	delay := time.Duration(s.faults.Load().SurveyBotDelayMs) * time.Millisecond
	s.agenda.after(delay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.survey == run {
			s.react(c, last, text)
		}
	})
}

func (s *Sim) react(c *conversation, read int64, text string) {
	run := c.survey
	s.post(c, run.dialog, Entry{
		Role: run.bot.Role, OriginatorID: run.bot.ID, Type: "AcceptStatusEvent", Status: "READ", SequenceList: []int64{read},
	}, nil)
	s.setChatState(c, run.dialog, run.bot, "COMPOSING", nil)
	if strings.EqualFold(strings.TrimSpace(text), "skip") {
		run.next = len(run.survey.Questions)
	} else if q := run.question(); q != nil && s.note(c, q, text) {
		run.next++
	}
	s.ask(c)
	s.setChatState(c, run.dialog, run.bot, "ACTIVE", nil)
}

// note records an answer. A text that is none of the offered answers is not one, and the question is asked again.
func (s *Sim) note(c *conversation, q *SurveyQuestion, text string) bool {
	i := slices.IndexFunc(q.Answers, func(a string) bool { return strings.EqualFold(a, strings.TrimSpace(text)) })
	if i < 0 && len(q.Answers) > 0 {
		return false
	}
	answer := SurveyAnswer{QuestionID: q.ID, Text: text}
	if i >= 0 {
		answer.AnswerID = answerID(i)
		answer.Clicked = c.survey.clicked == answer.AnswerID
	}
	c.answers = append(c.answers, answer)
	return true
}

// endSurvey closes the survey dialog and with it the conversation.
func (s *Sim) endSurvey(c *conversation, by, cause string, call *call) {
	if d := c.surveyDialog(); d != nil {
		s.endDialog(c, d, by, cause)
		c.survey = nil
		s.end(c, call)
	}
}
