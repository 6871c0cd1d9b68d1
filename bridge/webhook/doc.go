// Package webhook is the generic channel: any system that can send and receive
// signed JSON over HTTP is a channel through it, without code of ours.
//
// Towards LivePerson the other system POSTs one event, or an array of them, to
// /channels/webhook. Towards the channel every event is one POST to
// WEBHOOK_URL. Both directions carry the same envelope, which is the JSON of
// [bridge.Event]; README.md and envelope.schema.json in this folder describe it
// for integrators.
//
// Authentication is that of the Standard Webhooks specification
// (https://www.standardwebhooks.com), or a bearer token.
//
// It is assumed that the sender repeats a request until it is answered 2xx, that
// it gives each event an id of its own and the same one when it repeats, and
// that the receiver ignores a webhook-id it has seen. A signed request that is
// replayed within the five minutes of tolerance is harmless for that reason: its
// events are duplicates, and typing alone, which has no id, is believed again
// and ends by itself.
package webhook
