// Package peers lets every replica of a bridge take every request, though one of them
// alone owns the journal and relays: the others hand on to it what comes to their front
// doors.
//
// [Forwarder] is the front of a replica. While another replica owns the journal it
// passes requests on, answers and WebSockets included; while none does, it holds them,
// for a bounded time and in a bounded number, and hands them to the next owner, which may
// be this replica itself. [Door] is the other end: the owner's peer listener, which takes
// requests from replicas and nobody else. Limits of sources, bodies and channels are the
// owner's, who sees the address a request came from as if it had come to its own door.
//
// Both ends prove themselves without anything to configure. An [Identity] is made at each
// start: a certificate and a random token, which the owner writes beside its lease. Who
// reads the database knows whom to believe and what to prove, and others do not.
//
// It is assumed that a replica that reads the database may do all that the owner may, and
// that the owner's clock and this one's need not agree.
package peers
