package layer

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"lpbridge/bridge"
)

// nonceLife is how long a nonce can be used (Client API, Authentication).
const nonceLife = 10 * time.Minute

// The lengths of a nonce's fields, in bytes: when it ends, chance, signature.
const (
	nonceEnd    = 8
	nonceChance = 16
	nonceMAC    = 16
)

// nonceStore issues nonces. They are signed, not stored, because anybody may ask
// for any number of them; only a used one leaves a record, that of its session.
type nonceStore struct {
	records bridge.Records

	mu  sync.Mutex
	key []byte
	// spent are digests of used nonces whose sessions were erased, and when their
	// time is over at the latest.
	spent map[string]time.Time
}

// nonceKey is the key nonces are signed with.
type nonceKey struct {
	Key []byte `json:"key"`
}

// issue makes a nonce.
func (b *nonceStore) issue(ctx context.Context) (string, error) {
	key, err := b.loadKey(ctx)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, nonceEnd, nonceEnd+nonceChance+nonceMAC)
	binary.BigEndian.PutUint64(nonce, uint64(time.Now().Add(nonceLife).UnixMilli()))
	nonce = append(nonce, random(nonceChance)...)
	return base64.RawURLEncoding.EncodeToString(append(nonce, signNonce(key, nonce)...)), nil
}

// valid reports whether the nonce is ours and its time is not over. Whether it
// was used the session's record knows.
func (b *nonceStore) valid(ctx context.Context, text string) (bool, error) {
	nonce, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(nonce) != nonceEnd+nonceChance+nonceMAC {
		return false, nil
	}
	key, err := b.loadKey(ctx)
	if err != nil {
		return false, err
	}
	signed, mac := nonce[:nonceEnd+nonceChance], nonce[nonceEnd+nonceChance:]
	ends := time.UnixMilli(int64(binary.BigEndian.Uint64(nonce)))
	return hmac.Equal(mac, signNonce(key, signed)) && time.Now().Before(ends) && !b.isSpent(digest(text)), nil
}

// spend keeps a nonce used though its session is gone.
func (b *nonceStore) spend(digest string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(b.spent, func(_ string, over time.Time) bool { return now.After(over) })
	if b.spent == nil {
		b.spent = map[string]time.Time{}
	}
	b.spent[digest] = now.Add(nonceLife)
}

func (b *nonceStore) isSpent(digest string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, spent := b.spent[digest]
	return spent
}

func signNonce(key, nonce []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(nonce)
	return mac.Sum(nil)[:nonceMAC]
}

// loadKey reads the key, or makes it when there is none yet. It is kept, so
// that a login outlives a restart between its steps.
func (b *nonceStore) loadKey(ctx context.Context) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.key != nil {
		return b.key, nil
	}
	kept, err := kindNonceKey.Find(ctx, b.records, keyOnly)
	if errors.Is(err, bridge.ErrNoRecord) {
		kept, err = b.newKey(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("key of nonces: %w", err)
	}
	b.key = kept.Key
	return b.key, nil
}

func (b *nonceStore) newKey(ctx context.Context) (*nonceKey, error) {
	id, err := kindNonceKey.NextID(ctx, b.records)
	if err != nil {
		return nil, err
	}
	made := &nonceKey{Key: random(sha256.Size)}
	r, err := kindNonceKey.Record(id, "", []string{keyOnly}, time.Now(), made)
	if err != nil {
		return nil, err
	}
	err = b.records.Save(ctx, r)
	if errors.Is(err, bridge.ErrRecordTaken) {
		return kindNonceKey.Find(ctx, b.records, keyOnly)
	}
	return made, err
}

func random(n int) []byte {
	b := make([]byte, n)
	// Read never returns an error.
	_, _ = rand.Read(b)
	return b
}

// digest is what is kept of a credential.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
