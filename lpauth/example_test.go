package lpauth_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"lpbridge/connector/lpsim"
	"lpbridge/lpauth"
)

// The app's own token, and that of one consumer, whom LivePerson then calls by an
// id of its own.
func Example() {
	sim := lpsim.New(lpsim.Config{})
	defer sim.Close()
	server := httptest.NewServer(sim)
	defer server.Close()

	// Leave URL out to reach LivePerson itself.
	domains, err := lpauth.NewDomains(lpauth.DomainsOptions{AccountID: "sandbox", URL: server.URL})
	if err != nil {
		panic(err)
	}
	defer domains.Close()
	app, err := lpauth.NewAppTokens(lpauth.AppTokensOptions{
		AccountID: "sandbox", ClientID: "sandbox-client", ClientSecret: "sandbox-secret", Domains: domains,
	})
	if err != nil {
		panic(err)
	}
	defer app.Close()
	consumers, err := lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{AccountID: "sandbox", Domains: domains, AppTokens: app})
	if err != nil {
		panic(err)
	}
	defer consumers.Close()

	ana, err := consumers.Consumer(context.Background(), "webchat:u-7")
	if err != nil {
		panic(err)
	}
	fmt.Println("LivePerson's id:", string(ana.ID) == sim.ConsumerID("webchat:u-7"))
	fmt.Println("app token valid:", app.Status().Valid)

	// Output:
	// LivePerson's id: true
	// app token valid: true
}
