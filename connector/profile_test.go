package connector

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lpbridge/lpauth"
)

func TestAProfileIsCutRatherThanCostAMessage(t *testing.T) {
	long := strings.Repeat("\u1100\u1161\u11a8", 2000)
	for name, p := range map[string]UserProfile{
		"first name":   {FirstName: long, LastName: "Silva", Email: "ana@example.org"},
		"everything":   {FirstName: long, LastName: long, AvatarURL: "https://x.test/" + strings.Repeat("a", 900), Description: long, Email: "ana@example.org", CustomerInfo: &CustomerInfo{CStatus: long, CType: long, CustomerID: long, SocialID: long, IMEI: long, UserName: long, CompanyBranch: long, AccountName: long, Role: long, LoginStatus: long}, PersonalInfo: &PersonalInfo{Company: long, Language: long}},
		"an address":   {FirstName: "Ana", Email: strings.Repeat("a", 300) + "@example.org", Phone: long},
		"all contacts": {FirstName: "Ana", PersonalInfo: &PersonalInfo{Contacts: slices.Repeat([]Contact{{Email: strings.Repeat("a", 200)}}, 100)}},
	} {
		t.Run(name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(conversationPath, reply(200, "["+profileOK+","+opened+"]"))
			client, _ := testClient(t, lp.transport)
			before, _ := json.Marshal(p)
			if _, err := client.Conversation(t.Context(), ana, ConversationRequest{Profile: p}); err != nil {
				t.Fatal(err)
			}
			if n := len(lp.received()[0].body); n >= requestLimit {
				t.Errorf("a request of %d bytes", n)
			}
			if after, _ := json.Marshal(p); string(after) != string(before) {
				t.Error("the caller's profile was changed")
			}
			first, _, _ := strings.Cut(strings.SplitAfter(lp.received()[0].body, `"firstName":"`)[1], `"`)
			if strings.HasPrefix(p.FirstName, "\u1100") && (first == "" || strings.Repeat("\u1100\u1161\u11a8", len(first)/9) != first) {
				t.Errorf("first name is cut within a syllable: %q", first)
			}
		})
	}
}

func TestAttributesHaveTheirPlaces(t *testing.T) {
	var p UserProfile
	values := map[string]string{
		"balance": "12.5", "companySize": "7", "lastPaymentDate": "2026-01-31", "registrationDate": "2020-02-29", "gender": "female", "age": "42",
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		value := values[name]
		if value == "" {
			value = name + "-1"
		}
		if err := p.SetAttribute(name, value); err != nil {
			t.Error(err)
		}
	}
	size, balance := 7, 12.5
	want := UserProfile{
		CustomerInfo: &CustomerInfo{
			CStatus: "cstatus-1", CType: "ctype-1", CustomerID: "customerId-1", Balance: &balance, Currency: "currency-1", SocialID: "socialId-1",
			IMEI: "imei-1", UserName: "userName-1", CompanySize: &size, CompanyBranch: "companyBranch-1", AccountName: "accountName-1", Role: "role-1",
			LoginStatus: "loginStatus-1", LastPaymentDate: &Date{31, 1, 2026}, RegistrationDate: &Date{29, 2, 2020},
		},
		PersonalInfo: &PersonalInfo{Age: &Age{Age: 42}, Gender: "FEMALE", Language: "language-1", Company: "company-1"},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, value := range map[string]string{"plan": "gold", "balance": "Inf", "companySize": "many", "gender": "x", "age": "old", "lastPaymentDate": "secret"} {
		var empty UserProfile
		err := empty.SetAttribute(name, value)
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "gold") || strings.Contains(err.Error(), "secret") || errors.Is(err, ErrNoField) != (name == "plan") {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(UserProfile{}, empty); diff != "" {
			t.Errorf("%s left something (-want +got):\n%s", name, diff)
		}
	}
	var born UserProfile
	if err := born.SetAttribute("age", "1990-05-31"); err != nil || *born.PersonalInfo.Age != (Age{Year: 1990, Month: 5, Day: 31}) {
		t.Errorf("born %+v, %v", born.PersonalInfo, err)
	}
}

func TestAgentProfile(t *testing.T) {
	const path = "GET /api/account/42257269/configuration/le-users/users/agent-1"
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   AgentProfile
		is     error
		out    Outcome
	}{
		{"known", 200, `{"nickname":"Bo","fullName":"Bo Berg","pictureUrl":"https://x.test/b.png","other":{}}`, AgentProfile{"Bo", "Bo Berg", "https://x.test/b.png"}, nil, Delivered},
		{"odd fields", 200, `{"nickname":7,"fullName":null,"pictureUrl":{}}`, AgentProfile{Nickname: "7"}, nil, Delivered},
		{"unknown", 404, "", AgentProfile{}, ErrNoProfile, Invalid},
		{"unknown, with a page", 404, "<html>", AgentProfile{}, ErrNoProfile, Invalid},
		{"forbidden", 403, "", AgentProfile{}, ErrNoProfile, Invalid},
		{"unwell", 503, "", AgentProfile{}, nil, Retry},
		{"not json", 200, "<html>", AgentProfile{}, nil, Retry},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" || r.Header.Get("X-LP-ON-BEHALF") != "" || r.Header.Get("User-Agent") != lpauth.DefaultUserAgent {
					t.Errorf("headers %v", r.Header)
				}
				reply(c.status, c.body)(w, r)
			})
			client, _ := testClient(t, lp.transport)
			got, err := client.AgentProfile(t.Context(), "agent-1")
			if got != c.want || OutcomeOf(err) != c.out || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %+v, %v", got, err)
			}
			if n := len(lp.received()); n != 1 {
				t.Errorf("%d attempts", n)
			}
		})
	}
	lp := newLivePerson(t)
	client, f := testClient(t, lp.transport)
	f.domains.err = &lpauth.Error{Op: "domain lookup", Err: lpauth.ErrNoService}
	if _, err := client.AgentProfile(t.Context(), "agent-1"); !errors.Is(err, ErrNoProfile) || len(lp.received()) != 0 {
		t.Errorf("an account without the service: %v", err)
	}
}

func TestWhatConsumersMayUpload(t *testing.T) {
	lp := newLivePerson(t)
	pictures, _ := testClient(t, lp.transport)
	documents, _ := testClient(t, lp.transport)
	documents.documents = true
	for _, c := range []struct {
		kind               string
		size               int64
		picture, documents bool
	}{
		{"PNG", 1, true, true}, {"png", MaxUploadBytes, true, true}, {"PNG", MaxUploadBytes + 1, false, false}, {"PNG", 0, false, false},
		{"PDF", 1, false, true}, {"DOCX", MaxDocumentBytes, false, true}, {"XLSX", MaxDocumentBytes + 1, false, false}, {"EXE", 1, false, false},
	} {
		if got := pictures.uploadable(c.kind, c.size); got != c.picture {
			t.Errorf("%s of %d: %v", c.kind, c.size, got)
		}
		if got := documents.uploadable(c.kind, c.size); got != c.documents {
			t.Errorf("%s of %d where documents may be sent: %v", c.kind, c.size, got)
		}
	}
}
