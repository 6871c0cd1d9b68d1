package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// defaultSchema is where the tables are, unless the address sets search_path.
	defaultSchema = "lpbridge"
	// connectTime is how long a connection may take, transactionTime how long a
	// transaction: longer is away.
	connectTime     = 5 * time.Second
	transactionTime = 10 * time.Second
	readTime        = 10 * time.Second
	// idleInTransaction is after how long PostgreSQL ends a transaction whose owner
	// says nothing: a frozen one must not keep the fence from the next.
	idleInTransaction = "2000"
	// oldestPostgreSQL is the oldest release that is tested.
	oldestPostgreSQL = 130000
)

var errEncoding = errors.New("the database's encoding must be UTF8: create it with ENCODING 'UTF8' TEMPLATE template0")

// pgEngine is a journal's database on PostgreSQL, which the process owns as long as its
// lease lasts.
type pgEngine struct {
	config *pgconn.Config
	log    *slog.Logger
	lease  *lease

	// writing is the writer's connection, nil while there is none; inside says that a
	// transaction runs on it. tried is when the last attempt at one failed, refusal why.
	writing *pgSession
	inside  bool
	tried   time.Time
	refusal error
	// tx is the number of the last transaction that took place.
	tx int64
	// free are connections of readers; nil stands for one that is not made yet.
	free  chan *pgSession
	fresh bool
	// refill says that a database that [Transfer] did not finish may be taken.
	refill bool
}

// pgConfig reads an address. Its errors do not quote it, for it may hold a password.
func pgConfig(address, password string) (*pgconn.Config, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" && parsed.Query().Get("host") == "" {
		return nil, errors.New("is no address that can be read: write postgres://USER@HOST:5432/DATABASE?sslmode=verify-full, with %XX for special characters in user and password")
	}
	if parsed.Path == "" || parsed.Path == "/" {
		return nil, errors.New("must name a database after the host, as in postgres://USER@HOST:5432/DATABASE")
	}
	config, err := pgconn.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("is no address PostgreSQL's clients know: %s", wrongSetting(err))
	}
	if password != "" {
		config.Password = password
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > connectTime {
		config.ConnectTimeout = connectTime
	}
	for name, value := range map[string]string{
		"application_name": "lpbridge", "search_path": defaultSchema, "client_encoding": "UTF8",
	} {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = value
		}
	}
	config.RuntimeParams["idle_in_transaction_session_timeout"] = idleInTransaction
	return config, nil
}

// wrongSetting says what is wrong with an address without quoting it.
func wrongSetting(err error) string {
	for _, setting := range []string{"sslmode", "port", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "target_session_attrs", "channel_binding"} {
		if strings.Contains(err.Error(), setting) || strings.Contains(err.Error(), strings.TrimPrefix(setting, "ssl")) {
			return "look at " + setting
		}
	}
	return "look at its parameters"
}

// connect makes a connection that can be trusted to keep what it confirms.
func (e *pgEngine) connect(ctx context.Context) (*pgSession, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	s, err := newSession(ctx, e.config)
	if err != nil {
		return nil, err
	}
	if err := e.greet(ctx, s); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (e *pgEngine) greet(ctx context.Context, s *pgSession) error {
	var recovering bool
	var version int64
	var encoding, durable string
	// A commit is confirmed when it is on disk, whatever the server's setting.
	_, err := s.ask(ctx, `SELECT pg_is_in_recovery(), current_setting('server_version_num')::bigint, current_setting('server_encoding'),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)`,
		nil, &recovering, &version, &encoding, &durable)
	switch {
	case err != nil:
		return err
	case recovering:
		return errReadOnly
	case version < oldestPostgreSQL:
		return fmt.Errorf("PostgreSQL %d is too old, 13 or newer is needed", version/10000)
	case encoding != "UTF8":
		return errEncoding
	}
	return nil
}

// away marks an error of a connection that is gone.
func away(s *pgSession, err error) error {
	if err == nil || s != nil && !s.conn.IsClosed() {
		return err
	}
	return fmt.Errorf("%w: %w", errAway, err)
}

// connectWriter returns the writer's connection. One that could not be made is not tried again
// at once, so that callers hear soon that there is none.
func (e *pgEngine) connectWriter() (*pgSession, error) {
	if e.writing != nil && !e.writing.conn.IsClosed() {
		return e.writing, nil
	}
	if time.Since(e.tried) < retryPatience/2 {
		return nil, e.refusal
	}
	s, err := e.connect(context.Background())
	if err != nil {
		e.tried, e.refusal = time.Now(), fmt.Errorf("%w: %w", errAway, explain(err))
		return nil, e.refusal
	}
	e.writing = s
	return s, nil
}

// exec implements statements. A statement outside of a transaction gets one of its own.
func (e *pgEngine) exec(ctx context.Context, st statement, args []any) (int64, error) {
	switch st {
	case begin:
		return 0, e.begin(ctx)
	case commit:
		return 0, e.commit(ctx)
	case rollback:
		return 0, e.rollback(ctx)
	}
	if e.inside {
		n, err := e.writing.query(ctx, st, args, nil)
		return n, away(e.writing, err)
	}
	if err := e.begin(ctx); err != nil {
		return 0, err
	}
	n, err := e.writing.query(ctx, st, args, nil)
	if err != nil {
		return 0, errors.Join(err, e.rollback(ctx))
	}
	return n, e.commit(ctx)
}

// begin begins a transaction that nobody but the owner can commit.
func (e *pgEngine) begin(ctx context.Context) error {
	if e.lease.deposed() {
		return errDeposed
	}
	known := e.writing != nil
	fenced, err := e.beginOn(ctx)
	if err != nil && known && e.writing == nil && !pgconn.Timeout(err) {
		// The connection had broken unnoticed, as when PostgreSQL was restarted, and what
		// begins a transaction may be said twice.
		fenced, err = e.beginOn(ctx)
	}
	if err != nil {
		return err
	}
	e.inside = true
	if !fenced {
		return nil
	}
	why := e.whyFenced(ctx)
	if errors.Is(why, errDeposed) {
		e.lease.depose()
	}
	return errors.Join(why, e.rollback(ctx))
}

// beginOn begins a transaction on the writer's connection, and reports whether the fence
// does not let it pass.
func (e *pgEngine) beginOn(ctx context.Context) (fenced bool, err error) {
	s, err := e.connectWriter()
	if err != nil {
		return false, err
	}
	if err := s.within(transactionTime); err != nil {
		e.drop(s, err)
		return false, fmt.Errorf("%w: %w", errAway, err)
	}
	batch := &pgconn.Batch{}
	batch.ExecParams(pgText(begin), nil, nil, nil, nil)
	batch.ExecParams(`UPDATE fence SET tx = $1 WHERE part = 0 AND epoch = $2 AND tx = $3`, [][]byte{
		number64(e.tx + 1), number64(e.lease.epoch()), number64(e.tx),
	}, nil, nil, nil)
	results, err := s.conn.ExecBatch(ctx, batch).ReadAll()
	if err != nil {
		e.drop(s, err)
		return false, fmt.Errorf("%w: %w", errAway, explain(err))
	}
	return results[1].CommandTag.RowsAffected() != 1, nil
}

// whyFenced says why the fence does not let a transaction pass.
func (e *pgEngine) whyFenced(ctx context.Context) error {
	epoch, tx, err := readFence(ctx, e.writing, "")
	switch {
	case err != nil:
		return away(e.writing, err)
	case epoch == e.lease.epoch() && tx != e.tx:
		return fmt.Errorf("%w: it has transaction %d and confirmed %d", errRestored, tx, e.tx)
	case epoch < e.lease.epoch():
		return errRestored
	}
	return errDeposed
}

func readFence(ctx context.Context, s *pgSession, lock string) (epoch, tx int64, err error) {
	found, err := s.ask(ctx, `SELECT epoch, tx FROM fence WHERE part = 0 `+lock, nil, &epoch, &tx)
	if err == nil && !found {
		err = errors.New("the fence has no row")
	}
	return epoch, tx, err
}

func number64(n int64) []byte { return []byte(strconv.FormatInt(n, 10)) }

// drop gives a connection up that failed outside of a transaction.
func (e *pgEngine) drop(s *pgSession, err error) {
	if err != nil {
		s.close()
		e.writing, e.inside = nil, false
	}
}

// commit ends the transaction. Without PostgreSQL's own word nobody knows how it ended.
func (e *pgEngine) commit(ctx context.Context) error {
	s := e.writing
	results, err := s.conn.Exec(ctx, text[commit]).ReadAll()
	e.inside = false
	switch {
	case err != nil && !answered(err):
		s.close()
		e.writing = nil
		return fmt.Errorf("%w: %w", errUnanswered, err)
	case err != nil:
		return err
	case len(results) != 1 || results[0].CommandTag.String() != text[commit]:
		return errors.New("PostgreSQL rolled a transaction back")
	}
	e.tx++
	return s.within(0)
}

// fate finds out how the transaction ended whose answer was lost. It waits for one that
// has not ended yet.
func (e *pgEngine) fate(ctx context.Context) (committed bool, err error) {
	if e.lease.deposed() {
		return false, errDeposed
	}
	s, err := e.connectWriter()
	if err != nil {
		return false, err
	}
	if err := s.within(transactionTime); err != nil {
		return false, fmt.Errorf("%w: %w", errAway, err)
	}
	epoch, tx, err := readFence(ctx, s, "FOR UPDATE")
	switch {
	case err != nil:
		e.drop(s, err)
		return false, fmt.Errorf("%w: %w", errAway, err)
	case epoch != e.lease.epoch():
		return false, errDeposed
	case tx == e.tx+1:
		e.tx = tx
		return true, nil
	case tx == e.tx:
		return false, nil
	}
	return false, errRestored
}

func (e *pgEngine) rollback(ctx context.Context) error {
	s := e.writing
	if !e.inside {
		return nil
	}
	e.inside = false
	if s.conn.IsClosed() {
		e.writing = nil
		return nil
	}
	if err := s.run(ctx, text[rollback]); err != nil {
		e.drop(s, err)
		return away(s, err)
	}
	return s.within(0)
}

// row implements statements.
func (e *pgEngine) row(ctx context.Context, st statement, args, dest []any) (bool, error) {
	found := false
	err := e.each(ctx, st, args, func(scan func(...any) error) error {
		if found {
			return nil
		}
		found = true
		return scan(dest...)
	})
	return found && err == nil, err
}

// each implements statements. What is read in vain on a connection that broke is read
// once more on a new one.
func (e *pgEngine) each(ctx context.Context, st statement, args []any, row func(scan func(...any) error) error) error {
	if st < writerStatements && e.inside {
		_, err := e.writing.query(ctx, st, args, row)
		return away(e.writing, err)
	}
	s, err := e.reader(ctx)
	if err != nil {
		return err
	}
	rows := 0
	count := func(scan func(...any) error) error {
		rows++
		return row(scan)
	}
	err = e.read(ctx, s, st, args, count)
	if err == nil || !s.conn.IsClosed() || rows > 0 || ctx.Err() != nil {
		e.giveBack(s)
		return away(s, err)
	}
	if s, err = e.connect(ctx); err != nil {
		e.giveBack(nil)
		return fmt.Errorf("%w: %w", errAway, explain(err))
	}
	err = e.read(ctx, s, st, args, row)
	e.giveBack(s)
	return away(s, err)
}

func (e *pgEngine) read(ctx context.Context, s *pgSession, st statement, args []any, row func(scan func(...any) error) error) error {
	bound, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	_, err := s.query(bound, st, args, row)
	if err != nil && bound.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: no answer within %s", errAway, readTime)
	}
	return err
}

// reader takes a connection of the readers', when one is free.
func (e *pgEngine) reader(ctx context.Context) (*pgSession, error) {
	var s *pgSession
	select {
	case s = <-e.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s != nil && !s.conn.IsClosed() {
		return s, nil
	}
	s, err := e.connect(ctx)
	if err != nil {
		e.giveBack(nil)
		return nil, fmt.Errorf("%w: %w", errAway, explain(err))
	}
	return s, nil
}

func (e *pgEngine) giveBack(s *pgSession) { e.free <- s }

// verify implements upkeep: PostgreSQL answers for its files.
func (*pgEngine) verify() error { return nil }

// reserve implements upkeep: PostgreSQL's disk is its own.
func (*pgEngine) reserve(context.Context, bool) error { return nil }

// checkpoint implements upkeep: PostgreSQL looks after its log.
func (*pgEngine) checkpoint(context.Context, int) (bool, error) { return false, nil }

// rewrite implements upkeep. What PostgreSQL keeps of its log, and copies of it, are not
// rewritten.
func (e *pgEngine) rewrite(ctx context.Context) (fatal bool, err error) {
	s, err := e.connectWriter()
	if err != nil {
		return false, err
	}
	for _, table := range tables {
		if err := s.run(ctx, "VACUUM (FULL) "+table); err != nil {
			e.drop(s, err)
			return false, fmt.Errorf("rewrite %s: %w", table, explain(err))
		}
	}
	return false, nil
}

// left implements heritage.
func (e *pgEngine) left() legacy { return legacy{fresh: e.fresh} }

// note implements heritage: PostgreSQL's log does not lose its end.
func (*pgEngine) note(int64) {}

// sizes implements engine.
func (e *pgEngine) sizes() (database, log int64) { return e.lease.size.Load(), 0 }

// close implements engine. The next process may begin at once.
func (e *pgEngine) close() error {
	e.lease.release()
	if e.writing != nil {
		e.writing.close()
	}
	for range readers {
		if s := <-e.free; s != nil {
			s.close()
		}
	}
	return nil
}

// abandon implements engine.
func (e *pgEngine) abandon() error { return e.close() }
