package lpsim

// Reset forgets everything that happened: conversations, consumers, files, profiles of agents, Monitoring sessions, calls
// and notifications, those under way and delayed included. Faults, script and app installations are
// again those of the configuration. Tokens stay valid, event streams stay open, and the counters of /sim/stats go on.
func (s *Sim) Reset() {
	s.clients.reset()
	s.registry.forget()
	s.files.forget()
	s.monitoring.forget()
	s.requests.forget()
	s.profiles.forget()
	s.script.set(s.app.Script)
	s.app.enforce(s.app.Faults)
	s.stream.publish("reset", func() any { return struct{}{} })
}
