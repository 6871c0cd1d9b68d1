package lpauth

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// formerSecretLife is how long a secret that was replaced is still accepted on
	// webhooks: LivePerson repeats them for up to three days ("Webhooks Retry
	// Policy" page) and does not say with which secret.
	formerSecretLife = 72 * time.Hour
	// rereadFloor keeps a flood of forged webhooks from becoming one of reads.
	rereadFloor = time.Second
	// mostFormerSecrets bounds what a source that changes all the time leaves.
	mostFormerSecrets = 8
)

// SecretSource gives the client secrets in force, that for new tokens first. It is
// asked again while the program runs, so that a secret can be replaced in a file
// or a vault without a restart. It must not block for long.
type SecretSource func() ([]string, error)

// FixedSecret is a source that never changes.
func FixedSecret(secrets ...string) SecretSource {
	secrets = slices.Clone(secrets)
	return func() ([]string, error) { return secrets, nil }
}

// Secrets are the client secrets of one app installation while they are being
// rotated: LivePerson's webhooks are accepted with the present ones and with those
// they replaced, and tokens are fetched with whichever LivePerson takes.
type Secrets struct {
	source SecretSource
	log    *slog.Logger

	mu      sync.Mutex
	present []string
	former  []formerSecret
	read    time.Time
	failed  bool
}

type formerSecret struct {
	secret string
	until  time.Time
}

// NewSecrets asks the source once, and fails when it has none. Logger may be nil
// for silence.
func NewSecrets(source SecretSource, logger *slog.Logger) (*Secrets, error) {
	if source == nil {
		return nil, ErrNoSecret
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Secrets{source: source, log: logger}
	found, err := usable(source())
	if err != nil {
		return nil, fmt.Errorf("client secret: %w", err)
	}
	s.present, s.read = found, time.Now()
	return s, nil
}

// String leaves the secrets out.
func (s *Secrets) String() string { return "lpauth.Secrets" }

// GoString leaves the secrets out.
func (s *Secrets) GoString() string { return s.String() }

// LogValue leaves the secrets out.
func (s *Secrets) LogValue() slog.Value { return slog.StringValue(s.String()) }

func usable(found []string, err error) ([]string, error) {
	if err != nil {
		// The source's error may quote what it read.
		return nil, errors.New("the source failed")
	}
	found = slices.DeleteFunc(slices.Clone(found), func(secret string) bool { return secret == "" })
	if len(found) == 0 {
		return nil, ErrNoSecret
	}
	return found, nil
}

// inForce reads the source again, at most once a second, and gives the secrets in
// force. A source that fails, or has none at the moment, changes nothing.
func (s *Secrets) inForce() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reread()
	return slices.Clone(s.present)
}

// Reread reads the source now, however short a time ago it was read.
func (s *Secrets) Reread() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = time.Time{}
	s.reread()
}

// reread is called with the lock held.
func (s *Secrets) reread() {
	now := time.Now()
	if now.Sub(s.read) < rereadFloor && !now.Before(s.read) {
		return
	}
	s.read = now
	found, err := usable(s.source())
	if err != nil {
		if !s.failed {
			s.log.Warn("client secret not read, the former one stays in use", "error", err)
		}
		s.failed = true
		return
	}
	s.failed = false
	if slices.Equal(found, s.present) {
		return
	}
	for _, secret := range s.present {
		if !slices.Contains(found, secret) {
			s.former = append(s.former, formerSecret{secret, now.Add(formerSecretLife)})
		}
	}
	s.former = slices.DeleteFunc(s.former, func(f formerSecret) bool { return slices.Contains(found, f.secret) || now.After(f.until) })
	s.former = s.former[max(0, len(s.former)-mostFormerSecrets):]
	s.present = found
	s.log.Info("client secret replaced")
}

// Verify checks a webhook's signature like [VerifySignature], with the present and
// the former secrets, and once more after reading the source when none fits.
func (s *Secrets) Verify(header string, body []byte, pinned ...Algorithm) error {
	s.mu.Lock()
	accepted := s.accepted()
	s.mu.Unlock()
	err := verifyAny(accepted, header, body, pinned)
	if !errors.Is(err, ErrSignatureMismatch) {
		return err
	}
	s.mu.Lock()
	s.reread()
	again := s.accepted()
	s.mu.Unlock()
	if slices.Equal(again, accepted) {
		return err
	}
	return verifyAny(again, header, body, pinned)
}

// accepted is called with the lock held.
func (s *Secrets) accepted() []string {
	accepted := slices.Clone(s.present)
	for _, f := range s.former {
		if time.Now().Before(f.until) {
			accepted = append(accepted, f.secret)
		}
	}
	return accepted
}

func verifyAny(secrets []string, header string, body []byte, pinned []Algorithm) (err error) {
	for _, secret := range secrets {
		if err = VerifySignature(secret, header, body, pinned...); !errors.Is(err, ErrSignatureMismatch) {
			return err
		}
	}
	return err
}
