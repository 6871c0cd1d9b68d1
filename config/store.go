package config

import (
	"errors"
	"log/slog"
	"net/url"
	"strings"
)

// Store says where the journal is kept: a file on a local disk, or a database of PostgreSQL. Its zero value is no store.
type Store struct {
	path string
	// address is that of a database, which may hold its password.
	address Secret
}

// ParseStore reads sqlite:PATH or postgres://USER@HOST/DATABASE. Its errors do not quote the text, which may hold a
// password.
func ParseStore(text string) (Store, error) {
	if strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://") {
		return parseDatabase(text)
	}
	path, found := strings.CutPrefix(text, "sqlite:")
	switch {
	case !found:
		return Store{}, errors.New("must be sqlite:PATH or postgres://USER@HOST/DATABASE")
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

func parseDatabase(text string) (Store, error) {
	address, err := url.Parse(text)
	switch {
	case err != nil:
		return Store{}, errors.New("must be postgres://USER@HOST:5432/DATABASE?sslmode=verify-full, with %XX for special characters in user and password")
	case address.Host == "" && !address.Query().Has("host"):
		return Store{}, errors.New("must name a host, as in postgres://USER@HOST:5432/DATABASE")
	case strings.Trim(address.Path, "/") == "":
		return Store{}, errors.New("must name a database after the host, as in postgres://USER@HOST:5432/DATABASE")
	case strings.Contains(address.Path, "="):
		// Among them may be a password, which would be shown with the database's name.
		return Store{}, errors.New("must have its parameters after a question mark, as in postgres://USER@HOST:5432/DATABASE?sslmode=verify-full")
	}
	return Store{address: NewSecret(text)}, nil
}

// Path returns the file, empty for a database. A relative path is relative to the working directory.
func (s Store) Path() string { return s.path }

// Reveal returns what ParseStore reads, with the password there may be.
func (s Store) Reveal() string {
	if s.address.IsSet() {
		return s.address.Reveal()
	}
	return s.String()
}

// String returns what ParseStore reads, of a database without its password and parameters.
func (s Store) String() string {
	if s.address.IsSet() {
		address, err := url.Parse(s.address.Reveal())
		if err != nil {
			return hidden
		}
		plain := url.URL{Scheme: address.Scheme, Host: address.Host, Path: address.Path}
		if name := address.User.Username(); name != "" {
			plain.User = url.User(name)
		}
		return plain.String()
	}
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
