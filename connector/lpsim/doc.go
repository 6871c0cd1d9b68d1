// Package lpsim plays LivePerson for connectors: the domain API, Sentinel, IDP, CONVERSATION, SEND, Swift file
// storage, Monitoring engagement, webhooks, app installations and history, all behind one [http.Handler], with a
// management API below /sim/ and an agent's page at /.
//
// It exists because nobody offers a local LivePerson: a connector can otherwise be tried only with an account, a
// public address and patience. It is written from LivePerson's published documentation alone and shares no code
// with any client, so that a client's misunderstandings are not mirrored. It is strict where LivePerson is strict,
// misbehaves on request, reproducibly ([Faults]), and shows what the agent sees ([Conversation]).
//
// It assumes that nobody needs its data: everything is in memory, bounded by the caps of [Config]. It has no
// authentication of its own on the management side and refuses to be anything but a test tool: keep it on loopback.
//
// A [Sim] uses only time.Now and timers, so it lives in testing/synctest bubbles; [Sim.Transport] reaches it
// without a socket.
package lpsim
