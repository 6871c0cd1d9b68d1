package lpauth

import (
	"errors"
	"strings"
	"testing"
)

const vectorSecret = "example-client-secret-0001"

const (
	vector1 = `{"kind":"notification","body":{"changes":[{"originatorId":"29c3019d-fe0b-5200-afe8-737abfeae4b4","originatorMetadata":{"id":"29c3019d-fe0b-5200-afe8-737abfeae4b4","role":"ASSIGNED_AGENT"},"event":{"type":"ChatStateEvent","chatState":"COMPOSING"},"conversationId":"5491244f-e462-4c63-bf4e-faf4b2d3e7b5","dialogId":"5491244f-e462-4c63-bf4e-faf4b2d3e7b5"}]},"type":"ms.MessagingEventNotification"}`
	vector2 = `{"kind":"notification","body":{"changes":[{"sequence":2,"originatorId":"a","originatorMetadata":{"id":"a","role":"ASSIGNED_AGENT"},"serverTimestamp":1528371199686,"event":{"type":"ContentEvent","message":"Olá 😉","contentType":"text/plain"},"dialogId":"d"}]},"type":"ms.MessagingEventNotification"}`

	vector1SHA1   = "sha1=se5Xxww9Pj9gB/HL278mgYM1cqc="
	vector1SHA256 = "sha256=l2qu4ZFqqmrSGzbobCF9+uaw96MVp0Gt6xjKDncKKyg="
	vector2SHA1   = "sha1=DKZd2awRxaaqevxOzJ6AWBf11ic="
	vector2SHA256 = "sha256=WBKGNX4u10vDCznAk9gYrukM593TvMXbcd8TT1lop3g="
)

func TestVerifySignature(t *testing.T) {
	if len(vector1) != 394 || len(vector2) != 301 {
		t.Fatalf("vectors have %d and %d bytes, want 394 and 301", len(vector1), len(vector2))
	}
	for _, c := range []struct {
		name, secret, header, body string
		pinned                     []Algorithm
		want                       error
	}{
		{"sha1", vectorSecret, vector1SHA1, vector1, nil, nil},
		{"sha256", vectorSecret, vector1SHA256, vector1, nil, nil},
		{"emoji sha1", vectorSecret, vector2SHA1, vector2, nil, nil},
		{"emoji sha256", vectorSecret, vector2SHA256, vector2, nil, nil},
		{"pinned and given", vectorSecret, vector1SHA256, vector1, []Algorithm{SHA256}, nil},
		{"pinned to the other", vectorSecret, vector1SHA1, vector1, []Algorithm{SHA256}, ErrSignatureAlgorithm},
		{"no secret", "", vector1SHA1, vector1, nil, ErrNoSecret},
		{"no header", vectorSecret, "", vector1, nil, ErrSignatureMissing},
		{"other secret", vectorSecret + "x", vector1SHA1, vector1, nil, ErrSignatureMismatch},
		{"other body", vectorSecret, vector1SHA1, vector2, nil, ErrSignatureMismatch},
		{"one byte more", vectorSecret, vector1SHA1, vector1 + "\n", nil, ErrSignatureMismatch},
		{"unknown algorithm", vectorSecret, "md5=" + vector1SHA1[5:], vector1, nil, ErrSignatureMalformed},
		{"no algorithm", vectorSecret, vector1SHA1[5:], vector1, nil, ErrSignatureMalformed},
		{"bare name", vectorSecret, "sha1", vector1, nil, ErrSignatureMalformed},
		{"no padding", vectorSecret, strings.TrimRight(vector1SHA1, "="), vector1, nil, ErrSignatureMalformed},
		{"url alphabet", vectorSecret, strings.NewReplacer("+", "-", "/", "_").Replace(vector1SHA1), vector1, nil, ErrSignatureMalformed},
		{"hex", vectorSecret, "sha1=b1ee57c70c3d3e3f6007f1cbdbbf268183357 2a7", vector1, nil, ErrSignatureMalformed},
		{"sha1 sum under sha256", vectorSecret, "sha256" + vector1SHA1[4:], vector1, nil, ErrSignatureMalformed},
		{"line break within", vectorSecret, vector1SHA1[:12] + "\n" + vector1SHA1[12:], vector1, nil, ErrSignatureMalformed},
		{"stray bits", vectorSecret, strings.Replace(vector1SHA1, "cqc=", "cqd=", 1), vector1, nil, ErrSignatureMalformed},
		{"trailing text", vectorSecret, vector1SHA1 + " ", vector1, nil, ErrSignatureMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := VerifySignature(c.secret, c.header, []byte(c.body), c.pinned...)
			if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestSignAgreesWithTheVectors(t *testing.T) {
	for _, c := range []struct {
		alg        Algorithm
		body, want string
	}{{SHA1, vector1, vector1SHA1}, {SHA256, vector1, vector1SHA256}, {SHA1, vector2, vector2SHA1}, {SHA256, vector2, vector2SHA256}, {"md5", vector1, ""}} {
		if got := Sign(c.alg, vectorSecret, []byte(c.body)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.alg, got, c.want)
		}
	}
}

func FuzzVerifySignature(f *testing.F) {
	for _, header := range []string{vector1SHA1, vector1SHA256, "", "sha1=", "sha256==", "sha1=\n", "sha512=AAAA"} {
		f.Add(header, []byte(vector1))
	}
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		// Only what we would sign ourselves may pass.
		passed := VerifySignature(vectorSecret, header, body) == nil
		genuine := header == Sign(SHA1, vectorSecret, body) || header == Sign(SHA256, vectorSecret, body)
		if passed != genuine {
			t.Errorf("header %q: passed %v, genuine %v", header, passed, genuine)
		}
	})
}
