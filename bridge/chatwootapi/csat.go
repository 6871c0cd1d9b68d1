package chatwootapi

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"time"

	"lpbridge/bridge"
)

// What the survey looks like.
const (
	csatText    = "Please rate this conversation"
	csatDisplay = "emoji"
)

// csatDays is how many days a survey can be answered.
const csatDays = 14

// csatBody is the survey of a conversation. ConversationID is the database id
// with Chatwoot; there is one number for both here.
type csatBody struct {
	ID             int64         `json:"id"`
	Response       *csatResponse `json:"csat_survey_response"`
	DisplayType    string        `json:"display_type"`
	Content        *string       `json:"content"`
	InboxAvatarURL string        `json:"inbox_avatar_url"`
	InboxName      string        `json:"inbox_name"`
	Locale         string        `json:"locale"`
	ConversationID int64         `json:"conversation_id"`
	CreatedAt      string        `json:"created_at"`
}

type csatResponse struct {
	ID             int64   `json:"id"`
	AccountID      int     `json:"account_id"`
	ConversationID int64   `json:"conversation_id"`
	MessageID      int64   `json:"message_id"`
	Rating         int     `json:"rating"`
	Feedback       *string `json:"feedback_message"`
	ContactID      int64   `json:"contact_id"`
	AgentID        *int64  `json:"assigned_agent_id"`
	CreatedAt      string  `json:"created_at"`
	UpdatedAt      string  `json:"updated_at"`
	ReviewNotes    *string `json:"csat_review_notes"`
	ReviewedAt     *string `json:"review_notes_updated_at"`
	ReviewedBy     *int64  `json:"review_notes_updated_by_id"`
}

func (a *submissions) csatBody(m *message, p *visitor) csatBody {
	out := csatBody{
		ID: m.ID, DisplayType: csatDisplay, InboxName: a.cfg.InboxName, Locale: "en", ConversationID: m.Conversation,
		CreatedAt: iso(m.Created),
	}
	if r := m.Rating; r != nil {
		out.Response = &csatResponse{
			ID: r.ID, AccountID: accountID, ConversationID: m.Conversation, MessageID: m.ID, Rating: r.Score, Feedback: r.Feedback,
			ContactID: p.contact.ID, AgentID: numberOrNull(r.Assignee), CreatedAt: iso(r.Created), UpdatedAt: iso(r.Updated),
		}
	}
	return out
}

// surveyOf returns the conversation with the uuid and its survey's message.
func (a *submissions) surveyOf(ctx context.Context, id string) (*found, *message, error) {
	if len(id) > maxShortText {
		return nil, nil, errNotFound
	}
	t, err := kindConversation.Find(ctx, a.records, keyUUID+id)
	if err != nil {
		return nil, nil, err
	}
	if t.CSAT == 0 {
		return nil, nil, errNotFound
	}
	p, err := a.visitor(ctx, t.key())
	if err != nil {
		return nil, nil, err
	}
	m, err := a.messageOf(ctx, t, t.CSAT)
	return &found{t, p}, m, err
}

// showCSAT answers GET of a survey.
func (a *submissions) showCSAT(ctx context.Context, c *call) (any, error) {
	f, m, err := a.surveyOf(ctx, c.PathValue("uuid"))
	if err != nil {
		return nil, err
	}
	return a.csatBody(m, f.visitor), nil
}

// submitCSAT answers PATCH of a survey.
func (a *submissions) submitCSAT(ctx context.Context, c *call) (any, error) {
	f, m, err := a.surveyOf(ctx, c.PathValue("uuid"))
	if err != nil {
		return nil, err
	}
	if surveyLocked(m.Created, time.Now()) {
		return nil, errSurveyLocked
	}
	given, _ := c.params["message"].(map[string]any)
	if m, err = a.submit(ctx, f, m.ID, given); err != nil {
		return nil, err
	}
	return a.csatBody(m, f.visitor), nil
}

// surveyLocked counts calendar days, as Chatwoot does.
func surveyLocked(sent, now time.Time) bool {
	const day = 24 * time.Hour
	return now.UTC().Truncate(day).Sub(sent.UTC().Truncate(day)) > csatDays*day
}

// surveyView is what the page shows.
type surveyView struct {
	Inbox    string
	Message  string
	Form     bool
	Choices  []surveyChoice
	Feedback string
}

type surveyChoice struct {
	Score   int
	Label   string
	Checked bool
}

// maxFeedback keeps a form filled in by hand within what a message may have.
const maxFeedback = 5000

// write writes the page. It is put together by hand: html/template calls methods by
// names the linker does not know, which keeps every exported method of every type in
// the program.
func (v surveyView) write(w io.Writer) error {
	var b strings.Builder
	text := html.EscapeString
	fmt.Fprintf(&b, surveyHead, text(v.Inbox), text(v.Inbox))
	if v.Message != "" {
		fmt.Fprintf(&b, "<p role=\"status\">%s</p>\n", text(v.Message))
	}
	if v.Form {
		b.WriteString(surveyFormHead)
		for _, c := range v.Choices {
			checked := ""
			if c.Checked {
				checked = " checked"
			}
			fmt.Fprintf(&b, "<label><input type=\"radio\" name=\"rating\" value=\"%d\" required%s> %s</label>\n", c.Score, checked, text(c.Label))
		}
		fmt.Fprintf(&b, surveyFormTail, text(v.Feedback))
	}
	b.WriteString("</main>\n</body>\n</html>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

const surveyHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>%s: survey</title>
<style>
body{font-family:system-ui,sans-serif;line-height:1.5;max-width:34rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
fieldset{border:1px solid #767676;border-radius:.5rem;margin:0 0 1rem}
label{display:block;padding:.4rem 0}
textarea{width:100%%;box-sizing:border-box;font:inherit}
button{font:inherit;padding:.6rem 1.2rem}
:focus-visible{outline:3px solid #1f5fbf;outline-offset:2px}
</style>
</head>
<body>
<main>
<h1>%s</h1>
`

const surveyFormHead = `<form method="post">
<fieldset>
<legend>How do you rate this conversation?</legend>
`

const surveyFormTail = `</fieldset>
<p><label for="feedback">Anything you want to add (optional)</label>
<textarea id="feedback" name="feedback_message" rows="4" maxlength="5000">%s</textarea></p>
<p><button type="submit">Send</button></p>
</form>
`

// showSurvey answers GET of the page a person can rate a conversation on. It is
// 200 for any uuid, as with Chatwoot.
func (a *submissions) showSurvey(w http.ResponseWriter, r *http.Request) {
	_, m, err := a.surveyOf(r.Context(), r.PathValue("uuid"))
	if err != nil {
		a.surveyFailed(w, r, err)
		return
	}
	a.writeSurvey(w, r, http.StatusOK, a.surveyForm(m, ""))
}

// fillSurvey answers the page's own form, which works without script.
func (a *submissions) fillSurvey(w http.ResponseWriter, r *http.Request) {
	f, m, err := a.surveyOf(r.Context(), r.PathValue("uuid"))
	if err != nil {
		a.surveyFailed(w, r, err)
		return
	}
	given, err := readParams(w, r, 0)
	if err != nil {
		a.surveyFailed(w, r, err)
		return
	}
	view := a.surveyForm(m, "")
	if !view.Form {
		a.writeSurvey(w, r, http.StatusUnprocessableEntity, view)
		return
	}
	response := keepScalars(given, "rating", "feedback_message")
	if _, feedback, ok := readRating(response); !ok || feedback != nil && len(*feedback) > 4*maxFeedback {
		a.writeSurvey(w, r, http.StatusUnprocessableEntity, a.surveyForm(m, "Please choose one of the five ratings."))
		return
	}
	values := params{"submitted_values": map[string]any{"csat_survey_response": response}}
	if m, err = a.submit(r.Context(), f, m.ID, values); err != nil {
		a.surveyFailed(w, r, err)
		return
	}
	a.writeSurvey(w, r, http.StatusOK, a.surveyForm(m, "Thank you. Your rating was sent; you can still change it."))
}

// surveyForm is the form, filled with the answer given before, or a word that
// it is too late.
func (a *submissions) surveyForm(m *message, note string) surveyView {
	if surveyLocked(m.Created, time.Now()) {
		return surveyView{Inbox: a.cfg.InboxName, Message: "This survey is closed."}
	}
	view := surveyView{Inbox: a.cfg.InboxName, Message: note, Form: true}
	for i, label := range []string{"1 – very bad", "2 – bad", "3 – okay", "4 – good", "5 – very good"} {
		view.Choices = append(view.Choices, surveyChoice{Score: i + 1, Label: label, Checked: m.Rating != nil && m.Rating.Score == i+1})
	}
	if m.Rating != nil && m.Rating.Feedback != nil {
		view.Feedback = *m.Rating.Feedback
	}
	return view
}

func (a *submissions) surveyFailed(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusOK, "There is no survey here."
	if ref := a.refusalOf(r.Context(), err, pathSurvey); !errors.Is(err, bridge.ErrNoRecord) && ref.status != http.StatusNotFound {
		status, text = ref.status, "This did not work. Please try again later."
	}
	a.writeSurvey(w, r, status, surveyView{Inbox: a.cfg.InboxName, Message: text})
}

func (a *submissions) writeSurvey(w http.ResponseWriter, r *http.Request, status int, view surveyView) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'")
	w.WriteHeader(status)
	if err := view.write(w); err != nil {
		a.log.DebugContext(r.Context(), "survey page not written", "error", err)
	}
}
