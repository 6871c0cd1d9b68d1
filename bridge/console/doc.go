// Package console is the admin listener's handler: health, readiness, metrics,
// status, dead letters, profiles and the page that shows them to an operator.
//
// # Paths
//
//	GET    /healthz                    the process turns
//	GET    /readyz                     200, or 503 naming what is not ready
//	GET    /metrics                    Prometheus and OpenMetrics
//	GET    /status                     a [Report]
//	GET    /deadletters                a [Page]; after, limit, channel, direction, outcome
//	POST   /deadletters/{seq}/replay   deliver one again
//	DELETE /deadletters/{seq}          discard one
//	POST   /deadletters/replay         deliver all that match a [Filter] again
//	POST   /deadletters/discard        discard all that match a [Filter]
//	GET    /debug/pprof/               profiles of package net/http/pprof
//	GET    /                           the page
//
// Errors are problem+json ([bridge.Problem]). What a dead letter says is a
// consumer's or an agent's text and is never shown; neither is the value of any
// setting.
//
// # Assumptions
//
// Whoever reaches the listener may use it: there is no login, so it belongs on
// loopback or on a network of operators and never on the public listener. What
// a web page elsewhere could do with an operator's browser is refused: requests
// from other origins change nothing, and host names that could be rebound to a
// loopback address are not answered.
//
// Importing net/http/pprof also registers profiles with
// [http.DefaultServeMux], which therefore no listener may serve.
package console
