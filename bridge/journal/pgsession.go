package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// binaryForm is the form of all parameters and all columns.
var binaryForm = []int16{1}

// pgSession is a connection with the statements it knows. It serves one caller at a time.
type pgSession struct {
	conn *pgconn.PgConn
	// searchPath is what the address says of it.
	searchPath string
	prepared   map[statement]*pgconn.StatementDescription
	// buf holds the parameters of the statement that runs, params where each is.
	buf    []byte
	ends   []int
	params [][]byte
}

func newSession(ctx context.Context, config *pgconn.Config) (*pgSession, error) {
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, &connectError{err}
	}
	return &pgSession{conn: conn, searchPath: config.RuntimeParams["search_path"], prepared: map[statement]*pgconn.StatementDescription{}}, nil
}

// connectError says on one line why there is no connection.
type connectError struct{ err error }

func (e *connectError) Error() string {
	return "connect: " + strings.Join(strings.Fields(e.err.Error()), " ")
}

func (e *connectError) Unwrap() error { return e.err }

// close ends the connection without waiting for the server.
func (s *pgSession) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = s.conn.Close(ctx)
}

// within bounds all that is asked until the next call; zero ends the bound.
func (s *pgSession) within(d time.Duration) error {
	var end time.Time
	if d > 0 {
		end = time.Now().Add(d)
	}
	return s.conn.Conn().SetDeadline(end)
}

func (s *pgSession) prepare(ctx context.Context, st statement) (*pgconn.StatementDescription, error) {
	if known := s.prepared[st]; known != nil {
		return known, nil
	}
	made, err := s.conn.Prepare(ctx, "s"+strconv.Itoa(int(st)), pgText(st), nil)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	s.prepared[st] = made
	return made, nil
}

// bind writes arguments as the parameters of a statement.
func (s *pgSession) bind(d *pgconn.StatementDescription, args []any) error {
	if len(args) != len(d.ParamOIDs) {
		return fmt.Errorf("%d arguments for %d parameters", len(args), len(d.ParamOIDs))
	}
	s.buf, s.ends, s.params = s.buf[:0], s.ends[:0], s.params[:0]
	for i, arg := range args {
		var err error
		if s.buf, err = appendValue(s.buf, arg, d.ParamOIDs[i]); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
		s.ends = append(s.ends, len(s.buf))
	}
	from := 0
	for _, to := range s.ends {
		s.params = append(s.params, s.buf[from:to:to])
		from = to
	}
	return nil
}

// query runs a statement, has row read its rows, and returns how many it changed.
func (s *pgSession) query(ctx context.Context, st statement, args []any, row func(scan func(...any) error) error) (int64, error) {
	d, err := s.prepare(ctx, st)
	if err != nil {
		return 0, err
	}
	if err := s.bind(d, args); err != nil {
		return 0, err
	}
	rows := s.conn.ExecStatement(ctx, d, s.params, binaryForm, binaryForm)
	// What was written is not kept in memory by this.
	clear(s.buf)
	tag, err := readRows(rows, row)
	return tag.RowsAffected(), err
}

// readRows has row read rows and closes them.
func readRows(rows *pgconn.ResultReader, row func(scan func(...any) error) error) (pgconn.CommandTag, error) {
	var failed error
	scan := func(dest ...any) error {
		values, fields := rows.Values(), rows.FieldDescriptions()
		if len(dest) != len(values) {
			return fmt.Errorf("%d columns for %d variables", len(values), len(dest))
		}
		for i, to := range dest {
			if err := readValue(to, values[i], fields[i].DataTypeOID); err != nil {
				return fmt.Errorf("column %d: %w", i+1, err)
			}
		}
		return nil
	}
	for rows.NextRow() {
		if row != nil && failed == nil {
			failed = row(scan)
		}
	}
	tag, err := rows.Close()
	return tag, errors.Join(err, failed)
}

// ask runs SQL that is no statement of the journal's and reads the one row it may have.
func (s *pgSession) ask(ctx context.Context, sql string, params []string, dest ...any) (found bool, err error) {
	texts := make([][]byte, len(params))
	for i, p := range params {
		texts[i] = []byte(p)
	}
	rows := s.conn.ExecParams(ctx, sql, texts, nil, nil, binaryForm)
	_, err = readRows(rows, func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// run runs SQL without parameters, several statements if need be.
func (s *pgSession) run(ctx context.Context, sql string) error {
	_, err := s.conn.Exec(ctx, sql).ReadAll()
	return err
}
