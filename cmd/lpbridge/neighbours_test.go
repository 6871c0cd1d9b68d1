package main

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// talker is a consumer of a channel that consumers' apps call.
type talker struct {
	x        *everyChannel
	messages string
	body     func(text string) string
	header   []string
}

// says has the consumer write and returns the answer.
func (c *talker) says(text string) answer {
	c.x.t.Helper()
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(c.header); i += 2 {
		h.Set(c.header[i], c.header[i+1])
	}
	return do(c.x.t, http.MethodPost, c.x.p.public+c.messages, h, c.body(text))
}

// chatwootContact is an anonymous contact of the public API with a conversation.
func (x *everyChannel) chatwootContact(source string) *talker {
	x.t.Helper()
	x.call(http.MethodPost, publicAPI, `{"source_id":"`+source+`"}`, nil)
	var thread struct{ ID int }
	x.call(http.MethodPost, publicAPI+"/"+source+"/conversations", "{}", &thread)
	return &talker{x: x, messages: publicAPI + "/" + source + "/conversations/" + strconv.Itoa(thread.ID) + "/messages", body: func(text string) string {
		return fmt.Sprintf(`{"content":%q}`, text)
	}}
}

// layerUser is a user of Layer with a conversation.
func (x *everyChannel) layerUser(user string) *talker {
	x.t.Helper()
	var nonce struct{ Nonce string }
	x.call(http.MethodPost, "/layer/nonces", "", &nonce, layerAccept...)
	var identity struct {
		Token string `json:"identity_token"`
	}
	x.call(http.MethodPost, "/layer/sandbox/identity_token", `{"nonce":"`+nonce.Nonce+`","user_id":"`+user+`"}`, &identity)
	var session struct {
		Token string `json:"session_token"`
	}
	x.call(http.MethodPost, "/layer/sessions", sessionOf("sandbox", identity.Token), &session, layerAccept...)
	c := &talker{x: x, header: append([]string{"Authorization", `Layer session-token="` + session.Token + `"`}, layerAccept...), body: func(text string) string {
		return fmt.Sprintf(`{"parts":[{"mime_type":"text/plain","body":%q}]}`, text)
	}}
	var conversation struct{ ID string }
	x.call(http.MethodPost, "/layer/conversations", `{"participants":["layer:///identities/agent"],"distinct":false}`, &conversation, c.header...)
	c.messages = "/layer/conversations/" + strings.TrimPrefix(conversation.ID, "layer:///conversations/") + "/messages"
	return c
}

// servedChannels is a bridge with the channels that consumers' apps call.
func servedChannels(t *testing.T, changes map[string]string) *everyChannel {
	t.Helper()
	x := &everyChannel{stage: newStage(t)}
	settings := map[string]string{
		"LPBRIDGE_CHANNELS": "chatwootapi,layer", "LPBRIDGE_PUBLIC_URL": x.front, "CHATWOOTAPI_INBOXES": "inbox,other",
		"LAYER_APP_IDS": "sandbox", "LAYER_SANDBOX_IDENTITIES": "true", "WEBHOOK_SECRET": "", "WEBHOOK_URL": "",
	}
	maps.Copy(settings, changes)
	x.p = x.run(settings)
	return x
}

// TestOneContactLeavesRoomForOthers: with LivePerson away, one anonymous contact
// fills its share and no more, is told so, and others of the same inbox get in.
func TestOneContactLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	// A tenth of what may be pending is each consumer's.
	x := servedChannels(t, map[string]string{"LPBRIDGE_MAX_PENDING": "80"})
	noisy := map[string]*talker{"chatwootapi": x.chatwootContact("noisy"), "layer": x.layerUser("noisy")}
	quiet := map[string]*talker{"chatwootapi": x.chatwootContact("quiet"), "layer": x.layerUser("quiet")}
	x.away(t, true)
	for channel, c := range noisy {
		taken, refused := 0, answer{}
		for n := range 40 {
			if a := c.says(fmt.Sprint("word ", n)); a.status/100 == 2 {
				taken++
			} else {
				refused = a
			}
		}
		if taken != 8 || refused.status != http.StatusTooManyRequests || refused.header.Get("Retry-After") == "" {
			t.Errorf("%s took %d and then answered %d, Retry-After %q: %s", channel, taken, refused.status, refused.header.Get("Retry-After"), refused.body)
		}
		if a := quiet[channel].says("hello from the quiet one on " + channel); a.status/100 != 2 {
			t.Errorf("%s answered somebody else %d: %s", channel, a.status, a.body)
		}
	}
	metrics := get(t, x.p.admin+"/metrics").body
	for channel := range noisy {
		for _, want := range []string{
			`lpbridge_events_refused_total{channel="` + channel + `",reason="share"} 32`,
			`lpbridge_requests_refused_total{channel="` + channel + `",reason="too_many"} 32`,
		} {
			if !strings.Contains(metrics, want+"\n") {
				t.Errorf("the metrics lack %s", want)
			}
		}
	}
	if line := x.p.awaitLine("requests are refused"); line["level"] != "WARN" || line["reason"] != "too_many" {
		t.Errorf("logged %v", line)
	}
	x.away(t, false)
	for channel, c := range noisy {
		await(t, "room for the noisy one on "+channel, func() bool { return c.says("again on "+channel).status/100 == 2 })
		await(t, "its words on "+channel, func() bool { return x.conversationWith("again on "+channel) != "" })
	}
	x.p.terminate()
}

// TestOneContactLeavesRequestsToOthers: one contact that asks as fast as it can is told
// when to come again, and another of the same inbox is served.
func TestOneContactLeavesRequestsToOthers(t *testing.T) {
	t.Parallel()
	x := servedChannels(t, map[string]string{"CHATWOOTAPI_CONTACT_REQUESTS": "20", "LAYER_USER_REQUESTS": "20"})
	for channel, pair := range map[string][2]*talker{
		"chatwootapi": {x.chatwootContact("noisy"), x.chatwootContact("quiet")}, "layer": {x.layerUser("noisy"), x.layerUser("quiet")},
	} {
		refused := 0
		for n := range 40 {
			a := pair[0].says(fmt.Sprint("word ", n))
			if a.status/100 == 2 {
				continue
			}
			refused++
			if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); a.status != http.StatusTooManyRequests || err != nil || seconds < 1 || seconds > 4 {
				t.Fatalf("%s answered %d, Retry-After %q: %s", channel, a.status, a.header.Get("Retry-After"), a.body)
			}
		}
		if refused == 0 {
			t.Errorf("%s took 40 requests at once", channel)
		}
		if a := pair[1].says("hello"); a.status/100 != 2 {
			t.Errorf("%s answered somebody else %d: %s", channel, a.status, a.body)
		}
	}
	x.p.terminate()
}
