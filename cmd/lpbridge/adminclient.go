package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"os"

	"lpbridge/bridge/console"
	"lpbridge/config"
)

// adminClient reaches the running bridge of the same environment.
func adminClient(env environment) (*console.Client, error) {
	var section struct {
		Bridge config.Bridge `env:",prefix=LPBRIDGE_"`
	}
	if _, err := config.Load(&section, env.lookup); err != nil {
		return nil, err
	}
	return clientOf(section.Bridge), nil
}

func clientOf(b config.Bridge) *console.Client {
	client := &console.Client{BaseURL: "http://" + localAddress(b.AdminListen), HTTP: http.DefaultClient, Token: b.Doors.AdminToken.Reveal()}
	if b.Doors.AdminTLSCert != "" {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = pinned(b.Doors.AdminTLSCert)
		client.BaseURL, client.HTTP = "https://"+localAddress(b.AdminListen), &http.Client{Transport: transport}
	}
	return client
}

// leafOf is the certificate a file begins with.
func leafOf(certFile string) (*x509.Certificate, error) {
	text, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("holds no certificate")
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
		text = rest
	}
}

// localURL is where this machine reaches a listener of its own that speaks http.
func localURL(listen string) string { return "http://" + localAddress(listen) }

// localAddress is the same without the scheme.
func localAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
