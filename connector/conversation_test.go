package connector

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	profileOK   = `{"code":"OK","body":{"msg":"OK User Profile set successfully"},"reqId":"$1"}`
	opened      = `{"code":"OK","body":{"conversationId":"` + testConversation + `"},"reqId":"$2"}`
	alreadyOpen = `{"code":"BAD_REQUEST","body":{"msg":"Consumer request conversation failed: User 77d338e4ae7a2 already has open conversation. Can't open another one."},"reqId":"$2"}`
)

func TestConversationOnTheWire(t *testing.T) {
	size := 3
	for _, c := range []struct {
		name, profile, conversation string
		request                     ConversationRequest
	}{
		{
			"minimal", `{}`, `{"channelType":"MESSAGING","brandId":"42257269","skillId":"-1"}`, ConversationRequest{},
		},
		{
			"full",
			`{"firstName":"John","lastName":"Doe","avatarUrl":"https://x/a.png","description":"d","privateData":{"mobileNum":"+1","mail":"a@b.c"},
			  "authenticatedData":{"lp_sdes":[{"type":"ctmrinfo","info":{"socialId":"1234567890","ctype":"vip","companySize":3,"registrationDate":{"day":1,"month":2,"year":2020}}},
			  {"type":"personal","personal":{"firstname":"John","lastname":"Doe","gender":"MALE","contacts":[{"email":"a@b.c","phone":"+1"}]}}]}}`,
			`{"ttrDefName":"URGENT","campaignInfo":{"campaignId":"99999","engagementId":"888888"},
			  "conversationContext":{"visitorId":"A3","sessionId":"ys2","interactionContextId":"2","type":"SharkContext","lang":"en-US"},
			  "channelType":"MESSAGING","brandId":"42257269","skillId":"12"}`,
			ConversationRequest{
				Profile: UserProfile{
					FirstName: "John", LastName: "Doe", AvatarURL: "https://x/a.png", Description: "d", Email: "a@b.c", Phone: "+1",
					CustomerInfo: &CustomerInfo{SocialID: "1234567890", CType: "vip", CompanySize: &size, RegistrationDate: &Date{1, 2, 2020}},
					PersonalInfo: &PersonalInfo{Gender: "MALE"},
				},
				SkillID: "12", TTRDefName: "URGENT", CampaignInfo: CampaignInfo{"99999", "888888"},
				Context: &ConversationContext{VisitorID: "A3", SessionID: "ys2", InteractionContextID: "2", Lang: "en-US"},
			},
		},
		{
			"name alone", `{"firstName":"Ana","authenticatedData":{"lp_sdes":[{"type":"personal","personal":{"firstname":"Ana"}}]}}`,
			`{"channelType":"MESSAGING","brandId":"42257269","skillId":"-1"}`, ConversationRequest{Profile: UserProfile{FirstName: "Ana"}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(conversationPath, reply(200, "["+profileOK+","+opened+"]"))
			client, _ := testClient(t, lp.transport)
			id, err := client.Conversation(t.Context(), ana, c.request)
			if id != testConversation || err != nil {
				t.Fatalf("got %q, %v", id, err)
			}
			got := lp.received()
			if len(got) != 1 || got[0].query != "v=3" || got[0].header.Get("Client-Properties") == "" {
				t.Fatalf("%d requests, query %q, header %v", len(got), got[0].query, got[0].header)
			}
			var batch []struct {
				Kind, ID, Type string
				Body           json.RawMessage
			}
			if err := json.Unmarshal([]byte(got[0].body), &batch); err != nil {
				t.Fatal(err)
			}
			if len(batch) != 2 || batch[0].Type != "userprofile.SetUserProfile" || batch[1].Type != "cm.ConsumerRequestConversation" ||
				batch[0].Kind != "req" || batch[0].ID == batch[1].ID {
				t.Errorf("batch %+v", batch)
			}
			if diff := cmp.Diff(decodeJSON(t, c.profile), decodeJSON(t, string(batch[0].Body))); diff != "" {
				t.Errorf("profile (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(decodeJSON(t, c.conversation), decodeJSON(t, string(batch[1].Body))); diff != "" {
				t.Errorf("conversation (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConversationOutcomes(t *testing.T) {
	const profileBad = `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"$1"}`
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   Outcome
		is     error
	}{
		{"reversed order", 200, "[" + opened + "," + profileOK + "]", Delivered, nil},
		{"refused profile does not take the conversation away", 200, "[" + profileBad + "," + opened + "]", Delivered, nil},
		{"refused profile, and 400 for the batch", 400, "[" + profileBad + "," + opened + "]", Delivered, nil},
		{"conversation alone", 200, "[" + opened + "]", Delivered, nil},
		{"already open, 400", 400, "[" + profileOK + "," + alreadyOpen + "]", Invalid, ErrAlreadyOpen},
		{"already open, 200", 200, "[" + profileOK + "," + alreadyOpen + "]", Invalid, ErrAlreadyOpen},
		{"already open, bare", 400, alreadyOpen, Invalid, ErrAlreadyOpen},
		{"ok without an id", 200, `[` + profileOK + `,{"code":"OK","body":{},"reqId":"$2"}]`, Unknown, nil},
		{"someone else's answer", 200, `[{"code":"OK","body":{"conversationId":"other"},"reqId":"77"}]`, Unknown, nil},
		{"only the profile's answer", 200, "[" + profileOK + "]", Unknown, nil},
		{"whole batch refused on 200", 200, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"}}`, Invalid, nil},
		{"whole batch refused", 400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"}}`, Invalid, nil},
		{"400 without a body", 400, "", Retry, nil},
		{"throttled", 429, "", Throttled, ErrThrottled},
		{"unavailable", 503, "[]", Unknown, nil},
		{"empty array", 200, "[]", Unknown, nil},
		{"null", 200, "null", Unknown, nil},
		{"cut short", 200, "[" + profileOK + `,{"code":"OK"`, Unknown, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(conversationPath, reply(c.status, c.body))
			client, _ := testClient(t, lp.transport)
			id, err := client.Conversation(t.Context(), ana, ConversationRequest{})
			if OutcomeOf(err) != c.want || (id == testConversation) != (c.want == Delivered) {
				t.Errorf("got %q, %v (%v), want %v", id, OutcomeOf(err), err, c.want)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %v", err, c.is)
			}
			if err != nil {
				wantNoSecret(t, err, "77d338", "app-1", "jws-")
			}
			if n := len(lp.received()); n != 1 {
				t.Errorf("%d attempts", n)
			}
		})
	}
}

func TestRefusedProfileIsLoggedWithoutTheConsumer(t *testing.T) {
	lp := newLivePerson(t)
	lp.HandleFunc(conversationPath, reply(200, `[{"code":"BAD_REQUEST","body":{"msg":"Bad Request: name Silva"},"reqId":"$1"},`+opened+`]`))
	client, _ := testClient(t, lp.transport)
	var log strings.Builder
	client.log = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := client.Conversation(t.Context(), ana, ConversationRequest{Profile: UserProfile{LastName: "Silva"}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), testConversation) || !strings.Contains(log.String(), "BAD_REQUEST") || strings.Contains(strings.ToLower(log.String()), "silva") {
		t.Errorf("log: %s", log.String())
	}
}

func TestConversationNeedsBothCampaignIDs(t *testing.T) {
	client, _ := testClient(t, newLivePerson(t).transport)
	_, err := client.Conversation(t.Context(), ana, ConversationRequest{CampaignInfo: CampaignInfo{CampaignID: "1"}})
	if OutcomeOf(err) != Invalid || !strings.Contains(err.Error(), "campaignInfo") {
		t.Errorf("got %v", err)
	}
}

func TestConsumerID(t *testing.T) {
	client, _ := testClient(t, newLivePerson(t).transport)
	if id, err := client.ConsumerID(t.Context(), ana); id != "lp-webchat:u-7" || err != nil {
		t.Errorf("got %q, %v", id, err)
	}
}

func TestEngagement(t *testing.T) {
	const path = "POST /api/account/42257269/app/app-install/engagement"
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   Engagement
	}{
		{
			"new session", 201,
			`{"sessionId":"stM0","visitorId":"ZjYW","pageId":"1674628973","engagementDetails":[{"campaignId":2695999112,"engagementId":2696029112,"engagementRevision":3,"contextId":"1","connectorId":2696029012,"status":"expose"}]}`,
			Engagement{SessionID: "stM0", VisitorID: "ZjYW", PageID: "1674628973", CampaignID: "2695999112", EngagementID: "2696029112", ContextID: "1", ConnectorID: "2696029012", Status: "expose"},
		},
		{"nobody eligible", 200, `{"sessionId":"s","visitorId":"v","pageId":7}`, Engagement{SessionID: "s", VisitorID: "v", PageID: "7"}},
		{
			"open conversation, bare element", 200, `{"sessionId":"s","visitorId":"v","engagementDetails":{"campaignId":1,"engagementId":2,"conversationId":"fdasfdas","status":"conversation"}}`,
			Engagement{SessionID: "s", VisitorID: "v", CampaignID: "1", EngagementID: "2", ConversationID: "fdasfdas", Status: "conversation"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(path, reply(c.status, c.body))
			client, _ := testClient(t, lp.transport)
			got, err := client.Engagement(t.Context(), EngagementRequest{ConsumerID: "u7", VisitorID: "v", SessionID: "s&x", EntryPoints: []string{"sec://Sport"}, Profile: UserProfile{FirstName: "Ana"}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			sent := lp.received()[0]
			want := `{"consumerId":"u7","identities":[{"iss":"LivePerson","acr":"loa1","sub":"u7"}],"entryPoints":["sec://Sport"],"engagementAttributes":[{"type":"personal","personal":{"firstname":"Ana"}}]}`
			if sent.body != want || sent.query != "sid=s%26x&v=1.0&vid=v" || sent.header.Get("Authorization") != "" {
				t.Errorf("sent %s with %q", sent.body, sent.query)
			}
			if (got.CampaignInfo() == CampaignInfo{}) != (c.want.CampaignID == "") || got.Context().VisitorID != c.want.VisitorID {
				t.Errorf("campaign %+v, context %+v", got.CampaignInfo(), got.Context())
			}
		})
	}
	lp := newLivePerson(t)
	lp.HandleFunc(path, reply(400, `{"message":"bad vid: v-secret"}`))
	client, _ := testClient(t, lp.transport)
	if _, err := client.Engagement(t.Context(), EngagementRequest{VisitorID: "v-secret"}); OutcomeOf(err) != Invalid || strings.Contains(err.Error(), "v-secret") {
		t.Errorf("got %v", err)
	}
}

const (
	storedPath = "/v1/AUTH_async-images/64467156/abc_uuid_def.PNG"
	signedURL  = `{"code":"OK","body":{"relativePath":"` + storedPath + `","queryParams":{"temp_url_sig":"a+b","temp_url_expires":1528099919}},"reqId":"$ID"}`
)

func TestUpload(t *testing.T) {
	for _, c := range []struct {
		name     string
		statuses []int
		want     Outcome
		puts     int
	}{
		{"stored", []int{201}, Delivered, 1},
		{"address expired once", []int{401, 201}, Delivered, 2},
		{"address always expired", []int{401, 401}, Unauthorized, 2},
		{"storage down", []int{503}, Retry, 1},
		{"too large for it", []int{413}, Invalid, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(sendPath, reply(200, signedURL))
			puts := 0
			lp.HandleFunc("PUT "+storedPath, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != "\x89PNG" || r.URL.Query().Get("temp_url_sig") != "a+b" || r.URL.Query().Get("temp_url_expires") != "1528099919" {
					t.Errorf("put %q with %q", body, r.URL.RawQuery)
				}
				if r.Header.Get("Authorization") != "" || r.Header.Get("X-LP-ON-BEHALF") != "" {
					t.Error("our tokens went to the storage")
				}
				w.WriteHeader(c.statuses[puts])
				puts++
			})
			client, _ := testClient(t, lp.transport)
			path, err := client.Upload(t.Context(), ana, "PNG", []byte("\x89PNG"))
			if OutcomeOf(err) != c.want || puts != c.puts || (c.want == Delivered && path != storedPath) {
				t.Errorf("got %q, %v after %d puts", path, err, puts)
			}
			if !strings.Contains(lp.received()[0].body, `"type":"ms.GenerateURLForUploadFile","body":{"fileSize":"4","fileType":"PNG"}`) {
				t.Errorf("asked %s", lp.received()[0].body)
			}
			if err != nil {
				wantNoSecret(t, err, "a+b", "a%2Bb", storedPath)
				if asError(t, err).Certainty == MaybeApplied {
					t.Error("an upload is never uncertain")
				}
			}
		})
	}
	client, _ := testClient(t, newLivePerson(t).transport)
	if _, err := client.Upload(t.Context(), ana, "PNG", make([]byte, MaxUploadBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large file: %v", err)
	}
	for _, c := range []struct {
		kind string
		data []byte
	}{{"", []byte("x")}, {"PNG", nil}} {
		if _, err := client.Upload(t.Context(), ana, c.kind, c.data); OutcomeOf(err) != Invalid {
			t.Errorf("%q with %d bytes: %v", c.kind, len(c.data), err)
		}
	}
}

func TestDownload(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		limit   int64
		want    string
		is      error
		outcome Outcome
	}{
		{"whole", reply(200, "picture"), 7, "picture", nil, Delivered},
		{"larger than allowed", reply(200, "picture"), 6, "", ErrTooLarge, Invalid},
		{"larger than allowed, unannounced", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "pic")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "ture")
		}, 6, "", ErrTooLarge, Invalid},
		{"gone", reply(404, ""), 7, "", nil, Invalid},
		{"storage down", reply(500, ""), 7, "", nil, Retry},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(sendPath, reply(200, signedURL))
			lp.HandleFunc("GET "+storedPath, c.handler)
			client, _ := testClient(t, lp.transport)
			file, err := client.Download(t.Context(), ana, storedPath, c.limit)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(file.Body)
				if closeErr := file.Body.Close(); closeErr != nil {
					t.Error(closeErr)
				}
			}
			if OutcomeOf(err) != c.outcome || (err == nil && string(got) != c.want) || (c.is != nil && !errors.Is(err, c.is)) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestFilePathsCannotLeaveTheStorage(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{storedPath, "https://swift.example" + storedPath + "?temp_url_sig=s"},
		{strings.TrimPrefix(storedPath, "/"), "https://swift.example" + storedPath + "?temp_url_sig=s"},
		{"/a%20b/c", "https://swift.example/a%20b/c?temp_url_sig=s"},
		{"//evil.example/x", "https://swift.example//evil.example/x?temp_url_sig=s"},
		{"@evil.example/x", "https://swift.example/@evil.example/x?temp_url_sig=s"},
		{"/a/../../b", ""},
		{"/a?temp_url_sig=mine", ""},
		{"/a#b", ""},
		{"/%zz", ""},
	} {
		at, err := fileURL{RelativePath: c.path, QueryParams: map[string]loose{"temp_url_sig": "s"}}.at("https://swift.example")
		if (err == nil) != (c.want != "") || (err == nil && at.String() != c.want) {
			t.Errorf("%s: got %v, %v; want %q", c.path, at, err, c.want)
		}
	}
}
