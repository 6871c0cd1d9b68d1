package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"lpbridge/bridge"
)

// identityLife is how long a certificate says that it is good. Nobody looks at that:
// it is known by its digest.
const identityLife = 100 * 365 * 24 * time.Hour

// Identity is what a replica proves itself with, and what it wants proved. It lives as
// long as the process, and only in its memory until the replica owns the journal.
type Identity struct {
	certificate tls.Certificate
	digest      string
	token       bridge.PeerToken
	// wanted is the SHA-256 of token.
	wanted [sha256.Size]byte
}

// NewIdentity draws one.
func NewIdentity() (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw a key: %w", err)
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lpbridge"},
		NotBefore: now.Add(-identityLife), NotAfter: now.Add(identityLife), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	token := bridge.PeerToken(rand.Text() + rand.Text())
	return &Identity{
		certificate: tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, digest: digestOf(raw),
		token: token, wanted: sha256.Sum256([]byte(token)),
	}, nil
}

// At is what other replicas are told of one that listens at an address.
func (i *Identity) At(address string) bridge.Peer {
	return bridge.Peer{Address: address, Certificate: i.digest, Token: i.token}
}

// TLS is what the peer listener speaks with.
func (i *Identity) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{i.certificate}, NextProtos: []string{"http/1.1"}}
}

// proved reports whether a token is the one that is wanted.
func (i *Identity) proved(token string) bool {
	given := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(given[:], i.wanted[:]) == 1
}

func digestOf(certificate []byte) string {
	sum := sha256.Sum256(certificate)
	return hex.EncodeToString(sum[:])
}

var errAnotherPeer = errors.New("what listens there is not the owner of the journal")

// believing speaks with the one peer that has a certificate.
func believing(digest string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
		// What is verified is below.
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection believes one certificate only
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 || digestOf(state.PeerCertificates[0].Raw) != digest {
				return errAnotherPeer
			}
			return nil
		},
	}
}
