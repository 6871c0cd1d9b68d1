//go:build e2e

package sandbox_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lpbridge/connector/lpsim"
)

// origin is the web page the SDKs believe to be on.
const origin = "http://consumer.example"

// TestLayerSDKs lets both generations of Layer's SDKs, at the same time, meet the
// simulator's agents.
func TestLayerSDKs(t *testing.T) {
	public := freeAddress(t)
	base, ca := secure(t, public)
	s := start(t, public, "LAYER_PUBLIC_URL="+base, "LAYER_ORIGINS="+origin)
	scripts := []string{"websdk.js", "web-xdk.js"}
	t.Run("scripts", func(t *testing.T) {
		for _, script := range scripts {
			t.Run(script, func(t *testing.T) {
				t.Parallel()
				node(t, "../layer", script, "BASE_URL="+base+"/layer", "IDENTITY_URL="+base+"/layer/sandbox/identity_token",
					"APP_ID=layer:///apps/staging/sandbox", "ORIGIN="+origin, "SIM_URL="+s.simulator, "CONSUMER_KEY="+consumerKey, "NODE_EXTRA_CA_CERTS="+ca)
			})
		}
	})
	checkLeftBehind(t, s.simulator, len(scripts))
}

// TestContentInLayersFormerSDK sends what an agent can send to the SDK that knows no
// message types.
func TestContentInLayersFormerSDK(t *testing.T) {
	public := freeAddress(t)
	base, ca := secure(t, public)
	s := start(t, public, "LAYER_PUBLIC_URL="+base, "LAYER_ORIGINS="+origin)
	node(t, "../layer", "websdk-content.js", "BASE_URL="+base+"/layer", "IDENTITY_URL="+base+"/layer/sandbox/identity_token",
		"APP_ID=layer:///apps/staging/sandbox", "ORIGIN="+origin, "SIM_URL="+s.simulator, "CONSUMER_KEY="+consumerKey, "NODE_EXTRA_CA_CERTS="+ca)
}

// secure puts a proxy that ends TLS before an address, because web-xdk speaks
// https only, and returns where it is and the file of its certificate.
func secure(t *testing.T, address string) (base, ca string) {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: address}
	return secureProxy(t, func(r *httputil.ProxyRequest) { r.SetURL(target) })
}

// secureProxy is the same with many addresses, of which route sets one.
func secureProxy(t *testing.T, route func(*httputil.ProxyRequest)) (base, ca string) {
	t.Helper()
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		route(r)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return proxy.URL, ca
}

// checkLeftBehind checks what a simulator is left with: one conversation of each consumer
// of Layer, nothing said twice, nobody typing, whatever channel they come by.
func checkLeftBehind(t *testing.T, simulator string, consumers int) {
	t.Helper()
	resp, err := http.Get(simulator + "/sim/conversations")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var found []lpsim.Summary
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	type left struct {
		Messages, DuplicateRequests, DuplicateTexts int64
		Typing                                      bool
	}
	var got, want []left
	for _, c := range found {
		if !strings.HasPrefix(c.ExtConsumerID, "layer:") {
			if c.DuplicateRequests != 0 || c.DuplicateTexts != 0 || c.ConsumerTyping {
				t.Errorf("the simulator is left with %+v", c)
			}
			continue
		}
		got = append(got, left{c.ConsumerMessages, c.DuplicateRequests, c.DuplicateTexts, c.ConsumerTyping})
	}
	for range consumers {
		want = append(want, left{Messages: 4})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the simulator is left with (-want +got):\n%s", diff)
	}
}
