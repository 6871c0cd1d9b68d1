package chatwoot

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"lpbridge/config"
)

// The vectors were made with openssl from the scheme that Chatwoot documents.
func TestSignatureVectors(t *testing.T) {
	const secret, timestamp = "s3cr3t", "1700000000"
	vectors := []struct{ body, signature string }{
		{`{"event":"message_created","id":1}`, "sha256=04138dcc53323f6d45a6017e6ecde3e44d8a8fd47345498ffe2c3c7216510220"},
		{`{"event":"conversation_typing_on","user":{"id":10,"name":"Zoë"},"conversation":{"id":42},"is_private":false}`,
			"sha256=fba906bcc814c16bee53c54d25a37b541fcb00dc6b28bf28b0b818f212fc6e51"},
	}
	at := time.Unix(1700000000, 0)
	for _, v := range vectors {
		tests := []struct {
			name, timestamp, signature, body string
			secrets                          []string
			now                              time.Time
			want                             error
		}{
			{"good", timestamp, v.signature, v.body, []string{secret}, at, nil},
			{"second secret", timestamp, v.signature, v.body, []string{"x", secret}, at, nil},
			{"first secret", timestamp, v.signature, v.body, []string{secret, "x"}, at, nil},
			{"upper-case hex", timestamp, "sha256=" + strings.ToUpper(v.signature[7:]), v.body, []string{secret}, at, nil},
			{"five minutes late", timestamp, v.signature, v.body, []string{secret}, at.Add(5 * time.Minute), nil},
			{"five minutes early", timestamp, v.signature, v.body, []string{secret}, at.Add(-5 * time.Minute), nil},
			{"too late", timestamp, v.signature, v.body, []string{secret}, at.Add(5*time.Minute + time.Second), errOutOfTime},
			{"too early", timestamp, v.signature, v.body, []string{secret}, at.Add(-5*time.Minute - time.Second), errOutOfTime},
			{"other secret", timestamp, v.signature, v.body, []string{"x"}, at, errBadSignature},
			{"no secret", timestamp, v.signature, v.body, nil, at, errBadSignature},
			{"other body", timestamp, v.signature, v.body + "\n", []string{secret}, at, errBadSignature},
			{"other timestamp", "1700000001", v.signature, v.body, []string{secret}, at, errBadSignature},
			{"same number in other digits", "01700000000", v.signature, v.body, []string{secret}, at, errBadSignature},
			{"body alone is signed", timestamp, "sha256=5a5a", v.body, []string{secret}, at, errBadSignature},
			{"no prefix", timestamp, v.signature[7:], v.body, []string{secret}, at, errBadSignature},
			{"other algorithm", timestamp, "sha1=" + v.signature[7:], v.body, []string{secret}, at, errBadSignature},
			{"no signature", timestamp, "", v.body, []string{secret}, at, errUnsigned},
			{"no timestamp", "", v.signature, v.body, []string{secret}, at, errUnsigned},
			{"negative timestamp", "-1700000000", v.signature, v.body, []string{secret}, at, errBadTimestamp},
			{"timestamp in words", "now", v.signature, v.body, []string{secret}, at, errBadTimestamp},
			{"endless timestamp", strings.Repeat("9", 40), v.signature, v.body, []string{secret}, at, errBadTimestamp},
			{"far timestamp", "4611686018427387903", v.signature, v.body, []string{secret}, at, errOutOfTime},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				h := http.Header{}
				h.Set("x-chatwoot-timestamp", tt.timestamp)
				h.Set("x-chatwoot-signature", tt.signature)
				var secrets []config.Secret
				for _, s := range tt.secrets {
					secrets = append(secrets, config.NewSecret(s))
				}
				if err := verify(secrets, h, []byte(tt.body), tt.now); !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			})
		}
	}
}

func TestPathSecret(t *testing.T) {
	for got, want := range map[string]error{urlSecret: nil, "": errBadPath, urlSecret + "x": errBadPath, urlSecret[1:]: errBadPath} {
		if err := verifyPath(config.NewSecret(urlSecret), got); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", got, err, want)
		}
	}
	if err := verifyPath(config.Secret{}, ""); err == nil {
		t.Error("an empty secret opens the door")
	}
}
