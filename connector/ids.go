package connector

import "lpbridge/lpauth"

// AccountID is a LivePerson account ("Domain API" page).
type AccountID = lpauth.AccountID

// ConsumerIdentity is the ext_consumer_id by which we name an end user
// ("Authorization and Authentication" page).
type ConsumerIdentity = lpauth.ConsumerIdentity

// ConsumerID is LivePerson's lp_consumer_id: what notifications call a consumer
// ("Authorization and Authentication" page).
type ConsumerID = lpauth.ConsumerID

// ConversationID is LivePerson's conversationId, convId in conversation changes
// ("CONVERSATION" and "Webhooks Events" pages).
type ConversationID string

// DialogID names a dialog of a conversation ("SEND" page). That of the main dialog equals the
// conversation's id, the others differ and need not be UUIDs.
type DialogID string

// Sequence is the position of an event in its dialog, from zero ("Send API
// Overview" page). Each dialog counts for itself.
type Sequence int64

// NoSequence stands where LivePerson gave no sequence, as in chat states.
const NoSequence Sequence = -1
