package journal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// migrationLock is the advisory lock under which the layout is made and changed.
const migrationLock = 0x6c70627269646765

// openPostgres waits until this process owns the journal, and brings its layout up to
// date. While it waits it says why.
func openPostgres(ctx context.Context, opts *Options) (*pgEngine, error) {
	e, err := newPostgres(opts)
	if err != nil {
		return nil, err
	}
	if err := e.lease.await(ctx); err != nil {
		return nil, err
	}
	for {
		err := e.migrate(ctx)
		if err == nil {
			return e, nil
		}
		if !errors.Is(err, errAway) || pauseFor(ctx, retryPatience) != nil {
			return nil, errors.Join(explain(err), e.close())
		}
		e.log.Warn("journal: its layout could not be read, it is tried again", "error", err)
	}
}

// newPostgres is an engine that has no connection yet.
func newPostgres(opts *Options) (*pgEngine, error) {
	config, err := pgConfig(opts.Store, opts.Password)
	if err != nil {
		return nil, err
	}
	e := &pgEngine{config: config, log: opts.Logger, free: make(chan *pgSession, readers)}
	for range readers {
		e.free <- nil
	}
	e.lease = newLease(e, opts)
	return e, nil
}

// prepareLayout makes what a process needs that waits, where it is missing.
func prepareLayout(ctx context.Context, s *pgSession) error {
	var there bool
	if _, err := s.ask(ctx, `SELECT to_regclass('layout') IS NOT NULL AND to_regclass('lease') IS NOT NULL AND to_regclass('fence') IS NOT NULL`, nil, &there); err != nil {
		return err
	}
	if there {
		return nil
	}
	return makeLayout(ctx, s)
}

func makeLayout(ctx context.Context, s *pgSession) error {
	var schema string
	err := s.run(ctx, "BEGIN")
	if err == nil {
		_, err = s.ask(ctx, fmt.Sprintf(`SELECT coalesce(current_schema(), ''), pg_advisory_xact_lock(%d) IS NULL`, migrationLock), nil, &schema, new(bool))
	}
	if err == nil && schema == "" && s.searchPath == defaultSchema {
		err = s.run(ctx, `CREATE SCHEMA IF NOT EXISTS `+defaultSchema)
	}
	if err == nil {
		err = s.run(ctx, leaseLayout)
	}
	if err != nil {
		return errors.Join(err, s.run(ctx, "ROLLBACK"))
	}
	return s.run(ctx, "COMMIT")
}

// layoutVersion returns how many migrations were applied, if this release knows them.
func layoutVersion(ctx context.Context, s *pgSession) (int, error) {
	version, err := readVersion(ctx, s)
	if err != nil {
		return 0, err
	}
	return version, knownLayout(version, len(pgMigrations))
}

func readVersion(ctx context.Context, s *pgSession) (version int, err error) {
	if _, err = s.ask(ctx, `SELECT version FROM layout`, nil, &version); err != nil {
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	return version, nil
}

// admits looks whether this release knows the layout.
func (e *pgEngine) admits(ctx context.Context, s *pgSession) error {
	_, err := layoutVersion(ctx, s)
	if e.refill && errors.Is(err, errUnfinished) {
		return nil
	}
	return err
}

// migrate brings the layout up to date in one transaction of the owner.
func (e *pgEngine) migrate(ctx context.Context) error {
	if err := e.begin(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := e.applyMigrations(ctx); err != nil {
		return errors.Join(fmt.Errorf("migrate: %w", away(e.writing, err)), e.rollback(ctx))
	}
	if err := e.commit(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func (e *pgEngine) applyMigrations(ctx context.Context) error {
	s := e.writing
	// A large table may take its time.
	if err := s.within(time.Hour); err != nil {
		return err
	}
	if err := s.run(ctx, fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, migrationLock)); err != nil {
		return err
	}
	version, err := layoutVersion(ctx, s)
	if err != nil {
		return err
	}
	e.fresh = version == 0
	for _, m := range pgMigrations[version:] {
		if err := s.run(ctx, migration(m, time.Now())); err != nil {
			return err
		}
	}
	if version == len(pgMigrations) {
		return nil
	}
	return s.run(ctx, fmt.Sprintf(`UPDATE layout SET version = %d`, len(pgMigrations)))
}
