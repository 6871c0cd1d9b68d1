package console

import "testing"

func TestKnownHost(t *testing.T) {
	hosts := []string{"Bridge.corp.internal"}
	tests := []struct {
		host string
		want bool
	}{
		{"127.0.0.1:8081", true},
		{"127.0.0.1", true},
		{"[::1]:8081", true},
		{"[::1]", true},
		{"10.2.3.4:8081", true},
		{"localhost:8081", true},
		{"LOCALHOST.", true},
		{"bridge.localhost:8081", true},
		{"lpbridge:8081", true},
		{"bridge.corp.internal:443", true},
		{"", true},
		{"other.corp.internal", false},
		{"evil.example:8081", false},
		{"127.0.0.1.evil.example", false},
		{"localhost.evil.example", false},
		{"evillocalhost.example", false},
	}
	for _, test := range tests {
		if got := knownHost(test.host, hosts); got != test.want {
			t.Errorf("knownHost(%q) = %v, want %v", test.host, got, test.want)
		}
	}
}
