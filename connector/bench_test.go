package connector

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"reqId":"1","code":"OK","body":{"sequence":3}}`)
	}))
	defer server.Close()
	tokens := &fakeTokens{}
	client, err := New(Options{AccountID: testAccount, Domains: at(server.URL), AppTokens: tokens, Consumers: fakeConsumers{tokens}})
	if err != nil {
		b.Fatal(err)
	}
	event := ContentEvent{Message: strings.Repeat("twelve chars", 10)}
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.Send(b.Context(), ana, mainDialog, event); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSendAlone leaves the network out: what the client itself costs.
func BenchmarkSendAlone(b *testing.B) {
	client, _ := testClient(b, roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"reqId":"1","code":"OK","body":{"sequence":3}}`))}, nil
	}))
	event := ContentEvent{Message: strings.Repeat("twelve chars", 10)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Send(b.Context(), ana, mainDialog, event); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseNotification reads an agent's message as LivePerson tells of it.
func BenchmarkParseNotification(b *testing.B) {
	body := []byte(`{"kind":"notification","body":{"changes":[{"sequence":7,"originatorId":"agent-1","originatorMetadata":{"id":"agent-1","role":"ASSIGNED_AGENT"},"serverTimestamp":1795847054177,"event":{"type":"ContentEvent","message":"Good morning, what can I do for you?","contentType":"text/plain"},"conversationId":"16e5e7ef-d1e0-4e4c-8c0d-6a2b8d0f5b11","dialogId":"16e5e7ef-d1e0-4e4c-8c0d-6a2b8d0f5b11"}]},"type":"ms.MessagingEventNotification"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseNotification(body); err != nil {
			b.Fatal(err)
		}
	}
}
