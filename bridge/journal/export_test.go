package journal

// Commits is how many transactions there were since Open.
func (j *Journal) Commits() int64 { return j.w.commits.Load() }

// Checkpoints is how often the log was copied into the database.
func (j *Journal) Checkpoints() int64 { return j.w.checkpoints.Load() }
