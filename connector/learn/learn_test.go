package learn_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lpbridge/connector/learn"
	"lpbridge/connector/lpsim"
	"lpbridge/lpauth"
)

// account is a LivePerson with some switches turned.
func account(t *testing.T, faults lpsim.Faults) (*lpsim.Sim, *learn.Learner) {
	t.Helper()
	return accountBehind(t, faults, func(sim http.Handler) http.Handler { return sim })
}

// accountBehind is one whose calls pass through something.
func accountBehind(t *testing.T, faults lpsim.Faults, through func(sim http.Handler) http.Handler) (*lpsim.Sim, *learn.Learner) {
	t.Helper()
	sim := lpsim.New(lpsim.Config{Faults: faults, ClientSecret: "sandbox-secret"})
	server := httptest.NewServer(through(sim))
	t.Cleanup(func() { server.Close(); sim.Close() })
	transport := server.Client().Transport
	secrets, err := lpauth.NewSecrets(func() ([]string, error) { return []string{"sandbox-secret"}, nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	domains, err := lpauth.NewDomains(lpauth.DomainsOptions{AccountID: "sandbox", URL: server.URL, AllowPlainHTTP: true, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(domains.Close)
	tokens, err := lpauth.NewAppTokens(lpauth.AppTokensOptions{
		AccountID: "sandbox", ClientID: "sandbox-client", Secrets: secrets, Domains: domains, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.Close)
	consumers, err := lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{
		AccountID: "sandbox", Domains: domains, AppTokens: tokens, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consumers.Close)
	return sim, learn.New(learn.Options{
		AccountID: "sandbox", ClientID: "sandbox-client", DomainAPI: server.URL,
		Domains: domains, AppTokens: tokens, Consumers: consumers, Transport: transport,
	})
}

// learnt asks, and checks what must hold whatever the account answers.
func learnt(t *testing.T, faults lpsim.Faults) learn.Report {
	t.Helper()
	sim, learner := account(t, faults)
	report, err := learner.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sim.Conversations() {
		if c.State != "CLOSE" {
			t.Errorf("a conversation is left %s", c.State)
		}
	}
	if n := len(sim.Conversations()); n > 6 {
		t.Errorf("%d conversations, the announcement says at most six", n)
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sim.Conversations() {
		for _, secret := range []string{c.ConversationID, c.ConsumerID, c.ExtConsumerID, "sandbox", "ey", "test"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("the report holds %q: %s", secret, text)
			}
		}
	}
	return report
}

func TestADefaultAccountIsLearnt(t *testing.T) {
	report := learnt(t, lpsim.Faults{})
	for _, f := range report.Findings {
		if f.Unsettled != "" {
			t.Errorf("%s: %s", f.Knob, f.Unsettled)
		}
	}
	onlyDefaults(t, report)
	if n := len(report.Faults); n < 20 {
		t.Errorf("only %d knobs were learnt", n)
	}
}

// TestEverySwitchIsLearnt turns each switch alone, and then the simulator into what was learnt.
func TestEverySwitchIsLearnt(t *testing.T) {
	for knob, values := range map[string][]any{
		"domainSingleForm": {"list"}, "domainUnknownService": {"400", "empty"}, "oauthErrorStatus": {400}, "oauthErrorForm": {"internal"},
		"idpErrorForm": {"rfc6749"}, "bearerPrefix": {"accept"}, "missingAppJwtCode": {40104}, "missingParameterStatus": {401},
		"foreignConversationCode": {40102}, "batchErrorStatus": {200}, "batchAfterError": {"skip"}, "sendErrorStatus": {200},
		"unknownConversation": {"unauthorized", "not_found"}, "unknownSequence": {"reject"}, "requestLimitUnit": {"bytes"},
		"encodedMetadata": {"reject"}, "updateMessage": {"Fine"}, "nullOptionalFields": {"reject"}, "ttrNames": {"any"}, "longBatch": {"reject"},
		"clientPropertiesForm": {"strict"}, "sdeTypes": {"any"}, "consumerFileTypes": {"documents"},
	} {
		for _, value := range values {
			t.Run(knob, func(t *testing.T) {
				t.Parallel()
				text, err := json.Marshal(map[string]any{knob: value})
				if err != nil {
					t.Fatal(err)
				}
				faults, err := lpsim.ParseFaults(text)
				if err != nil {
					t.Fatal(err)
				}
				report := learnt(t, faults)
				if report.Faults[knob] != value {
					t.Errorf("learnt %v of an account with %v", report.Faults[knob], value)
				}
				again, err := json.Marshal(report.Faults)
				if err != nil {
					t.Fatal(err)
				}
				loaded, err := lpsim.ParseFaults(again)
				if err != nil {
					t.Fatalf("the simulator does not take %s: %v", again, err)
				}
				if diff := cmp.Diff(faults.WithDefaults(), loaded.WithDefaults()); diff != "" {
					t.Errorf("the account and the simulator that learnt from it (-account +simulator):\n%s", diff)
				}
			})
		}
	}
}

// TestThreeSwitchesAreLearntTogether is the way an account differs in earnest.
func TestThreeSwitchesAreLearntTogether(t *testing.T) {
	report := learnt(t, lpsim.Faults{BearerPrefix: "accept", UnknownConversation: "not_found", BatchErrorStatus: 200})
	text, err := json.Marshal(report.Faults)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := lpsim.ParseFaults(text)
	if err != nil {
		t.Fatal(err)
	}
	if again := learnt(t, loaded); !reflect.DeepEqual(again.Faults, report.Faults) {
		t.Errorf("what was learnt of the simulator that had learnt differs:\n%s", cmp.Diff(report.Faults, again.Faults))
	}
}

// TestNothingIsLearntOfAnAccountInTrouble: what comes from in between, or no answer at all, settles nothing.
func TestNothingIsLearntOfAnAccountInTrouble(t *testing.T) {
	_, learner := account(t, lpsim.Faults{ErrorRate: lpsim.Rates{lpsim.SendAPI: 1, lpsim.ConversationAPI: 1}})
	report, err := learner.Run(t.Context())
	if err == nil {
		t.Error("no conversation could be opened, and nobody says so")
	}
	for _, knob := range []string{"nullOptionalFields", "ttrNames", "longBatch", "clientPropertiesForm", "sdeTypes"} {
		if value, known := report.Faults[knob]; known {
			t.Errorf("%s is %v by an answer that says nothing", knob, value)
		}
	}
}

// TestAPageInBetweenIsNotLearnt: a proxy's page says nothing of LivePerson, whatever its status and whichever call it is for.
func TestAPageInBetweenIsNotLearnt(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			for call := int64(1); call <= 30; call++ {
				var made atomic.Int64
				_, learner := accountBehind(t, lpsim.Faults{}, func(sim http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if made.Add(1) != call {
							sim.ServeHTTP(w, r)
							return
						}
						w.Header().Set("Content-Type", "text/html")
						w.WriteHeader(status)
						_, _ = io.WriteString(w, "<html><body>not here</body></html>")
					})
				})
				report, err := learner.Run(t.Context())
				if err != nil {
					t.Logf("call %d: %v", call, err)
				}
				onlyDefaults(t, report)
			}
		})
	}
}

// onlyDefaults checks that what was learnt is what an account without a switch turned is like.
func onlyDefaults(t *testing.T, report learn.Report) {
	t.Helper()
	defaults := reflect.ValueOf(lpsim.Faults{}.WithDefaults())
	for i := range defaults.NumField() {
		knob := defaults.Type().Field(i).Tag.Get("json")
		if value, asked := report.Faults[knob]; asked && !reflect.DeepEqual(value, defaults.Field(i).Interface()) {
			t.Errorf("%s: learnt %v of an account with %v", knob, value, defaults.Field(i))
		}
	}
}

// TestAnInterruptedLearnerClosesWhatItOpened: Ctrl-C at any moment leaves no conversation in an agent's queue.
func TestAnInterruptedLearnerClosesWhatItOpened(t *testing.T) {
	t.Parallel()
	for calls := 1; calls <= 30; calls++ {
		ctx, interrupt := context.WithCancel(t.Context())
		var made atomic.Int64
		sim, learner := accountBehind(t, lpsim.Faults{}, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if made.Add(1) == int64(calls) {
					interrupt()
				}
				next.ServeHTTP(w, r)
			})
		})
		_, err := learner.Run(ctx)
		interrupt()
		if err == nil && made.Load() > int64(calls)+1 {
			t.Errorf("interrupted at call %d of %d, and it went on", calls, made.Load())
		}
		for _, c := range sim.Conversations() {
			if c.State != "CLOSE" {
				t.Errorf("interrupted at call %d: a conversation is left %s", calls, c.State)
			}
		}
	}
}
