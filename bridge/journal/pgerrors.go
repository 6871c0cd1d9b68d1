package journal

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Errors of the journal on PostgreSQL.
var (
	// errDeposed ends an owner: what it knows may be out of date.
	errDeposed = errors.New("another process owns the journal now")
	// errRestored ends an owner whose database is an earlier one than it wrote to.
	errRestored = errors.New("PostgreSQL has lost transactions that it confirmed, as after a failover to a standby that was behind")
	// errReadOnly means a server that takes no writes.
	errReadOnly = errors.New("this PostgreSQL is a read-only standby: name the primary in LPBRIDGE_STORE, or all hosts with target_session_attrs=read-write, or promote it")
)

// SQLSTATE codes and classes (PostgreSQL, Appendix A).
const (
	codeReadOnly     = "25006"
	codeNoPrivilege  = "42501"
	codeNoDatabase   = "3D000"
	codeNoSchema     = "3F000"
	codeDiskFull     = "53100"
	classAuthorized  = "28"
	classData        = "22"
	classConstraint  = "23"
	classLimit       = "54"
	classNotSupport  = "0A"
	classSyntaxRule  = "42"
	classCorrupted   = "XX"
	severityOfAnswer = "ERROR"
)

// severityOf implements statements. PostgreSQL looks after its own disk: it ends itself
// when a flush fails, and what it confirmed is there when it is back.
func (e *pgEngine) severityOf(err error) severity {
	if errors.Is(err, errDeposed) || errors.Is(err, errRestored) || errors.Is(err, errUnanswered) {
		return broken
	}
	if errors.Is(err, errAway) {
		return later
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		// A value that this side could not write or read.
		return faulty
	}
	switch refused.Code[:2] {
	case classData, classConstraint, classLimit, classNotSupport, classCorrupted, classSyntaxRule:
		if refused.Code != codeNoPrivilege {
			return faulty
		}
	}
	return later
}

// explain says what an operator can do about an error of PostgreSQL.
func explain(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("name the file of the authority that issued its certificate in sslrootcert, in LPBRIDGE_STORE: %w", err)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("name the server in LPBRIDGE_STORE as its certificate does: %w", err)
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	switch {
	case refused.Code == codeReadOnly:
		return fmt.Errorf("%w (%w)", errReadOnly, err)
	case refused.Code == codeNoPrivilege:
		return fmt.Errorf("the role of LPBRIDGE_STORE lacks a right: have its owner run CREATE SCHEMA %s AUTHORIZATION the role, or GRANT CREATE ON DATABASE: %w", defaultSchema, err)
	case refused.Code == codeNoDatabase:
		return fmt.Errorf("create the database that LPBRIDGE_STORE names, or name another: %w", err)
	case refused.Code == codeNoSchema:
		return fmt.Errorf("create the schema that search_path in LPBRIDGE_STORE names, or leave search_path out: %w", err)
	case strings.HasPrefix(refused.Code, classAuthorized):
		return fmt.Errorf("check the user in LPBRIDGE_STORE, its password there or in LPBRIDGE_STORE_PASSWORD, and pg_hba.conf: %w", err)
	}
	return err
}

// hopeless reports whether an error is one that only an operator can mend.
func hopeless(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused.Code == codeNoPrivilege || refused.Code == codeNoDatabase || refused.Code == codeNoSchema || strings.HasPrefix(refused.Code, classAuthorized)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	return errors.Is(err, errNewer) || errors.Is(err, errUnfinished) || errors.Is(err, errEncoding) || strings.Contains(err.Error(), "server refused TLS connection")
}

// answered reports whether an error is PostgreSQL's word that nothing of a transaction
// took place. One that ends the connection may come after a commit that did.
func answered(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.SeverityUnlocalized == severityOfAnswer
}
