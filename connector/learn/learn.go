package learn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"lpbridge/connector"
	"lpbridge/lpauth"
)

// Announcement says what an agent will see.
const Announcement = `Up to six short conversations of test consumers come into the account's queue and are closed again at once; the last
one stays open for a few seconds and brings messages that say they are a test, one of them 5000 characters long. Two
requests for tokens are wrong on purpose. Nothing else of the account is read or changed. Interrupt it and it closes what
it opened first; kill it and an agent has to close the last one.`

// Options say which account, and how to speak for it.
type Options struct {
	AccountID connector.AccountID
	ClientID  string
	// DomainAPI is the address of the domain API, without a final slash.
	DomainAPI string
	Domains   connector.Domains
	AppTokens connector.AppTokens
	Consumers connector.Consumers
	// Transport carries all requests; nil means lpauth.NewTransport with defaults.
	Transport http.RoundTripper
	// UserAgent may be empty for lpauth.DefaultUserAgent.
	UserAgent string
}

// Learner asks one account.
type Learner struct {
	opts   Options
	report Report
	// left are the conversations still to be closed, and whose they are.
	left map[string]speaker
}

// Report is what was learnt. It holds no secret, no id and no text.
type Report struct {
	// Faults are the simulator's knobs that follow, as PUT /sim/faults and LPSIM_FAULTS take them.
	Faults map[string]any `json:"faults"`
	// Findings are what each knob rests on, in the order they were asked.
	Findings []Finding `json:"findings"`
}

// Finding is one question and its answer.
type Finding struct {
	Knob string `json:"knob"`
	// Value is empty where the answer settles nothing.
	Value any `json:"value,omitempty"`
	// Status is the HTTP status, and Code LivePerson's code of a refusal, if there was one.
	Status int `json:"status,omitempty"`
	Code   int `json:"errorCode,omitempty"`
	// Unsettled says why nothing is known.
	Unsettled string `json:"unsettled,omitempty"`
}

// New checks nothing and asks nothing yet.
func New(o Options) *Learner {
	if o.Transport == nil {
		o.Transport = lpauth.NewTransport(lpauth.TransportOptions{})
	}
	if o.UserAgent == "" {
		o.UserAgent = lpauth.DefaultUserAgent
	}
	return &Learner{opts: o, report: Report{Faults: map[string]any{}}, left: map[string]speaker{}}
}

// Run asks everything, which takes some seconds. What could not be asked is said in the report; the error is one that
// keeps all of it from being asked, or a conversation that could not be closed. When ctx ends, what is open is closed
// before Run returns.
func (l *Learner) Run(ctx context.Context) (Report, error) {
	err := l.ask(ctx)
	return l.report, errors.Join(err, l.closeLeft(ctx))
}

func (l *Learner) ask(ctx context.Context) error {
	ana, err := l.speaker(ctx)
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	bea, err := l.speaker(ctx)
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	l.askDomains(ctx)
	l.askTokens(ctx)
	if err := l.askOpenings(ctx, ana); err != nil {
		return err
	}
	return l.askConversation(ctx, ana, bea)
}

// found notes an answer; no value means that it settles nothing.
func (l *Learner) found(knob string, a answer, value any) {
	f := Finding{Knob: knob, Value: value, Status: a.status, Code: a.errorCode()}
	if value == nil {
		f.Unsettled = "the answer is none of those known"
	} else {
		l.report.Faults[knob] = value
	}
	l.report.Findings = append(l.report.Findings, f)
}

// failed notes a question that got no answer.
func (l *Learner) failed(knob, why string) {
	l.report.Findings = append(l.report.Findings, Finding{Knob: knob, Unsettled: why})
}

// either is a value that depends on a condition, where one of two holds.
func either(yes bool, ifYes any, no bool, ifNo any) any {
	switch {
	case yes:
		return ifYes
	case no:
		return ifNo
	}
	return nil
}

func (l *Learner) askDomains(ctx context.Context) {
	look := func(service string) (answer, error) {
		at := l.opts.DomainAPI + "/api/account/" + string(l.opts.AccountID) + "/service/" + service + "/baseURI.json?version=1.0"
		return l.call(ctx, http.MethodGet, at, nil, http.Header{})
	}
	var form struct {
		BaseURI  string            `json:"baseURI"`
		BaseURIs []json.RawMessage `json:"baseURIs"`
	}
	if a, err := look(lpauth.ServiceSentinel); err != nil {
		l.failed("domainSingleForm", err.Error())
	} else {
		_ = json.Unmarshal(a.body, &form)
		l.found("domainSingleForm", a, either(form.BaseURI != "", "object", len(form.BaseURIs) > 0, "list"))
	}
	a, err := look("noSuchService")
	if err != nil {
		l.failed("domainUnknownService", err.Error())
		return
	}
	values := map[int]any{http.StatusNotFound: "404", http.StatusBadRequest: "400", http.StatusOK: "empty"}
	if a.page() {
		values = nil
	}
	l.found("domainUnknownService", a, values[a.status])
}

// askTokens asks for tokens with a wrong secret and with a wrong token.
func (l *Learner) askTokens(ctx context.Context) {
	const wrong = "wrong-on-purpose"
	if base, err := l.opts.Domains.BaseURL(ctx, lpauth.ServiceSentinel); err != nil {
		l.failed("oauthErrorForm", err.Error())
	} else {
		at := base + "/sentinel/api/account/" + string(l.opts.AccountID) + "/app/token?v=1.0&grant_type=client_credentials"
		body := "client_id=" + l.opts.ClientID + "&client_secret=" + wrong
		a, err := l.call(ctx, http.MethodPost, at, []byte(body), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
		if err != nil {
			l.failed("oauthErrorForm", err.Error())
		} else {
			l.found("oauthErrorForm", a, tokenErrorForm(a))
			known := tokenErrorForm(a) != nil
			l.found("oauthErrorStatus", a, either(known && a.status == 400, 400, known && a.status == 401, 401))
		}
	}
	base, err := l.opts.Domains.BaseURL(ctx, lpauth.ServiceIDP)
	if err != nil {
		l.failed("idpErrorForm", err.Error())
		return
	}
	at := base + "/api/account/" + string(l.opts.AccountID) + "/consumer?v=1.0"
	a, err := l.call(ctx, http.MethodPost, at, []byte(`{"ext_consumer_id":"lpbridge-learn"}`),
		http.Header{"Content-Type": {"application/json"}, "Authorization": {wrong}})
	if err != nil {
		l.failed("idpErrorForm", err.Error())
		return
	}
	l.found("idpErrorForm", a, tokenErrorForm(a))
}

func tokenErrorForm(a answer) any {
	var form struct {
		Error    string `json:"error"`
		Internal string `json:"internalErrorCode"`
	}
	_ = json.Unmarshal(a.body, &form)
	return either(form.Error != "", "rfc6749", form.Internal != "", "internal")
}

// opening is a way to ask for a conversation that is not quite as the page says.
type opening struct {
	knob, taken, not string
	batch            func() []object
	change           func(http.Header)
	// by tells from the replies whether it was taken; nil means that a conversation was opened.
	by func(a answer, replies []reply) (taken, known bool)
}

func (l *Learner) openings() []opening {
	plain := func(fields object) func() []object {
		return func() []object { return []object{profile(), l.conversation(fields)} }
	}
	return []opening{
		{
			knob: "sdeTypes", taken: "any", not: "documented",
			batch: func() []object {
				return []object{profile(object{"type": "cart", "cart": object{"total": 1}}), l.conversation(nil)}
			},
			by: func(_ answer, replies []reply) (taken, known bool) {
				if len(replies) == 0 {
					return false, false
				}
				return replies[0].ok(), true
			},
		},
		{knob: "nullOptionalFields", taken: "accept", not: "reject", batch: plain(object{"campaignInfo": nil, "conversationContext": nil, "skillId": nil})},
		{knob: "ttrNames", taken: "any", not: "listed", batch: plain(object{"ttrDefName": "CUSTOM"})},
		{
			knob: "longBatch", taken: "accept", not: "reject",
			batch: func() []object {
				first := request("ms.PublishEvent", object{"event": words("This is a test of lpbridge, please ignore it.")})
				return []object{profile(), l.conversation(nil), first}
			},
			by: func(a answer, replies []reply) (taken, known bool) {
				return len(replies) == 3 && replies[2].ok(), len(replies) > 1 || a.refused()
			},
		},
		{
			knob: "clientPropertiesForm", taken: "ignore", not: "strict", batch: plain(nil),
			change: func(h http.Header) { h.Set("Client-Properties", "not json") },
		},
	}
}

// askOpenings opens conversations in doubtful ways, and closes those that were opened.
func (l *Learner) askOpenings(ctx context.Context, who speaker) error {
	for _, o := range l.openings() {
		if err := ctx.Err(); err != nil {
			return err
		}
		a, replies, err := l.open(ctx, who, o.batch(), o.change)
		if err != nil {
			l.failed(o.knob, err.Error())
			continue
		}
		id := opened(replies)
		taken, known := id != "", id != "" || a.refused() || len(replies) > 0
		if o.by != nil {
			taken, known = o.by(a, replies)
		}
		l.found(o.knob, a, either(known && taken, o.taken, known && !taken, o.not))
		if o.knob == "sdeTypes" && known && !taken {
			l.found("batchAfterError", a, either(id != "", "attempt", true, "skip"))
		}
		if id == "" {
			continue
		}
		if err := l.close(ctx, who, id); err != nil {
			return err
		}
	}
	return nil
}

// askConversation asks what can be asked in a conversation, and closes it.
func (l *Learner) askConversation(ctx context.Context, ana, bea speaker) error {
	_, replies, err := l.open(ctx, ana, []object{profile(), l.conversation(nil)}, nil)
	if err != nil {
		return fmt.Errorf("open a conversation: %w", err)
	}
	id := opened(replies)
	if id == "" {
		return errors.New("open a conversation: LivePerson opened none")
	}
	for _, q := range l.questions(id, bea) {
		if err := ctx.Err(); err != nil {
			return err
		}
		who := ana
		if q.who != nil {
			who = *q.who
		}
		a, err := l.message(ctx, who, q.ask)
		if err != nil {
			l.failed(q.knob, err.Error())
			continue
		}
		l.found(q.knob, a, q.value(a))
	}
	l.askLimit(ctx, ana, id)
	return l.close(ctx, ana, id)
}

// askLimit finds out whether requests of more than 5000 are refused, and of what.
func (l *Learner) askLimit(ctx context.Context, who speaker, id string) {
	const limit, room = 5000, 1000
	long, err := l.send(ctx, who, event(id, words("This is a test of lpbridge. "+strings.Repeat("x", limit))), nil)
	if err != nil {
		l.failed("requestLimit", err.Error())
		return
	}
	l.found("requestLimit", long, either(long.refused(), limit, false, nil))
	// Fewer characters than the limit, and more bytes.
	wide, err := l.send(ctx, who, event(id, words("This is a test of lpbridge. "+strings.Repeat("é", limit-room))), nil)
	if err != nil {
		l.failed("requestLimitUnit", err.Error())
		return
	}
	l.found("requestLimitUnit", wide, either(wide.succeeded(), "characters", long.refused() && wide.refused(), "bytes"))
}
