package journal

import (
	"strings"
	"testing"

	"lpbridge/bridge"
)

// FuzzPostgresAddress: an address of PostgreSQL that cannot be used is refused without its
// password, and one that can keeps what the journal rests on.
func FuzzPostgresAddress(f *testing.F) {
	const secret = "hunter2-hunter2"
	for _, rest := range []string{
		"@db.example:5432/lpbridge?sslmode=verify-full", "@a,b:1/c?target_session_attrs=read-write", "@h/d?connect_timeout=x", "@h/d?sslmode=nonsense",
		"@h:x/d", "@[::1]/d?search_path=s", "@/d?host=/run", "@h/d?client_encoding=LATIN1&application_name=", "@h/d?passfile=/nothing&service=x", "%zz@h/d", "",
	} {
		f.Add(rest)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		if strings.Contains(rest, "file") || strings.Contains(rest, "cert") || strings.Contains(rest, "key") {
			// These name files of this machine.
			return
		}
		config, err := pgConfig("postgres://u:"+secret+rest, "")
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error has the password: %v", err)
			}
			return
		}
		if config.ConnectTimeout <= 0 || config.ConnectTimeout > connectTime {
			t.Errorf("a connection may take %s", config.ConnectTimeout)
		}
		for _, name := range []string{"application_name", "search_path", "client_encoding", "idle_in_transaction_session_timeout"} {
			if config.RuntimeParams[name] == "" {
				t.Errorf("no %s", name)
			}
		}
	})
}

// FuzzRows reads the columns of a row as another release, or a hand, may have written them.
func FuzzRows(f *testing.F) {
	for _, name := range []string{"webhook>t", "webhook<t", "a>b<c>d", "", ">", "no direction", "\xff>\x00"} {
		f.Add(name, "delivered", int64(1_700_000_000_000_000))
	}
	f.Add("layer<x", "a later one", int64(-1))
	f.Fuzz(func(t *testing.T, lane, outcome string, at int64) {
		if key, err := parseLane(lane); err == nil && laneName(key) != lane {
			t.Errorf("%q became %q", lane, laneName(key))
		}
		switch o := parseOutcome(outcome); {
		case outcome == "":
		case o.String() != outcome && o != bridge.Unknown:
			t.Errorf("%q became %q", outcome, o)
		}
		if back := micros(fromMicros(at)); back != at {
			t.Errorf("%d became %d", at, back)
		}
	})
}
