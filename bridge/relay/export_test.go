package relay

// TypingPending is how many messages the typing clocks believe to be on their
// way. At rest it is none.
func (b *Bridge) TypingPending() int { return b.consumerTyping.Pending() + b.agentTyping.Pending() }

// Doubted is how many dialogs have a message whose answer is missing.
func (b *Bridge) Doubted() int { return b.toLivePerson.Doubted() }

// UnreadableRecords are what a test looks for.
const UnreadableRecords = unreadableRecords

// What the documents promise in time is waited for.
const (
	DefaultUnclaimedFor = defaultUnclaimedFor
	LivePersonHold      = livePersonHold
)
