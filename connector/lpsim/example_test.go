package lpsim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"lpbridge/connector/lpsim"
)

// A connector's test: LivePerson misbehaves, the agent acts, and what the agent
// sees is checked. The connector under test would take the place of http.Get.
func Example() {
	sim := lpsim.New(lpsim.Config{Faults: lpsim.Faults{ErrorRate: lpsim.Rates{lpsim.DomainAPI: 1}, ErrorStatus: 503}})
	defer sim.Close()
	server := httptest.NewServer(sim)
	defer server.Close()
	domains := server.URL + "/api/account/sandbox/service/baseURI.json?version=1.0"
	status := func() int {
		resp, err := http.Get(domains)
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	fmt.Println("unwell:", status())
	if err := sim.SetFaults(lpsim.Faults{}); err != nil {
		panic(err)
	}
	fmt.Println("well:", status())

	id := sim.StartForeign("hello from another connector")
	if _, err := sim.AgentMessage(id, lpsim.AgentMessage{Text: "How can I help?"}); err != nil {
		panic(err)
	}
	seen, _ := sim.Conversation(id)
	for _, entry := range seen.Transcript {
		fmt.Println(strings.ToLower(entry.Role)+":", entry.Text)
	}

	// Output:
	// unwell: 503
	// well: 200
	// consumer: hello from another connector
	// assigned_agent: How can I help?
}
