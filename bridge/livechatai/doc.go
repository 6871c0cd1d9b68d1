// Package livechatai is the channel of LiveChatAI: visitors write in its chat
// widget, LivePerson's agents answer there.
//
// Towards the widget it calls LiveChatAI's API v2 (api.livechatai.com): an
// agent's message is "reply", an agent's typing is "typing", and the end of the
// conversation is "end". The vendor documents no push of visitors' messages, so
// they are polled: conversations are listed by their last message, and those
// that changed are read. Systems that can push may do so to
// /channels/livechatai, in a form of ours that README.md describes.
//
// The typing page asks for at most one "is typing" every 5 s and says that the
// widget hides the indicator after 10 s. Channel declares both numbers and the
// core's typing clock keeps to them.
//
// It is assumed that a message whose role is "user" is the visitor's and any
// other is not, that "isAgent" says that a person took the conversation over
// from the AI, and that messages carry ids and times. README.md lists what else
// the vendor leaves open and which variable changes our reading of it.
//
// Reply has no idempotency key. When its answer is lost the conversation is
// read, and the reply is sent again only when it is not found there.
package livechatai
