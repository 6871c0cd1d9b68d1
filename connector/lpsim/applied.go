package lpsim

// Applied is one thing a call has done, told before the call is answered: the moment in which a connector that is
// killed, or an answer that is lost, leaves a message in LivePerson of which the connector does not know.
type Applied struct {
	API            API    `json:"api"`
	ConversationID string `json:"conversationId"`
	DialogID       string `json:"dialogId,omitempty"`
	// Type is LivePerson's: ContentEvent, AcceptStatusEvent, ChatStateEvent, cm.UpdateConversationField or
	// cm.ConsumerRequestConversation.
	Type string `json:"type"`
	// Sequence is that of the event; 0 for what has none.
	Sequence  int64  `json:"sequence"`
	ChatState string `json:"chatState,omitempty"`
	RequestID string `json:"requestId,omitempty"`
}

// OnApplied calls do, in the goroutine of the call, for everything a CONVERSATION or SEND has applied, before it is
// answered; nil ends that. The answer waits for do to return. Other processes read the same from the events "applied"
// of /sim/events, and get time to act from latencyMinMs with latencyBeforeShare 0.
func (s *Sim) OnApplied(do func(Applied)) {
	if do == nil {
		s.gateway.onApplied.Store(nil)
		return
	}
	s.gateway.onApplied.Store(&do)
}

// note remembers what a call did until it can be told, for which no lock may be held.
func (c *call) note(a Applied) {
	if c != nil {
		c.applied = append(c.applied, a)
	}
}

func (g *gateway) announce(c *call) {
	do := g.onApplied.Load()
	for _, a := range c.applied {
		g.stream.publish("applied", func() any { return a })
		if do != nil {
			(*do)(a)
		}
	}
}
