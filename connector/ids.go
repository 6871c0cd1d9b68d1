package connector

import "lpbridge/lpauth"

// AccountID is a LivePerson account.
type AccountID = lpauth.AccountID

// ConsumerIdentity is the ext_consumer_id by which we name an end user.
type ConsumerIdentity = lpauth.ConsumerIdentity

// ConsumerID is LivePerson's lp_consumer_id: what notifications call a consumer.
type ConsumerID = lpauth.ConsumerID

// ConversationID is LivePerson's conversationId (convId in conversation changes).
type ConversationID string

// DialogID names a dialog of a conversation. That of the main dialog equals the
// conversation's id, the others differ and need not be UUIDs.
type DialogID string

// Sequence is the position of an event in its dialog, from zero. Each dialog
// counts for itself.
type Sequence int64

// NoSequence stands where LivePerson gave no sequence, as in chat states.
const NoSequence Sequence = -1
