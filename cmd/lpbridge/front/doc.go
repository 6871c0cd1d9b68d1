// Package front is the page of `lpbridge sandbox`: a consumer on a channel to the
// left, an agent in the simulated LivePerson to the right, and between them what the
// bridge does, with switches that make everything misbehave and a ledger of what
// arrived.
//
// It stands before a bridge that is a process of its own, as a proxy would: the
// consumer's side is a client of the served channels and goes through their front
// doors, and the only liberty taken is to look at the clock while requests pass.
// What it says of the far side it reads from the simulator, never from the bridge,
// so that a bridge that is wrong about itself is found out.
//
// It assumes that nothing in it is real: whoever reaches the page may do everything
// it can do, and texts are shown and kept in memory.
package front
