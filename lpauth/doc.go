// Package lpauth answers two questions for a LivePerson Connector API client:
// who are we (AppJWT, ConsumerJWS) and who are they (domain lookup, webhook
// signature). It knows nothing of conversations; package connector does.
//
// LivePerson spreads an account over many hosts, so everything starts with a
// lookup ("Domain API" page). The app then trades its client id and secret for
// an AppJWT that lives an hour, and the AppJWT for one ConsumerJWS per end user
// ("Authorization and Authentication" page):
//
//	domains, err := lpauth.NewDomains(lpauth.DomainsOptions{AccountID: "le12345678"})
//	app, err := lpauth.NewAppTokens(lpauth.AppTokensOptions{
//		AccountID: "le12345678", ClientID: id, ClientSecret: secret, Domains: domains,
//	})
//	consumers, err := lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{
//		AccountID: "le12345678", Domains: domains, AppTokens: app,
//	})
//	ana, err := consumers.Consumer(ctx, "webchat:u-7")
//	// ana.Token goes into X-LP-ON-BEHALF; ana.ID is what webhooks call her.
//
// A client secret can be replaced while the program runs: give [Secrets] instead
// of a ClientSecret, and verify webhooks with it.
//
// All three cache, look up once for any number of concurrent callers, and are
// safe for concurrent use. None keeps a goroutine while nobody asks; Close
// cancels a lookup that is under way and waits for its end.
//
// Assumptions: every call made here is safe to repeat, so transport errors, 429
// and 5xx are repeated a few times within the call; tokens are opaque except
// for the claims exp and lp_consumer_id, which are read without verification
// because the token came from LivePerson over an authenticated connection; base
// URIs are bare hosts whose scheme is that of the domain API.
//
// No error of this package carries a secret, a token or a URL's query.
package lpauth
