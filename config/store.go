package config

import (
	"errors"
	"log/slog"
	"net/url"
	"strings"
)

// Engine is the database that keeps the journal.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Store says where the journal is kept. Its zero value is no store. As the address of a PostgreSQL database may hold a
// password, a Store prints without user, password and parameters, and has a _FILE twin as secrets have.
type Store struct {
	engine  Engine
	address Secret
}

// ParseStore reads sqlite:PATH or postgres://user:password@host/database?parameters. Its errors do not quote the text.
func ParseStore(text string) (Store, error) {
	switch {
	case strings.HasPrefix(text, "sqlite:"):
		return parseSQLite(strings.TrimPrefix(text, "sqlite:"))
	case strings.HasPrefix(text, "postgres://"), strings.HasPrefix(text, "postgresql://"):
		return parsePostgres(text)
	}
	return Store{}, errors.New("must be sqlite:PATH or postgres://user:password@host/database")
}

func parseSQLite(path string) (Store, error) {
	switch {
	case strings.Trim(path, "/") == "":
		return Store{}, errors.New("must name a file after sqlite:, such as sqlite:data/lpbridge.db")
	case strings.HasPrefix(path, ":memory:"):
		return Store{}, errors.New("must be a file: a database in memory would lose accepted messages")
	case strings.HasSuffix(path, "/"):
		return Store{}, errors.New("must name a file after sqlite:, not a directory")
	case strings.ContainsAny(path, "?#"):
		return Store{}, errors.New("must be a plain path after sqlite:, without parameters")
	}
	return Store{engine: SQLite, address: NewSecret(path)}, nil
}

func parsePostgres(text string) (Store, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Fragment != "" || strings.Contains(u.Path, "@"): // an unescaped / or # ends the password early
		return Store{}, errors.New("is not a valid postgres:// URL (special characters in the password must be percent-encoded)")
	case u.Hostname() == "" && u.Query().Get("host") == "":
		return Store{}, errors.New("must name a host after postgres://")
	case strings.Trim(u.Path, "/") == "" && u.Query().Get("dbname") == "":
		return Store{}, errors.New("must name a database after the host, as in postgres://host/database")
	}
	return Store{engine: Postgres, address: NewSecret(text)}, nil
}

// Engine returns the database's kind, empty for the zero value.
func (s Store) Engine() Engine { return s.engine }

// Path returns the file of an SQLite store, empty for others. A relative path is relative to the working directory.
func (s Store) Path() string {
	if s.engine != SQLite {
		return ""
	}
	return s.address.Reveal()
}

// ConnString returns the URL of a PostgreSQL store as it was given, not set for others.
func (s Store) ConnString() Secret {
	if s.engine != Postgres {
		return Secret{}
	}
	return s.address
}

// String returns the store without user, password and parameters.
func (s Store) String() string {
	switch s.engine {
	case SQLite:
		return "sqlite:" + s.address.Reveal()
	case Postgres:
		u, err := url.Parse(s.address.Reveal())
		if err != nil {
			return "postgres://" + hidden
		}
		return "postgres://" + u.Host + u.EscapedPath()
	}
	return missing
}

// GoString returns what String returns.
func (s Store) GoString() string { return s.String() }

// LogValue returns what String returns.
func (s Store) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns what String returns.
func (s Store) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is [ParseStore].
func (s *Store) UnmarshalText(text []byte) error {
	parsed, err := ParseStore(strings.TrimSpace(string(text)))
	if err == nil {
		*s = parsed
	}
	return err
}
