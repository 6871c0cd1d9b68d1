package bridge

// TypingTracked is how many threads the typing clocks look after. At rest it is
// none: every message that was queued was reported as sent.
func (b *Bridge) TypingTracked() int64 {
	return b.consumerTyping.tracked.Load() + b.agentTyping.tracked.Load()
}

// Doubted is how many dialogs have a message whose answer is missing.
func (b *Bridge) Doubted() int {
	s := b.toLivePerson
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sentTo)
}
