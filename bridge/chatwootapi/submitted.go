package chatwootapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"lpbridge/bridge"
)

// submitMessage answers PATCH of a message: the contact's answer to a choice, a
// form or a survey.
func (a *ChatwootAPI) submitMessage(ctx context.Context, c *call) (any, error) {
	f, err := a.locate(ctx, c)
	if err != nil {
		return nil, err
	}
	m, err := a.submit(ctx, f, parseID(c.PathValue("message")), c.params)
	if err != nil {
		return nil, err
	}
	return a.messageBody(m, f.visitor.contact), nil
}

// submissions takes what contacts choose, fill in and rate, in the app or on the
// survey's page.
type submissions struct {
	*store
	*answers
	*people
	*history
}

// submit stores the submitted values of a message and tells LivePerson what
// they mean. The same values again change nothing.
func (a *submissions) submit(ctx context.Context, f *found, id int64, given params) (*message, error) {
	values, submitted := submittedValues(given["submitted_values"])
	s := submission{id: id, values: values, submitted: submitted}
	m, err := a.keepSubmission(ctx, f, s)
	if _, refused := errors.AsType[*bridge.FieldError](err); refused {
		// The bridge no longer knows what was offered. What choosing it says is
		// the contact's word all the same.
		a.log.InfoContext(ctx, "a choice came too late for LivePerson", "thread", f.thread.ID, "error", err)
		s.late = true
		m, err = a.keepSubmission(ctx, f, s)
	}
	return m, err
}

// submission is an answer to a message. late says that LivePerson can no longer
// be told which reply was chosen, only what it says.
type submission struct {
	id        int64
	values    any
	submitted bool
	late      bool
}

func (a *submissions) keepSubmission(ctx context.Context, f *found, s submission) (m *message, err error) {
	err = a.inThread(ctx, f.visitor, f.thread.ID, func(t *transaction) error {
		if m, err = a.messageOf(ctx, t.thread, s.id); err != nil || !s.submitted {
			return err
		}
		if m.ContentType == contentCSAT && surveyLocked(m.Created, t.now) {
			return errSurveyLocked
		}
		before := *m
		if sameJSON(m.Attributes["submitted_values"], s.values) {
			return nil
		}
		m.Attributes = maps.Clone(orEmpty(m.Attributes))
		m.Attributes["submitted_values"] = s.values
		m.Submissions++
		t.changeMessage(&before, m)
		t.reportChoice(m, s)
		return a.rate(ctx, t, m, s.values)
	})
	return m, err
}

// messageOf returns a message of a conversation.
func (a *store) messageOf(ctx context.Context, t *conversation, id int64) (*message, error) {
	m, err := kindMessage.Get(ctx, a.records, id)
	if err == nil && m.Conversation != t.ID {
		err = errNotFound
	}
	return m, err
}

// submittedValues keeps what Chatwoot permits of an answer: an object or an
// array of objects with a few members.
func submittedValues(v any) (values any, submitted bool) {
	switch v := v.(type) {
	case map[string]any:
		return permitted(v), true
	case []any:
		kept := []any{}
		for _, item := range v {
			if m, ok := item.(map[string]any); ok {
				kept = append(kept, permitted(m))
			}
		}
		return kept, true
	}
	return nil, false
}

func permitted(m map[string]any) map[string]any {
	out := keepScalars(m, "name", "title", "value")
	if survey, ok := m["csat_survey_response"].(map[string]any); ok {
		out["csat_survey_response"] = keepScalars(survey, "feedback_message", "rating")
	}
	return out
}

func keepScalars(m map[string]any, names ...string) map[string]any {
	out := map[string]any{}
	for _, name := range names {
		v, given := m[name]
		if _, ok := scalar(v); ok || given && v == nil {
			out[name] = v
		}
	}
	return out
}

// sameJSON says whether two values read the same in JSON.
func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// reportChoice tells LivePerson which reply was chosen, or what it says.
func (t *transaction) reportChoice(m *message, s submission) {
	if m.Event == "" {
		return
	}
	for _, v := range objects(s.values) {
		reply := chosen(m.Replies, v)
		if reply == nil {
			continue
		}
		said, onlySaid := strings.CutPrefix(reply.ID, saidPrefix)
		if onlySaid || s.late {
			said = cmp.Or(reply.Text, reply.Title, said)
			t.report(eventID("said", m.ID, int64(m.Submissions)), bridge.KindMessage).Message = &bridge.Message{Text: said}
			return
		}
		t.report(eventID("click", m.ID, int64(m.Submissions)), bridge.KindClick).Click = &bridge.Click{MessageID: m.Event, ReplyID: reply.ID}
		return
	}
}

func objects(values any) []map[string]any {
	switch v := values.(type) {
	case map[string]any:
		return []map[string]any{v}
	case []any:
		var out []map[string]any
		for _, item := range v {
			if m, ok := item.(map[string]any); ok {
				out = append(out, m)
			}
		}
		return out
	}
	return nil
}

// chosen returns the reply that a submitted item means, by the value it was
// offered with, else by its title or id; nil when it means none.
func chosen(replies []bridge.QuickReply, item map[string]any) *bridge.QuickReply {
	value, _ := scalar(item["value"])
	title, _ := scalar(item["title"])
	for _, means := range []func(bridge.QuickReply) bool{
		func(r bridge.QuickReply) bool { return value == choiceValue(replies, r) },
		func(r bridge.QuickReply) bool { return title != "" && (title == r.Label || title == r.Title) },
		func(r bridge.QuickReply) bool { return value != "" && (value == r.ID || value == r.Title) },
	} {
		if i := slices.IndexFunc(replies, means); i >= 0 {
			return &replies[i]
		}
	}
	return nil
}

// rate keeps the rating in an answer to a satisfaction survey and tells
// LivePerson. A rating that is none is kept as submitted only, as Chatwoot does, and
// counted.
func (a *submissions) rate(ctx context.Context, t *transaction, m *message, values any) error {
	if m.ContentType != contentCSAT {
		return nil
	}
	for _, v := range objects(values) {
		response, _ := v["csat_survey_response"].(map[string]any)
		score, feedback, ok := readRating(response)
		if !ok {
			if response != nil {
				a.core.LeftOut("rating_unreadable")
			}
			continue
		}
		if err := a.keepRating(ctx, t, m, score, feedback); err != nil {
			return err
		}
		comment := ""
		if feedback != nil {
			comment = *feedback
		}
		t.report(eventID("rating", m.ID, int64(m.Submissions)), bridge.KindRating).Rating = &bridge.Rating{Score: score, Comment: comment}
		return nil
	}
	return nil
}

func readRating(response map[string]any) (score int, feedback *string, ok bool) {
	text, _ := scalar(response["rating"])
	if score, ok = bridge.ParseScore(text); !ok {
		return 0, nil, false
	}
	if s, given := scalar(response["feedback_message"]); given {
		feedback = &s
	}
	return score, feedback, true
}

func (a *submissions) keepRating(ctx context.Context, t *transaction, m *message, score int, feedback *string) error {
	next := &rating{Score: score, Feedback: feedback, Assignee: t.thread.Assignee, Created: t.now, Updated: t.now}
	if m.Rating != nil {
		next.ID, next.Created = m.Rating.ID, m.Rating.Created
	} else {
		id, err := a.records.NextID(ctx, kindRating)
		if err != nil {
			return err
		}
		next.ID = id
	}
	m.Rating = next
	return nil
}
