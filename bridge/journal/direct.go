package journal

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// The writer owns its connection and runs some statements for every event, and for
// those database/sql does what nobody needs here: it locks, looks whether the connection
// is the statement's, copies the arguments twice, and wraps the result. So what changes
// rows is asked of the driver itself, by the goroutine that owns the connection.

// direct are the writer's statements as the driver has them.
type direct struct {
	execs [writerStatements]driver.StmtExecContext
	// values are the arguments of the statement that runs.
	values []driver.NamedValue
}

// exec runs a statement of the writer and returns how many rows it changed.
func (s *sqliteEngine) exec(ctx context.Context, st statement, args []any) (int64, error) {
	stmt := s.execs[st]
	if stmt == nil {
		var err error
		if stmt, err = s.prepareDirect(ctx, st); err != nil {
			return 0, err
		}
	}
	s.values = s.values[:0]
	for i, arg := range args {
		value, err := driverValue(arg)
		if err != nil {
			return 0, fmt.Errorf("argument %d: %w", i+1, err)
		}
		s.values = append(s.values, driver.NamedValue{Ordinal: i + 1, Value: value})
	}
	res, err := stmt.ExecContext(ctx, s.values)
	// What was written is not kept in memory by this.
	clear(s.values)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// driverValue is an argument as drivers take it.
func driverValue(arg any) (driver.Value, error) {
	switch v := arg.(type) {
	case int64, string, []byte, bool:
		return v, nil
	case int:
		return int64(v), nil
	default:
		return driver.DefaultParameterConverter.ConvertValue(arg)
	}
}

func (s *sqliteEngine) prepareDirect(ctx context.Context, st statement) (driver.StmtExecContext, error) {
	err := s.conn.Raw(func(conn any) error {
		preparer, ok := conn.(driver.ConnPrepareContext)
		if !ok {
			return errors.New("the driver prepares nothing")
		}
		made, err := preparer.PrepareContext(ctx, text[st])
		if err != nil {
			return err
		}
		if s.execs[st], ok = made.(driver.StmtExecContext); !ok {
			return errors.Join(errors.New("the driver's statements take no context"), made.Close())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	return s.execs[st], nil
}

// closeDirect closes them; the connection is closed after it.
func (s *sqliteEngine) closeDirect() error {
	var errs []error
	for _, stmt := range s.execs {
		if closer, ok := stmt.(driver.Stmt); ok {
			errs = append(errs, closer.Close())
		}
	}
	return errors.Join(errs...)
}
