package lpsim

// How a conversation can be lost to its consumer while it lasts.
const (
	forgotten = "forgotten"
	disowned  = "disowned"
)

// Forget makes LivePerson forget a conversation: its consumer is answered as for one that never was (the knob
// unknownConversation), agents cannot act in it, and the consumer may open another. What was said stays readable here.
func (s *Sim) Forget(id string) error { return s.messaging.lose(id, forgotten) }

// Disown gives a conversation to another consumer: 401 with the knob foreignConversationCode, whatever the token.
func (s *Sim) Disown(id string) error { return s.messaging.lose(id, disowned) }
