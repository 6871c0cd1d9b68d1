package bridge

// TypingPending is how many messages the typing clocks believe to be on their
// way. At rest it is none: every message that was queued was reported as sent.
func (b *Bridge) TypingPending() int {
	n := 0
	for _, c := range []*typingClock{b.consumerTyping, b.agentTyping} {
		for i := range c.shards {
			s := &c.shards[i]
			s.mu.Lock()
			for _, t := range s.threads {
				n += t.pending
			}
			s.mu.Unlock()
		}
	}
	return n
}

// Doubted is how many dialogs have a message whose answer is missing.
func (b *Bridge) Doubted() int {
	s := b.toLivePerson
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sentTo)
}
