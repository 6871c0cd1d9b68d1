package connector

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// canned answers every request with one status and body, without a network.
type canned struct {
	status int
	header http.Header
	body   string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: c.status, Header: c.header, Body: io.NopCloser(strings.NewReader(c.body)), ContentLength: -1, Request: r}, nil
}

// Whatever LivePerson, or somebody before it, answers: no call panics, what is
// repeated in an error are words of LivePerson's own, and only LivePerson's form
// is a refusal.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		"", "[]", "null", "<html>Access Denied. Reference #18.2d</html>",
		`{"reqId":"1","code":"OK","body":{"sequence":3}}`, `{"reqId":1,"code":200,"body":{"sequence":"3"}}`,
		`{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"1"}`, `{"code":"BAD_REQUEST","body":"Bad Request, Conversation is close"}`,
		`{"kind":"resp","code":401,"body":{"title":"AppJWT is missing","details":"x","errorCode":40105},"type":".ReqBody$ErrorResp"}`,
		`[{"code":"OK","body":{"msg":"x"},"reqId":"1"},{"code":"OK","body":{"conversationId":"c"},"reqId":"2"}]`,
		`{"code":"OK","body":{"relativePath":"/v1/AUTH_x/../y","queryParams":{"temp_url_sig":"a","temp_url_expires":1}},"reqId":"3"}`,
		`{"sessionId":"s","visitorId":7,"engagementDetails":[{"campaignId":2695999112,"status":"expose"}]}`,
		`{"nickname":"Bo","fullName":7,"pictureUrl":null}`,
	} {
		for _, status := range []int{200, 201, 307, 400, 401, 403, 404, 429, 500, 503} {
			f.Add(status, "17", body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, retryAfter, body string) {
		if status < 200 || status > 599 {
			return
		}
		client, _ := testClient(t, canned{status, http.Header{"Retry-After": {retryAfter}}, body})
		_, err := client.Send(t.Context(), ana, mainDialog, ContentEvent{Message: "my words"})
		checkAnswer(t, err, status, body)
		_, err = client.Conversation(t.Context(), ana, ConversationRequest{})
		checkAnswer(t, err, status, body)
		checkAnswer(t, client.UpdateConversation(t.Context(), ana, "c", Stage{}), status, body)
		_, err = client.Upload(t.Context(), ana, "PNG", []byte("x"))
		checkAnswer(t, err, 0, "")
	})
}

func checkAnswer(t *testing.T, err error, status int, body string) {
	t.Helper()
	if err == nil {
		return
	}
	failed := asError(t, err)
	if !utf8.ValidString(failed.Error()) || len(failed.Error()) > 400 {
		t.Errorf("error text %q", failed.Error())
	}
	if failed.Outcome == Delivered || failed.Outcome == Unknown && failed.Certainty != MaybeApplied {
		t.Errorf("%v with %v", failed.Outcome, failed.Certainty)
	}
	if status != 0 && failed.Outcome == Invalid && !json.Valid([]byte(strings.TrimSpace(body))) && status/100 != 2 {
		t.Errorf("status %d with %q is a refusal", status, body)
	}
}

// Splitting keeps every byte, whatever the text.
func FuzzSplitText(f *testing.F) {
	f.Add("hello world", 20)
	f.Add("\u1100\u1161\u11a8\u1100\u1161\u11a8", 16)
	f.Add("e\u0301\r\n\xff\xe2\x80👩‍👩‍👧‍👦🇵🇹", 17)
	f.Fuzz(func(t *testing.T, text string, budget int) {
		parts := SplitText(text, budget)
		if strings.Join(parts, "") != text {
			t.Error("the parts are not the text")
		}
		for _, part := range parts {
			if n := jsonLength(t, part); budget >= leastBudget && n > budget {
				t.Errorf("%d bytes of json, more than %d", n, budget)
			}
		}
	})
}

func FuzzHTML(f *testing.F) {
	f.Add("<b>Hi</b> there")
	f.Add("<pre>  x\n\n y </pre><a href='tel:1'></a><img src='https://x.test/a'><td>")
	f.Add("<p>a<style>x</style><a href='u'>b</a><br/>c &amp; d<script>e")
	f.Fuzz(func(t *testing.T, source string) {
		if words := wordsOfHTML(source); strings.Contains(words, "\n\n") || strings.TrimSpace(words) != words {
			t.Errorf("words %q", words)
		}
	})
}
