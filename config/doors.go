package config

import (
	"errors"
	"net"
)

// minToken is the shortest token that nobody finds by trying, in bytes.
const minToken = 16

// Doors says who may call the listeners, and what proves it.
type Doors struct {
	AdminToken     Secret `env:"ADMIN_TOKEN" desc:"What operators log in to the admin listener with, at least 16 characters; commands send it as a bearer token. Required where LPBRIDGE_ADMIN_LISTEN reaches beyond this machine. A new one in its file is taken on SIGHUP and ends the sessions of the old one."`
	MetricsToken   Secret `env:"METRICS_TOKEN" desc:"Bearer token that may read /metrics and nothing else, at least 16 characters. Without it /metrics takes LPBRIDGE_ADMIN_TOKEN, where that is set."`
	AdminAllowOpen bool   `env:"ADMIN_ALLOW_OPEN" desc:"Permit an admin listener beyond this machine without LPBRIDGE_ADMIN_TOKEN: whoever reaches it can replay and discard what consumers wrote."`
	AdminProfiles  bool   `env:"ADMIN_PROFILES" desc:"Serve profiles of the running program at /debug/pprof/ of the admin listener. They cost time, and show what is in memory."`
	AdminTLSCert   string `env:"ADMIN_TLS_CERT" desc:"File with the certificate, and those between it and the root, in PEM, with which the admin listener speaks TLS. Read again when it changes."`
	AdminTLSKey    string `env:"ADMIN_TLS_KEY" desc:"File with the private key of LPBRIDGE_ADMIN_TLS_CERT, in PEM."`
	TLSCert        string `env:"TLS_CERT" desc:"File with the certificate, and those between it and the root, in PEM, with which the public listener speaks TLS. Read again when it changes. Without it something before the bridge must."`
	MaxConnections int    `env:"MAX_CONNECTIONS" min:"0" desc:"Connections at the same time to the public listener; 0 for half of the files the system lets the process open. Others wait. One channel may have requests, sockets included, on half of them."`
	TLSKey         string `env:"TLS_KEY" desc:"File with the private key of LPBRIDGE_TLS_CERT, in PEM."`
}

// Validate reports what no single variable shows.
func (d Doors) Validate() error {
	return errors.Join(
		checkToken("ADMIN_TOKEN", d.AdminToken), checkToken("METRICS_TOKEN", d.MetricsToken), d.checkTokens(),
		checkPair("ADMIN_TLS_CERT", d.AdminTLSCert, "ADMIN_TLS_KEY", d.AdminTLSKey),
		checkPair("TLS_CERT", d.TLSCert, "TLS_KEY", d.TLSKey),
	)
}

func (d Doors) checkTokens() error {
	if d.AdminToken.IsSet() && d.AdminToken.Equal(d.MetricsToken) {
		return errors.New("METRICS_TOKEN: must differ from LPBRIDGE_ADMIN_TOKEN: who reads metrics would be an operator")
	}
	return nil
}

// checkToken quotes nothing.
func checkToken(variable string, token Secret) error {
	text := token.Reveal()
	switch {
	case !token.IsSet():
		return nil
	case len(text) < minToken:
		return errors.New(variable + ": must have at least 16 characters, such as those of `openssl rand -hex 24`")
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return errors.New(variable + ": must be printable ASCII without spaces")
		}
	}
	return nil
}

// checkPair: of certificate and key there are both or none.
func checkPair(certVariable, cert, keyVariable, key string) error {
	switch {
	case cert != "" && key == "":
		return errors.New(keyVariable + ": is required with LPBRIDGE_" + certVariable)
	case cert == "" && key != "":
		return errors.New(certVariable + ": is required with LPBRIDGE_" + keyVariable)
	}
	return nil
}

// checkAdmin refuses an admin listener that anybody in a network could use.
func (b Bridge) checkAdmin() error {
	if b.AdminOnLoopback() || b.Doors.AdminToken.IsSet() || b.Doors.AdminAllowOpen {
		return nil
	}
	return errors.New("ADMIN_TOKEN: is required, as LPBRIDGE_ADMIN_LISTEN reaches beyond this machine; " +
		"LPBRIDGE_ADMIN_ALLOW_OPEN=true permits it without")
}

// AdminOnLoopback reports whether only this machine reaches the admin listener.
func (b Bridge) AdminOnLoopback() bool {
	host, _, err := net.SplitHostPort(b.AdminListen)
	// What is no address is complained about by itself.
	return err != nil || isLoopback(host)
}
