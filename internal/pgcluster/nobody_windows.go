package pgcluster

// becomeNobody has nothing to do: PostgreSQL gives its rights up by itself.
func (*Cluster) becomeNobody(string) error { return nil }
