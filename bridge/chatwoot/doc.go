// Package chatwoot is the channel of a real Chatwoot: consumers write in one of
// its inboxes, and agents answer from LivePerson.
//
// Chatwoot's webhooks come to /channels/chatwoot: those of the account, of an
// API inbox, and of an agent bot, in any combination. We answer through its
// application API. Only what a contact does is relayed; what a user, an agent
// bot or an automation of Chatwoot does stays there, and so does everything
// private.
//
// It is assumed that Chatwoot delivers webhooks of accounts and inboxes at most
// once and in no order (Chatwoot, Webhooks): a message waits a moment for those it
// overtook, all are answered as soon as the journal has them, events are named after the message they are about and never
// after the delivery, and a conversation that is reported resolved may have been
// written in since. Its server keeps no typing state and its viewers hide typing
// after 30 seconds.
//
// Wire facts were taken from Chatwoot 4.15; README.md names the versions from
// which on each part works.
package chatwoot
