package main

import (
	"bytes"
	"image"
	"image/png"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// callers are who called which of some servers, by User-Agent.
type callers struct {
	mu    sync.Mutex
	paths map[string][]string
}

func (c *callers) watch(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.paths[r.UserAgent()] = append(c.paths[r.UserAgent()], name+" "+r.Method+" "+r.URL.Path)
		c.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// called returns a User-Agent's calls that fit.
func (c *callers) called(pattern string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fits := regexp.MustCompile(pattern)
	for _, paths := range c.paths {
		if slices.ContainsFunc(paths, fits.MatchString) {
			return true
		}
	}
	return false
}

// TestEveryCallSaysWhoItIs: whoever reads the logs of LivePerson, of a channel or of
// a host of files finds the bridge and its version in them.
func TestEveryCallSaysWhoItIs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	seen := &callers{paths: map[string][]string{}}
	server := func(name string, h http.Handler) string {
		listening := httptest.NewServer(seen.watch(name, h))
		t.Cleanup(listening.Close)
		return listening.URL
	}
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	host := server("host", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(picture.Bytes()) }))
	away := server("channel", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	settings := s.everyChannel()
	maps.Copy(settings, map[string]string{
		"LP_DOMAIN_API_URL": server("liveperson", s.wire), "WEBHOOK_URL": server("channel", s.far), "CHATWOOT_BASE_URL": away, "LIVECHATAI_BASE_URL": away,
		"LP_MONITORING": "true", "LPBRIDGE_ATTACHMENT_PRIVATE_NETWORKS": "true",
	})
	p := s.run(settings)
	s.post(p, message("a", "a1", "hello"))
	s.post(p, typing("a", "composing"))
	s.post(p, `{"id":"a2","type":"message","thread":"a","consumer":{"id":"consumer-of-a"},"message":{"attachments":[{"url":"`+host+`/a.png"}]}}`)
	if got := outcome(t, s.with(settings), "check"); !strings.Contains(got.stdout, "ok    AppJWT") {
		t.Errorf("the check: %s", got.stdout)
	}
	for what, pattern := range map[string]string{
		"domains": `^liveperson GET /api/account/.*baseURI`, "AppJWT": `^liveperson POST /sentinel/`, "ConsumerJWS": `^liveperson POST /api/account/.*/consumer`,
		"conversation": `/conversation$`, "send": `/conversation/send$`, "monitoring": `^liveperson POST .*/engagement$`, "upload": `^liveperson PUT `,
		"a consumer's file": `^host GET /a.png$`, "a channel that is polled": `^channel GET /api/v2/`, "the clock of the check": `^liveperson HEAD `,
	} {
		await(t, what, func() bool { return seen.called(pattern) })
	}
	p.terminate()
	seen.mu.Lock()
	defer seen.mu.Unlock()
	ours := regexp.MustCompile(`^lpbridge/[a-z0-9.+-]+$`)
	for agent, paths := range seen.paths {
		if !ours.MatchString(agent) {
			t.Errorf("%q called %v", agent, paths)
		}
	}
	if len(seen.paths) != 1 {
		t.Errorf("%d names for one program: %v", len(seen.paths), slices.Sorted(maps.Keys(seen.paths)))
	}
}
