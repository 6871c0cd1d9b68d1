package chatwootapi

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// The paths of the client API.
const (
	pathInbox    = "/public/api/v1/inboxes/{inbox}"
	pathContacts = pathInbox + "/contacts"
	pathContact  = pathContacts + "/{source}"
	pathThreads  = pathContact + "/conversations"
	pathThread   = pathThreads + "/{conversation}"
	pathMessages = pathThread + "/messages"
	pathMessage  = pathMessages + "/{message}"
	pathCSAT     = "/public/api/v1/csat_survey/{uuid}"
	pathSurvey   = "/survey/responses/{uuid}"
	pathFile     = "/rails/active_storage/blobs/redirect/{token}/{name}"
	pathThumb    = "/rails/active_storage/representations/redirect/{token}/{name}"
	pathCable    = "/cable"
	pathUnrouted = "/public/"
)

// call is one request of the client API: its parameters and, but for the
// survey, its inbox.
type call struct {
	*http.Request
	params params
	inbox  *inbox
	// taken are the messages of agents that the answer brings.
	taken []takenMessages
}

// source names the contact-inbox of the path.
func (c *call) source() sourceKey {
	return sourceKey{c.inbox.identifier, c.PathValue("source")}
}

// endpoint answers a call. The answer becomes JSON with status 200.
type endpoint func(ctx context.Context, c *call) (any, error)

// Routes implements [bridge.Adapter].
func (a *ChatwootAPI) Routes() []bridge.Route {
	anyOrigin := cors.New(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		},
		AllowedHeaders:       []string{"*"},
		MaxAge:               7200,
		OptionsSuccessStatus: http.StatusOK,
	})
	// What makes a contact, a conversation or a message makes another one when it comes
	// twice, for the client gives it no id. All else says how something is from now on.
	const once, twice = false, true
	var routes []bridge.Route
	named := http.NewServeMux()
	for _, r := range []struct {
		methods []string
		path    string
		do      endpoint
		taken   bool
	}{
		{[]string{"GET"}, pathInbox, a.showInbox, once},
		{[]string{"POST"}, pathContacts, a.createContact, once},
		{[]string{"GET"}, pathContact, a.showContact, once},
		{[]string{"PATCH", "PUT"}, pathContact, a.updateContact, twice},
		{[]string{"GET"}, pathThreads, a.listConversations, once},
		{[]string{"POST"}, pathThreads, a.createConversation, once},
		{[]string{"GET"}, pathThread, a.showConversation, once},
		{[]string{"POST"}, pathThread + "/toggle_status", a.resolveConversation, twice},
		{[]string{"POST"}, pathThread + "/toggle_typing", a.toggleTyping, twice},
		{[]string{"POST"}, pathThread + "/update_last_seen", a.updateLastSeen, twice},
		{[]string{"GET"}, pathMessages, a.listMessages, once},
		{[]string{"POST"}, pathMessages, a.createMessage, once},
		{[]string{"PATCH", "PUT"}, pathMessage, a.submitMessage, twice},
		{[]string{"GET"}, pathCSAT, a.showCSAT, once},
		{[]string{"PATCH", "PUT"}, pathCSAT, a.submitCSAT, twice},
	} {
		for _, method := range r.methods {
			h := anyOrigin.Handler(a.serve(r.path, r.do))
			named.Handle(method+" "+r.path, h)
			routes = append(routes, bridge.Route{Pattern: method + " " + r.path, Handler: withoutFormat(named, h), Repeatable: r.taken})
		}
	}
	none := anyOrigin.Handler(http.HandlerFunc(unrouted))
	named.Handle("/", none)
	return append(routes,
		bridge.Route{Pattern: pathUnrouted, Handler: withoutFormat(named, none)},
		bridge.Route{Pattern: pathCable, Handler: a.cable, Farewell: restart.Last},
		bridge.Route{Pattern: "GET " + pathSurvey, Handler: http.HandlerFunc(a.showSurvey)},
		bridge.Route{Pattern: "POST " + pathSurvey, Handler: http.HandlerFunc(a.fillSurvey)},
		bridge.Route{Pattern: "GET " + pathFile, Handler: http.HandlerFunc(a.serveFile)},
		bridge.Route{Pattern: "GET " + pathThumb, Handler: http.HandlerFunc(a.serveFile)},
	)
}

// withoutFormat takes .json from the end of a path, as Rails does, which minds no slash
// behind it, and sends the request to where it then belongs; others go to the handler.
func withoutFormat(named *http.ServeMux, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, found := strings.CutSuffix(strings.TrimSuffix(r.URL.EscapedPath(), "/"), ".json")
		if !found {
			h.ServeHTTP(w, r)
			return
		}
		plain := *r
		address := *r.URL
		plain.URL = &address
		var err error
		if address.Path, err = url.PathUnescape(path); err != nil {
			unrouted(w, r)
			return
		}
		address.RawPath = path
		named.ServeHTTP(w, &plain)
	})
}

// unrouted answers what Rails does not route, a wrong method included. It also
// is where preflights of all endpoints arrive, which CORS answers before.
func unrouted(w http.ResponseWriter, _ *http.Request) {
	writeRefusal(w, &refusal{status: http.StatusNotFound})
}

// serve reads the parameters, finds the inbox, answers.
func (a *ChatwootAPI) serve(path string, do endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{Request: r}
		body, err := a.respond(w, c, do)
		if err == nil {
			err = writeBody(w, body)
		}
		if err != nil {
			writeRefusal(w, a.refusalOf(r.Context(), err, path))
			return
		}
		for _, t := range c.taken {
			a.deviceTook(r.Context(), t)
		}
	})
}

const (
	// bodiesInFlight is how many bytes of bodies are held at once, beyond freeBody
	// of each.
	bodiesInFlight = 64 << 20
	freeBody       = 64 << 10
	// ownPart is what part of them one contact may hold, or one source whose contact
	// is not known yet; a contact's largest request always fits.
	ownPart = 4
	// contactAtOnce and sourceAtOnce are how many requests these may have under way, where
	// that is not more than ownPart and sourcePart of the channel's slots.
	contactAtOnce = 16
	sourceAtOnce  = 256
	sourcePart    = 2
)

// respond finds the inbox and the contact, reads the parameters and answers. What
// belongs to nobody is not even read.
func (a *ChatwootAPI) respond(w http.ResponseWriter, c *call, do endpoint) (any, error) {
	if name := c.PathValue("inbox"); name != "" {
		if c.inbox = a.inboxes[name]; c.inbox == nil {
			return nil, errNotFound
		}
	}
	share, err := a.enter(c)
	if err != nil {
		return nil, err
	}
	defer share.Leave()
	body := share.Reader(a.bodies, c.Body, freeBody)
	defer body.Release()
	c.Body = io.NopCloser(body)
	if c.params, err = readParams(w, c.Request, a.cfg.MaxAttachment); err != nil {
		return nil, err
	}
	return do(c.Context(), c)
}

// enter begins a request as a part of what its contact may have, or its source where
// the path names none.
func (a *ChatwootAPI) enter(c *call) (*served.Share, error) {
	ctx := c.Context()
	if c.PathValue("source") != "" {
		found, err := a.findContactInbox(ctx, c.source())
		if err != nil {
			return nil, err
		}
		return a.contactShares.Enter(ctx, formatID(found.ID))
	}
	if source := served.Source(c.Request, a.cfg.ClientHeader); source != "" {
		return a.sourceShares.Enter(ctx, source)
	}
	return nil, nil
}

// inboxBody is the answer of GET on an inbox, in the order in which Chatwoot
// writes it.
type inboxBody struct {
	Identifier          string       `json:"identifier"`
	IdentityValidation  bool         `json:"identity_validation_enabled"`
	Name                string       `json:"name"`
	Timezone            string       `json:"timezone"`
	WorkingHours        []workingDay `json:"working_hours"`
	WorkingHoursEnabled bool         `json:"working_hours_enabled"`
	CSAT                bool         `json:"csat_survey_enabled"`
	Greeting            bool         `json:"greeting_enabled"`
}

type workingDay struct {
	Day          int  `json:"day_of_week"`
	ClosedAllDay bool `json:"closed_all_day"`
	OpenHour     *int `json:"open_hour"`
	OpenMinutes  *int `json:"open_minutes"`
	CloseHour    *int `json:"close_hour"`
	CloseMinutes *int `json:"close_minutes"`
	OpenAllDay   bool `json:"open_all_day"`
}

// showInbox answers GET on an inbox. There is no desk with opening hours here,
// so the hours are Chatwoot's initial ones and switched off.
func (a *ChatwootAPI) showInbox(_ context.Context, c *call) (any, error) {
	return inboxBody{
		Identifier: c.inbox.identifier, IdentityValidation: a.cfg.HMACMandatory, Name: a.cfg.InboxName, Timezone: "UTC",
		WorkingHours: officeWeek(), CSAT: a.cfg.CSAT,
	}, nil
}

func officeWeek() []workingDay {
	week := make([]workingDay, 7)
	for day := range week {
		week[day] = workingDay{Day: day, ClosedAllDay: day == 0 || day == 6}
		if !week[day].ClosedAllDay {
			week[day].OpenHour, week[day].OpenMinutes = new(9), new(0)
			week[day].CloseHour, week[day].CloseMinutes = new(17), new(0)
		}
	}
	return week
}
