package lpsim

// How a conversation can be lost to its consumer while it lasts.
const (
	forgotten = "forgotten"
	disowned  = "disowned"
)

// Forget makes LivePerson forget a conversation: its consumer is answered as for one that never was (the knob
// unknownConversation), agents cannot act in it, and the consumer may open another. What was said stays readable here.
func (s *Sim) Forget(id string) error { return s.lose(id, forgotten) }

// Disown gives a conversation to another consumer: 401 with the knob foreignConversationCode, whatever the token.
func (s *Sim) Disown(id string) error { return s.lose(id, disowned) }

func (s *Sim) lose(id, how string) error {
	c := s.find(id)
	if c == nil {
		return ErrUnknownConversation
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.markLost(c, how)
	return nil
}

func (s *Sim) markLost(c *conversation, how string) {
	if c.lost == "" {
		s.stats.forgotten.Add(1)
	}
	c.lost = how
	s.stream.publish("conversation", func() any { return streamed{c.id, c.summary()} })
}

// loseByChance applies the rates of the faults to a SEND's conversation, which is locked.
func (s *Sim) loseByChance(c *call, conv *conversation) {
	switch {
	case c.faults.happens(rollForget, c.faults.ForgetConversationRate):
		s.markLost(conv, forgotten)
	case c.faults.happens(rollDisown, c.faults.DisownConversationRate):
		s.markLost(conv, disowned)
	}
}
