// Package scenario tries a connector for LivePerson, written in any language, against the simulator, and says what it
// did wrong: an acceptance test for connectors. A [Scenario] is a small file that says what consumers and agents do and
// what goes wrong meanwhile; what must hold afterwards is the same for all of them and stands in [Run].
//
// A connector stands between LivePerson and a channel. LivePerson is the simulator of package lpsim. The channel is
// played by this package with two requests, which any connector can take or a few lines can adapt:
//
//	runner ── POST {"id","type","thread","consumer":{"id"},"message":{"text"}} ──▶ connector   (Options.Connector)
//	runner ◀── POST {"id","type","thread","message":{"text"}} ────────────────── connector   (the runner's channel)
//
// type is message, typing (with "typing":{"state":"composing"}, paused or stopped) or close. A 2xx is a promise: the
// event arrives, once and in order. Anything else is repeated with the same id, which must change nothing. The
// connector repeats to the channel in the same way: what was not answered 2xx, with the same id, except after 410, which
// means never. An event without an id is told by its words: after an answer that was lost, the same words are the same
// event. Other members are ignored. lpbridge's channel "webhook" speaks it.
//
// It assumes that nobody else uses the simulator and the connector meanwhile. Time is real: an outage of five minutes
// takes five minutes.
package scenario
