package bridge

import (
	"time"
)

// Status is what an operator sees of a running bridge.
type Status struct {
	Started time.Time `json:"started"`
	// Ready is false before recovery began and after shutdown began.
	Ready bool `json:"ready"`
	// Notified says that LivePerson's webhooks are known to reach us. Until then
	// deliveries are at least once, for an answer that was lost cannot be told
	// from a request that was.
	Notified bool            `json:"notified"`
	Pending  int64           `json:"pending"`
	Channels []ChannelStatus `json:"channels"`
	// LivePerson is how deliveries to LivePerson are doing.
	LivePerson FlowStatus `json:"livePerson"`
}

// ChannelStatus is one channel and how deliveries to it are doing.
type ChannelStatus struct {
	Name     string `json:"name"`
	Reports  []Kind `json:"reports"`
	Delivers []Kind `json:"delivers"`
	TypingIn bool   `json:"typingIn"`
	// TypingOut says that the channel shows agents typing.
	TypingOut bool       `json:"typingOut"`
	Flow      FlowStatus `json:"flow"`
}

// FlowStatus is how deliveries in one direction are doing.
type FlowStatus struct {
	// Lanes is how many lanes are busy, waiting or not settled.
	Lanes    int `json:"lanes"`
	InFlight int `json:"inFlight"`
	// Limit is how many deliveries may run at once; throttling narrows it, and
	// success widens it.
	Limit int `json:"limit"`
	// State is the far side's: "well", "throttled", "down",
	// "credential_refused", or LivePerson's "stalled"; Since, since when. Unless it is
	// well, deliveries wait and one is tried now and then. Where it is stalled, those
	// wait whose consumer has no token or conversation, and others go on.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// LastError is why the far side is not well.
	LastError string `json:"lastError,omitempty"`
	// ThrottledUntil is when a far side that asked to be left alone is asked
	// again.
	ThrottledUntil time.Time `json:"throttledUntil,omitzero"`
	// OldestWaiting is when the oldest event that waits or is being delivered was
	// accepted; absent when there is none.
	OldestWaiting time.Time `json:"oldestWaiting,omitzero"`
}
