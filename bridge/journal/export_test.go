package journal

// Commits is how many transactions there were since Open.
func (j *Journal) Commits() int64 { return j.w.commits.Load() }

// Checkpoints is how often the log was copied into the database.
func (j *Journal) Checkpoints() int64 { return j.w.checkpoints.Load() }

// sqliteOf is the engine of a journal on SQLite.
func sqliteOf(j *Journal) *sqliteEngine {
	return j.db.engine.(*sqliteEngine)
}
