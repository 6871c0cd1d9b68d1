package console

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"lpbridge/bridge"
)

const (
	// guessesAtOnce and guessEvery bound how fast one source may be wrong.
	guessesAtOnce = 10
	guessEvery    = 6 * time.Second
	// mostGuessers bounds who is remembered for guessing.
	mostGuessers = 1024
	// A network of IPv6 is one source: who has one address has them all.
	guesserBits6 = 64
)

var tooManyGuesses = &bridge.Problem{
	Status: http.StatusTooManyRequests, Title: "Too Many Requests", Detail: "too many wrong tokens came from this address", RetryAfter: guessEvery,
}

// guesses counts wrong tokens by source. Who is right is not slowed down, but
// for those who share an address with somebody who guesses.
type guesses struct {
	mu sync.Mutex
	of map[netip.Prefix]*rate.Limiter
}

// tooMany reports whether the source of a request has to wait.
func (g *guesses) tooMany(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	limiter := g.of[guesser(r)]
	return limiter != nil && limiter.Tokens() < 1
}

// wrong counts one.
func (g *guesses) wrong(r *http.Request) {
	source := guesser(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of == nil || len(g.of) == mostGuessers && g.of[source] == nil {
		// Who guesses from so many addresses loses no time by being remembered.
		g.of = map[netip.Prefix]*rate.Limiter{}
	}
	limiter := g.of[source]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Every(guessEvery), guessesAtOnce)
		g.of[source] = limiter
	}
	limiter.Allow()
}

// guesser is the network a request comes from; all whose address cannot be read
// are one.
func guesser(r *http.Request) netip.Prefix {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	addr := from.Addr().Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = guesserBits6
	}
	// A prefix as long as the address, or shorter, is always one.
	prefix, _ := addr.Prefix(bits)
	return prefix
}

// parseLogin reads the token of a login; it quotes nothing.
func parseLogin(body []byte) (string, *bridge.Problem) {
	var in struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(body, &in) != nil || in.Token == "" {
		return "", badRequest("token", "must be given as text in a JSON object")
	}
	return in.Token, nil
}
