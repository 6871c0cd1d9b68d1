// Package farside makes single calls of a channel's system over HTTP and says
// how each of them ended.
//
// What an end means for an event is the same for every channel, so it is decided
// here once: a response of success is a delivery, one that the channel's own API
// has words for is what these words say, and everything else is a failure to
// repeat, because a proxy, a deploy or a firewall between us and the channel
// answers in its stead more often than a channel refuses a message. A call that
// was sent and got no response, or one of 5xx, may have been applied: it ends as
// [bridge.Unknown], and whoever can find out does before it is made again.
//
// Nothing is repeated here, no redirect is followed, and no error repeats an
// address, whose query may be a credential, or bytes of the far side's, which may
// be somebody's words.
//
// It is assumed that a request of which not even the headers were written was not
// seen by anybody.
package farside
