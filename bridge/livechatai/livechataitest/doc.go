// Package livechataitest plays LiveChatAI's API v2 for tests: the calls the
// adapter makes, with a side for tests to write as a visitor, resolve and
// misbehave.
//
// It is as strict as the vendor's pages: calls need the bearer token, unknown
// conversations are 404, foreign ones 403, and what is said of typing is checked
// against the vendor's OpenAPI text of that endpoint (testdata/typing.yaml) and
// against the two numbers its description states. What the vendor leaves open
// are fields of [Server]. It assumes nothing beyond those pages, for nobody here has
// an account: a real server may differ where they say nothing.
package livechataitest
