// Package console is the admin listener's handler: health, readiness, metrics,
// status, dead letters, profiles and the page that shows them to an operator.
//
// # Paths
//
//	GET    /healthz                    the process runs
//	GET    /readyz                     200, or 503 naming what is not ready
//	GET    /metrics                    Prometheus and OpenMetrics
//	GET    /status                     a [Report]
//	GET    /hour                       an [Hour]
//	GET    /deadletters                a [Page]; after, limit, channel, direction, outcome
//	GET    /deadletters/{seq}          a [Letter]; content=true shows what it says
//	GET    /deadletters/export         all that match, a [Letter] a line; the same parameters
//	POST   /deadletters/{seq}/replay   deliver one again
//	DELETE /deadletters/{seq}          discard one
//	POST   /deadletters/replay         deliver all that match a [Filter] again
//	POST   /deadletters/discard        discard all that match a [Filter]
//	POST   /consumers/export           all that is kept of a [Subject], a [bridge.Kept] a line
//	POST   /consumers/erase            remove it; a [bridge.Erased]
//	POST   /farsides/{name}/resume     ask a far side at once that is not well
//	GET    /trace                      a [bridge.Trace] of the event or thread id; channel
//	GET    /debug/pprof/               profiles of package net/http/pprof, where they are wanted
//	POST   /login                      a session for {"token": …}
//	POST   /logout                     its end
//	GET    /                           the page
//
// Errors are problem+json ([bridge.Problem]). What a dead letter says is a
// consumer's or an agent's text: it is shown only to who asks for it, and that is
// logged. The value of a setting never is.
//
// # Assumptions
//
// Where there is an admin token, it opens everything, as a bearer token or by a
// session that a browser gets for it; a token for metrics opens those. /healthz
// and /readyz are open to all, for supervisors have no tokens, and say no more
// than yes or no then. Without an admin token whoever reaches the listener may
// use it, so it belongs on loopback.
//
// What a web page elsewhere could do with an operator's browser is refused:
// requests of other sites are not answered, the cookie does not come with them,
// and host names that could be rebound to a loopback address are not ours.
//
// Importing net/http/pprof also registers profiles with
// [http.DefaultServeMux], which therefore no listener may serve.
package console
