package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"lpbridge/bridge"
)

const (
	// sessionLife is how long a browser stays logged in: a working day.
	sessionLife = 12 * time.Hour
	// mostSessions bounds what logging in leaves in memory; the oldest goes.
	mostSessions = 64
	// sessionCookie is the cookie's name where the page came without TLS; with it
	// the prefix makes browsers refuse one that another host or plain http set.
	sessionCookie       = "lpbridge_session"
	secureSessionCookie = "__Host-lpbridge_session"
	// loginLimit is the longest body of a login, in bytes.
	loginLimit = 4 << 10
)

// access says who may use the console. Tokens and sessions are kept as hashes,
// which also makes comparing them take the same time whatever their length.
type access struct {
	guesses guesses

	mu             sync.Mutex
	admin, metrics digest
	sessions       []session
}

// digest stands for a token; the zero value is no token.
type digest [sha256.Size]byte

type session struct {
	id   digest
	ends time.Time
}

func digestOf(token string) digest {
	if token == "" {
		return digest{}
	}
	return sha256.Sum256([]byte(token))
}

func (d digest) set() bool { return d != digest{} }

func (d digest) is(other digest) bool {
	return d.set() && subtle.ConstantTimeCompare(d[:], other[:]) == 1
}

// SetTokens replaces the tokens: admin opens everything, metrics opens /metrics
// only. Without an admin token everybody may use the console. Sessions of an
// admin token that is no more end.
func (c *Console) SetTokens(admin, metrics string) {
	a := &c.access
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := digestOf(admin); now != a.admin {
		a.admin, a.sessions = now, nil
	}
	a.metrics = digestOf(metrics)
}

// asks reports whether there is a login.
func (a *access) asks() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.admin.set()
}

// standing is what a request may do.
type standing int

const (
	stranger standing = iota
	scraper
	operator
)

// standingOf is what a request proves, and whether it offered a token at all.
func (a *access) standingOf(r *http.Request) (may standing, offered bool) {
	token, offered := bearer(r)
	given := digestOf(token)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.admin.set():
		// Where there is no login, a token for metrics keeps those.
		if a.metrics.set() && r.URL.Path == metricsPath && !a.metrics.is(given) {
			return stranger, offered
		}
		return operator, offered
	case a.admin.is(given), a.inSession(r):
		return operator, offered
	case a.metrics.is(given):
		return scraper, offered
	}
	return stranger, offered
}

// admit finds out whether an operator asks for what is open to all. A wrong token
// counts as elsewhere: a difference in the answer is one to guess by.
func (a *access) admit(r *http.Request) bool {
	if a.guesses.tooMany(r) {
		return false
	}
	may, offered := a.standingOf(r)
	if may == stranger && offered {
		a.guesses.wrong(r)
	}
	return may == operator
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false
	}
	return token, true
}

// inSession is called with the lock held.
func (a *access) inSession(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return false
	}
	given, now := digestOf(cookie.Value), time.Now()
	return slices.ContainsFunc(a.sessions, func(s session) bool { return s.id.is(given) && now.Before(s.ends) })
}

func cookieName(r *http.Request) string {
	if r.TLS != nil {
		return secureSessionCookie
	}
	return sessionCookie
}

const metricsPath = "/metrics"

// guard lets requests through that prove enough for what they ask.
func (c *Console) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if openToAll(r) {
			next.ServeHTTP(w, r)
			return
		}
		if c.access.guesses.tooMany(r) {
			tooManyGuesses.ServeHTTP(w, r)
			return
		}
		may, offered := c.access.standingOf(r)
		switch {
		case may == operator, may == scraper && r.URL.Path == metricsPath:
			next.ServeHTTP(w, r)
		case may == scraper:
			(&bridge.Problem{Status: http.StatusForbidden, Title: "Forbidden", Detail: "this token reads /metrics and nothing else"}).ServeHTTP(w, r)
		default:
			if offered {
				c.access.guesses.wrong(r)
			}
			c.unknown(w, r)
		}
	})
}

func (c *Console) unknown(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="lpbridge"`)
	(&bridge.Problem{
		Status: http.StatusUnauthorized, Title: "Unauthorized",
		Detail: "log in, or send LPBRIDGE_ADMIN_TOKEN as a bearer token",
	}).ServeHTTP(w, r)
}

// openToAll is what nothing has to be proved for: what supervisors ask, which
// tells them no more than yes or no, and the page, which holds nothing before it
// has asked for it.
func openToAll(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/login", "/logout":
		return true
	}
	return slices.ContainsFunc(pageNames, func(f pageFile) bool { return r.URL.Path == strings.TrimSuffix(f.path, "{$}") })
}

// login gives a browser a session for the token.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	body, err := bridge.ReadJSON(w, r, loginLimit)
	if err != nil {
		bridge.ProblemOf(err).ServeHTTP(w, r)
		return
	}
	token, problem := parseLogin(body)
	if problem != nil {
		problem.ServeHTTP(w, r)
		return
	}
	if c.access.guesses.tooMany(r) {
		tooManyGuesses.ServeHTTP(w, r)
		return
	}
	id, ok := c.access.open(token)
	if !ok {
		c.access.guesses.wrong(r)
		c.unknown(w, r)
		return
	}
	c.log.Info("operator logged in", "remote", r.RemoteAddr)
	http.SetCookie(w, cookie(r, id, int(sessionLife/time.Second)))
	w.WriteHeader(http.StatusNoContent)
}

// open begins a session if the token is right. The id is the browser's only
// proof, and nothing is made of the token.
func (a *access) open(token string) (id string, ok bool) {
	given := digestOf(token)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.admin.is(given) {
		return "", false
	}
	id = rand.Text()
	now := time.Now()
	a.sessions = slices.DeleteFunc(a.sessions, func(s session) bool { return !now.Before(s.ends) })
	if len(a.sessions) == mostSessions {
		a.sessions = slices.Delete(a.sessions, 0, 1)
	}
	a.sessions = append(a.sessions, session{digestOf(id), now.Add(sessionLife)})
	return id, true
}

// logout ends the session a browser has.
func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if had, err := r.Cookie(cookieName(r)); err == nil {
		c.access.end(had.Value)
	}
	http.SetCookie(w, cookie(r, "", -1))
	w.WriteHeader(http.StatusNoContent)
}

func (a *access) end(id string) {
	given := digestOf(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions = slices.DeleteFunc(a.sessions, func(s session) bool { return s.id.is(given) })
}

// cookie is out of reach of scripts and of requests that come from elsewhere.
func cookie(r *http.Request, value string, seconds int) *http.Cookie {
	// A browser takes no secure cookie from a page that came without TLS.
	return &http.Cookie{ //nolint:gosec // secure wherever TLS is spoken
		Name: cookieName(r), Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}
