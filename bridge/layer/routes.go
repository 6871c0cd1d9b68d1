package layer

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rs/cors"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// maxRequest is the longest body of a request but for uploads, in bytes.
const maxRequest = 512 << 10

// preflightLife is for how long a browser may remember a preflight, in seconds.
const preflightLife = 600

// The paths of the client API below the mount.
const (
	pathRoot          = "/{$}"
	pathPing          = "/ping"
	pathNonces        = "/nonces"
	pathSessions      = "/sessions"
	pathSession       = "/sessions/{token}"
	pathIdentities    = "/identities"
	pathIdentity      = "/identities/{user}"
	pathConversations = "/conversations"
	pathConversation  = "/conversations/{uuid}"
	pathReadAll       = pathConversation + "/mark_all_read"
	pathMessages      = pathConversation + "/messages"
	pathMessage       = "/messages/{uuid}"
	pathReceipts      = pathMessage + "/receipts"
	pathContents      = "/content"
	pathContent       = "/content/{uuid}"
	pathUpload        = pathContent + "/upload"
	pathFile          = pathContent + "/file"
	pathSandbox       = "/sandbox/identity_token"
)

// call is one request of the REST API.
type call struct {
	*http.Request
	body []byte
	// user is whose share of everything the request takes, empty where that is not
	// known; login and view are those of the session.
	user  string
	login *login
	view  view
}

// response is what a call ends with.
type response struct {
	status int
	body   any // nil for none
	// count is sent as Layer-Count, the length of a whole list.
	count *int
	// links says that the answer names the API's entry points.
	links bool
}

// endpoint answers a call.
type endpoint func(ctx context.Context, c *call) (response, error)

// access says what an endpoint asks of a request before it looks at it.
type access struct {
	session  bool // a session token
	version  bool // an Accept header of the API
	maxBytes int64
	// before refuses what is not worth reading; nil for nothing.
	before func(ctx context.Context, c *call) error
}

const (
	// bodiesInFlight is how many bytes of bodies are held at once, beyond freeBody
	// of each.
	bodiesInFlight = 64 << 20
	freeBody       = 64 << 10
	// ownPart is what part of them one user may hold, or one source that is not logged
	// in; the largest content always fits.
	ownPart = 4
	// userAtOnce and sourceAtOnce are how many requests these may have under way, where
	// that is not more than ownPart and sourcePart of the channel's slots.
	userAtOnce   = 16
	sourceAtOnce = 256
	sourcePart   = 2
)

// Routes implements [bridge.Adapter].
func (l *Layer) Routes() []bridge.Route {
	pages := l.allowedPages()
	var routes []bridge.Route
	add := func(method, path string, h http.Handler) {
		routes = append(routes, bridge.Route{Pattern: strings.TrimSpace(method + " " + mount + path), Handler: pages.Handler(h)})
	}
	// What makes something makes another one when it comes twice, and who removes it would
	// be told the second time that it is not there. All else says how something is.
	const once, twice = false, true
	inSession := access{session: true, version: true, maxBytes: maxRequest}
	for _, r := range []struct {
		method, path string
		do           endpoint
		taken        bool
	}{
		{"DELETE", pathSession, l.deleteSession, once},
		{"GET", pathIdentities, l.listIdentities, once},
		{"GET", pathIdentity, l.showIdentity, once},
		{"GET", pathConversations, l.listConversations, once},
		{"POST", pathConversations, l.createConversation, once},
		{"GET", pathConversation, l.showOneConversation, once},
		{"PATCH", pathConversation, l.patchConversation, twice},
		{"DELETE", pathConversation, l.deleteConversation, once},
		{"POST", pathReadAll, l.markAllRead, twice},
		{"GET", pathMessages, l.listMessages, once},
		{"POST", pathMessages, l.createMessage, once},
		{"GET", pathMessage, l.showMessage, once},
		{"DELETE", pathMessage, l.deleteMessage, once},
		{"POST", pathReceipts, l.createReceipt, twice},
		{"POST", pathContents, l.createContent, once},
		{"GET", pathContent, l.refreshContent, once},
	} {
		add(r.method, r.path, l.serve(inSession, r.do))
		routes[len(routes)-1].Repeatable = r.taken
	}
	open := access{version: true, maxBytes: maxRequest}
	add("POST", pathNonces, l.serve(open, l.createNonce))
	add("POST", pathSessions, l.serve(open, l.createSession))
	add("PUT", pathUpload, l.serve(access{maxBytes: l.cfg.MaxContent, before: l.awaited}, l.upload))
	add("GET", pathFile, http.HandlerFunc(l.download))
	add("GET", pathPing, l.serve(access{}, ping))
	add("GET", pathRoot, http.HandlerFunc(l.serveRoot))
	if l.sandbox != nil {
		add("POST", pathSandbox, l.serve(access{maxBytes: maxRequest}, l.signIdentity))
	}
	// The rest, where preflights of all endpoints arrive too.
	add("", "/", http.HandlerFunc(l.unrouted))
	return routes
}

// allowedPages lets web pages of the configured origins in. The SDKs send
// requests with credentials, for which a wildcard would not do. What headers a
// page sends is not restricted: old browsers name them in an order of their own,
// which a list would refuse.
func (api *restAPI) allowedPages() *cors.Cors {
	return cors.New(cors.Options{
		AllowOriginFunc:  func(origin string) bool { return slices.Contains(api.cfg.Origins, origin) },
		AllowedMethods:   []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"},
		AllowedHeaders:   []string{"*"},
		ExposedHeaders:   []string{"Layer-Count", "Layer-Conversation-Is-Syncing", "Link"},
		AllowCredentials: true,
		MaxAge:           preflightLife,
	})
}

// serve checks what every request must bring, and answers.
func (api *restAPI) serve(needs access, do endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := api.respond(w, r, needs, do)
		if err != nil {
			api.writeRefusal(w, api.refusalOf(r.Context(), err, r.Pattern))
			return
		}
		api.write(w, a)
	})
}

// respond lets in who may ask, reads the body and has the request done.
func (api *restAPI) respond(w http.ResponseWriter, r *http.Request, needs access, do endpoint) (response, error) {
	c := &call{Request: r}
	if needs.version {
		v, err := versionOf(r.Header.Get("Accept"))
		if err != nil {
			return response{}, err
		}
		c.view.version = v
	}
	if needs.session {
		who, err := api.authenticate(r.Context(), tokenOf(r))
		if err != nil {
			return response{}, err
		}
		c.user, c.login, c.view = who.identity.User, who, view{api.history, c.view.version, who.identity, who.session.app()}
	}
	if needs.before != nil {
		if err := needs.before(r.Context(), c); err != nil {
			return response{}, err
		}
	}
	share, err := api.enter(c)
	if err != nil {
		return response{}, err
	}
	defer share.Leave()
	held := share.Reader(api.bodies, http.MaxBytesReader(w, r.Body, needs.maxBytes), freeBody)
	defer held.Release()
	body, err := io.ReadAll(held)
	if errors.Is(err, served.ErrBudget) {
		return response{}, errUnavailable
	}
	if share, ok := errors.AsType[*served.ShareError](err); ok {
		return response{}, share
	}
	if err != nil {
		if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
			return response{}, errTooLarge
		}
		return response{}, errUnparsable
	}
	c.body = body
	return do(r.Context(), c)
}

// enter begins a request as a part of what its user may have, or its source where
// nobody is logged in.
func (api *restAPI) enter(c *call) (*served.Share, error) {
	if c.user != "" {
		return api.userShares.Enter(c.Context(), c.user)
	}
	if source := served.Source(c.Request, api.cfg.ClientHeader); source != "" {
		return api.sourceShares.Enter(c.Context(), source)
	}
	return nil, nil
}

// versionOf reads the version of the API out of an Accept header (Client API,
// Headers).
func versionOf(accept string) (version, error) {
	media, attributes, err := mime.ParseMediaType(accept)
	if err != nil || media != "application/vnd.layer+json" {
		return 0, invalidHeader("Accept", "must be application/vnd.layer+json; version=3.0")
	}
	major, _, _ := strings.Cut(attributes["version"], ".")
	switch major {
	case "1":
		return version1, nil
	case "2":
		return version2, nil
	case "3":
		return version3, nil
	}
	return 0, invalidHeader("Accept", "must name version 1.0, 2.0 or 3.0")
}

func (api *restAPI) write(w http.ResponseWriter, a response) {
	if a.links {
		api.addLinks(w.Header())
	}
	if a.count != nil {
		w.Header().Set("Layer-Count", strconv.Itoa(*a.count))
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	writeJSON(w, a.status, a.body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := encode(v)
	if err != nil {
		// Our own types always can be encoded.
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The connection is the client's to lose; there is nobody left to tell.
	_, _ = w.Write(body)
}

// addLinks names the entry points (Client API, Discovery).
func (api *restAPI) addLinks(h http.Header) {
	for _, name := range []string{"nonces", "sessions", "conversations", "content"} {
		h.Add("Link", "<"+api.base+"/"+name+">; rel="+name)
	}
	h.Add("Link", "<"+"ws"+strings.TrimPrefix(api.base, "http")+"/>; rel=websocket")
}

// serveRoot is where sockets are opened, sessions are checked before that, and
// the API is discovered.
func (api *restAPI) serveRoot(w http.ResponseWriter, r *http.Request) {
	if served.IsUpgrade(r) {
		if err := api.serveSocket(w, r); err != nil {
			api.writeRefusal(w, api.refusalOf(r.Context(), err, r.Pattern))
		}
		return
	}
	if r.Header.Get("Authorization") != "" || r.URL.Query().Has("action") {
		if _, err := api.authenticate(r.Context(), tokenOf(r)); err != nil {
			api.writeRefusal(w, api.refusalOf(r.Context(), err, r.Pattern))
			return
		}
	}
	api.write(w, response{status: http.StatusOK, links: true})
}

// ping answers the SDKs' question whether they are online.
func ping(context.Context, *call) (response, error) { return response{status: http.StatusOK}, nil }

// unrouted answers what there is no endpoint for, a wrong method included.
// Preflights do not get here.
func (api *restAPI) unrouted(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	api.writeRefusal(w, errNoEndpoint)
}

// decodeBody reads one JSON value. An empty body or data is an empty value.
func decodeBody(raw []byte, v any) error {
	if len(raw) == 0 {
		return nil
	}
	if !utf8.Valid(raw) || json.Unmarshal(raw, v) != nil {
		return errUnparsable
	}
	return nil
}

// listQuery is which part of a list a client wants.
type listQuery struct {
	size int
	// from is the UUID of the last one it has; empty for the begin.
	from string
}

func (c *call) listQuery(prefix string) (listQuery, error) {
	q := listQuery{size: maxPageSize}
	query := c.URL.Query()
	if size := query.Get("page_size"); size != "" {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 {
			return q, invalidProperty("page_size", "must be a number from 1 to "+strconv.Itoa(maxPageSize))
		}
		q.size = min(n, maxPageSize)
	}
	from := query.Get("from_id")
	if from == "" {
		return q, nil
	}
	own, ok := uuidOf(from, prefix)
	if !ok {
		return q, invalidProperty("from_id", "must be "+prefix+"UUID")
	}
	q.from = own
	return q, nil
}
