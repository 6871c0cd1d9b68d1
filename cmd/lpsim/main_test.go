package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"lpbridge/config"
)

// lines is a writer that can be read while it is written to.
type lines struct {
	mu   sync.Mutex
	data bytes.Buffer
	once sync.Once
	done chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.once.Do(func() { close(l.done) })
	return l.data.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.data.String()
}

func TestItServesUntilItIsTold(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &lines{done: make(chan struct{})}
	ended := make(chan int, 1)
	env := (map[string]string{"LPSIM_LISTEN": "127.0.0.1:0", "LPSIM_SEED": "7", "LPSIM_CLIENT_SECRET": "not-to-be-printed", "LPSIM_WEBHOOK_URL": ""})
	var log bytes.Buffer
	go func() { ended <- execute(ctx, nil, world(env, out, &log)) }()
	<-out.done
	greeting := out.String()
	_, rest, _ := strings.Cut(greeting, "Agent's page        ")
	page, _, _ := strings.Cut(rest, "\n")
	resp, err := http.Get(page + "sim/faults")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var faults struct{ Seed uint64 }
	if err := json.NewDecoder(resp.Body).Decode(&faults); err != nil || faults.Seed != 7 {
		t.Errorf("faults %+v, %v", faults, err)
	}
	if strings.Contains(greeting, "not-to-be-printed") {
		t.Error("the secret is printed")
	}
	if !strings.Contains(greeting, "never use it in production") {
		t.Error("it does not say what it is not")
	}
	// An open stream must not keep the process alive.
	stream, err := http.Get(page + "sim/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d, log %s", code, log.String())
	}
}

// Connectors build https addresses of LivePerson's base URIs.
func TestItServesHTTPSWithAnAuthorityOfItsOwn(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out, ca := &lines{done: make(chan struct{})}, filepath.Join(t.TempDir(), "ca.pem")
	ended := make(chan int, 1)
	env := (map[string]string{"LPSIM_LISTEN": "127.0.0.1:0", "LPSIM_CA_FILE": ca, "LPSIM_HOST": "liveperson.test:8443"})
	var log bytes.Buffer
	go func() { ended <- execute(ctx, nil, world(env, out, &log)) }()
	<-out.done
	_, rest, _ := strings.Cut(out.String(), "Agent's page        ")
	page, _, _ := strings.Cut(rest, "\n")
	data, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(data)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(page + "api/account/sandbox/service/sentinel/baseURI.json?version=1.0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("spoke %s", resp.Proto)
	}
	var domain struct{ BaseURI string }
	if err := json.NewDecoder(resp.Body).Decode(&domain); err != nil || domain.BaseURI != "liveperson.test:8443" || !strings.HasPrefix(page, "https://") {
		t.Errorf("page %q, domain %+v, %v", page, domain, err)
	}
	if _, err := http.Get(page); err == nil {
		t.Error("somebody trusts the authority already")
	}
	// LivePerson's demo app looks its domains up in plain.
	plain, err := http.Get(strings.Replace(page, "https:", "http:", 1) + "healthz")
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != http.StatusOK || plain.ProtoMajor != 1 {
		t.Errorf("in plain: %s over %s", plain.Status, plain.Proto)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d, log %s", code, log.String())
	}
}

func TestBadSettingsNameTheirVariable(t *testing.T) {
	for name, value := range map[string]string{
		"LPSIM_FAULTS": `{"errorRate":2}`, "LPSIM_WEBHOOK_URL": "ftp://x", "LPSIM_WEBHOOK_RETRIES": "6", "LPSIM_WEBHOOK_RETENTION": "1",
		"LPSIM_ACCOUNT_ID": "a/b", "LPSIM_MAX_TRANSCRIPT": "-1", "LPSIM_ECHO": "100h",
	} {
		t.Run(name, func(t *testing.T) {
			var out, log bytes.Buffer
			code := execute(t.Context(), nil, world(map[string]string{name: value}, &out, &log))
			if code != 2 || !strings.Contains(log.String(), name) {
				t.Errorf("code %d, log %q", code, log.String())
			}
		})
	}
}

func TestTyposAreRefused(t *testing.T) {
	for _, tc := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{[]string{"rum"}, nil, `there is no command "rum"`},
		{[]string{"--port=1"}, nil, "unknown flag: --port"},
		{nil, map[string]string{"LPSIM_LISTN": "x"}, "LPSIM_LISTN: has no effect: no such setting; did you mean LPSIM_LISTEN?"},
		{[]string{"run", "--notifications=http://x/"}, nil, "--connector must be"},
		{[]string{"run", "nowhere", "--connector=http://x/", "--notifications=http://x/"}, nil, "scenario nowhere: there is no such file"},
	} {
		var out, log bytes.Buffer
		if code := execute(t.Context(), tc.args, world(tc.env, &out, &log)); code != 2 || !strings.Contains(log.String(), tc.want) {
			t.Errorf("%v %v: code %d, %q", tc.args, tc.env, code, log.String())
		}
	}
}

func TestHelpListsEveryVariable(t *testing.T) {
	var out, log bytes.Buffer
	if code := execute(t.Context(), []string{"--help"}, world(nil, &out, &log)); code != 0 {
		t.Fatalf("code %d: %s", code, log.String())
	}
	for _, v := range config.Reference(new(settings), prefix) {
		if !strings.Contains(out.String(), v.Name) {
			t.Errorf("the help lacks %s", v.Name)
		}
	}
}

// world is an environment of its own.
func world(env map[string]string, out, log io.Writer) environment {
	all := make([]string, 0, len(env))
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	return environment{envconfig.MapLookuper(env), all, out, log}
}

func TestTheReadmeListsEveryVariableWithItsDefault(t *testing.T) {
	readme, err := os.ReadFile("../../connector/lpsim/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range config.Reference(new(settings), prefix) {
		row := "| `" + v.Name + "` | none |"
		if v.Default != "" {
			row = "| `" + v.Name + "` | `" + v.Default + "` |"
		}
		if !strings.Contains(string(readme), row) {
			t.Errorf("README.md has no row %q", row)
		}
	}
}
