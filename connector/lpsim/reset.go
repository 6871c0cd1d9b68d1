package lpsim

// Reset forgets everything that happened: conversations, consumers, files, profiles of agents, Monitoring sessions, calls
// and notifications, those under way and delayed included. Faults, script and webhooks are again those of the
// configuration. Tokens stay valid, event streams stay open, and the counters of /sim/stats go on.
func (s *Sim) Reset() {
	s.hooks.reset(s.config.Webhooks)
	s.mu.Lock()
	old := make([]*conversation, 0, len(s.conversations))
	for _, c := range s.conversations {
		old = append(old, c)
	}
	s.conversations, s.dialogs, s.consumers, s.order = map[string]*conversation{}, map[string]*conversation{}, map[string]*consumer{}, nil
	s.mu.Unlock()
	for _, c := range old {
		// What is on the agenda for a conversation finds it over.
		c.mu.Lock()
		c.state, c.stage, c.survey, c.lost = stateClose, stateClose, nil, forgotten
		c.mu.Unlock()
	}
	s.files.forget()
	s.visits.forget()
	s.requests.forget()
	s.profiles.forget()
	s.script.Store(&s.config.Script)
	s.faults.Store(enforce(s.config.Faults, s.config.Now()))
	s.stream.publish("reset", func() any { return struct{}{} })
}

func (f *files) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths, f.order, f.bytes = map[string]*file{}, nil, 0
}

func (v *visits) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.byID)
}

func (p *profiles) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byID = nil
}

// reset drops every notification. Those a worker has taken, and those on the agenda, belong to a former era and are
// dropped when they come back.
func (h *hooks) reset(w Webhooks) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.era.Add(1)
	for _, l := range h.lanes {
		for _, n := range l.queue {
			n.settleWait()
		}
		l.queue = nil
	}
	h.lanes, h.held, h.batches, h.ready = map[string]*lane{}, map[string]*notification{}, map[batchKey]*notification{}, nil
	clear(h.late)
	h.waiting, h.config, h.state, h.probed = 0, w, hooksUp, nil
}
