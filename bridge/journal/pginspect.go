package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// InspectPostgres looks at a database from another process, whether or not a bridge has
// it, and says what it found: that it can be reached and written, that its layout is known,
// and who owns it. It changes nothing.
func InspectPostgres(ctx context.Context, address, password string) (found string, err error) {
	config, err := pgConfig(address, password)
	if err != nil {
		return "", err
	}
	e := &pgEngine{config: config, log: slog.New(slog.DiscardHandler)}
	s, err := e.connect(ctx)
	if err != nil {
		return "", explain(err)
	}
	defer s.close()
	var there, may bool
	var schema string
	_, err = s.ask(ctx, `SELECT to_regclass('lease') IS NOT NULL, has_database_privilege(current_database(), 'CREATE')
		OR coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), coalesce(current_schema(), '')`, nil, &there, &may, &schema)
	switch {
	case err != nil:
		return "", explain(err)
	case !there && schema == "" && s.searchPath != defaultSchema:
		return "", errors.New("create the schema that search_path in LPBRIDGE_STORE names, or leave search_path out")
	case !there && !may:
		return "", fmt.Errorf("the role may make no tables: have its owner run CREATE SCHEMA %s AUTHORIZATION the role", defaultSchema)
	case !there:
		return "reached; the first start makes the tables", nil
	}
	return inspectTables(ctx, s)
}

func inspectTables(ctx context.Context, s *pgSession) (string, error) {
	version, err := layoutVersion(ctx, s)
	if err != nil {
		return "", explain(err)
	}
	if version > 0 {
		for _, table := range tables {
			var may bool
			_, err := s.ask(ctx, `SELECT coalesce(has_table_privilege(to_regclass($1), 'SELECT') AND has_table_privilege(to_regclass($1), 'INSERT')
				AND has_table_privilege(to_regclass($1), 'UPDATE') AND has_table_privilege(to_regclass($1), 'DELETE'), false)`, []string{table}, &may)
			if err != nil {
				return "", explain(err)
			}
			if !may {
				return "", fmt.Errorf("the table %s is missing, or the role may not read and write it", table)
			}
		}
	}
	var owner string
	if _, err := s.ask(ctx, `SELECT owner FROM lease WHERE part = 0`, nil, &owner); err != nil {
		return "", explain(err)
	}
	if owner == "" {
		owner = "nobody"
	}
	return fmt.Sprintf("reached, schema version %d, owned by %s", version, owner), nil
}
