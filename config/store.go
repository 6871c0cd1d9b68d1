package config

import (
	"errors"
	"log/slog"
	"strings"
)

// Store says where the journal is kept: a file on a local disk. Its zero value is no store.
type Store struct {
	path string
}

// ParseStore reads sqlite:PATH. Its errors do not quote the text, which by mistake may be the address of a database with
// its password.
func ParseStore(text string) (Store, error) {
	path, found := strings.CutPrefix(text, "sqlite:")
	switch {
	case !found:
		return Store{}, errors.New("must be sqlite:PATH")
	case strings.Trim(path, "/") == "":
		return Store{}, errors.New("must name a file after sqlite:, such as sqlite:data/lpbridge.db")
	case strings.HasPrefix(path, ":memory:"):
		return Store{}, errors.New("must be a file: a database in memory would lose accepted messages")
	case strings.HasSuffix(path, "/"):
		return Store{}, errors.New("must name a file after sqlite:, not a directory")
	case strings.ContainsAny(path, "?#"):
		return Store{}, errors.New("must be a plain path after sqlite:, without parameters")
	}
	return Store{path: path}, nil
}

// Path returns the file. A relative path is relative to the working directory.
func (s Store) Path() string { return s.path }

// String returns what ParseStore reads.
func (s Store) String() string {
	if s.path == "" {
		return missing
	}
	return "sqlite:" + s.path
}

// LogValue returns what String returns.
func (s Store) LogValue() slog.Value { return slog.StringValue(s.String()) }

// UnmarshalText is [ParseStore].
func (s *Store) UnmarshalText(text []byte) error {
	parsed, err := ParseStore(strings.TrimSpace(string(text)))
	if err == nil {
		*s = parsed
	}
	return err
}
