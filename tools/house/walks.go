package main

// walk is the way of one thing through the files.
type walk struct {
	of    string
	stops []stop
}

// stop is one function on the way.
type stop struct{ file, function string }

// walks are written down, because much is handed on through hooks and lanes,
// where no call can be followed. The tests find every function where it is said
// to be.
var walks = []walk{
	{"a consumer's message, from the generic webhook to LivePerson", []stop{
		{"bridge/door.go", "accept"},
		{"bridge/webhook/webhook.go", "take"},
		{"bridge/relay/accept.go", "Accept"},
		{"bridge/journal/events.go", "Append"},
		{"bridge/journal/writer.go", "commit"},
		{"bridge/relay/lanes.go", "committed"},
		{"bridge/relay/lane/set.go", "Add"},
		{"bridge/relay/toliveperson.go", "deliverToLivePerson"},
		{"bridge/relay/opening.go", "find"},
		{"connector/send.go", "Send"},
		{"bridge/relay/verdict.go", "judge"},
		{"bridge/relay/lane/finish.go", "finish"},
		{"bridge/journal/events.go", "Settle"},
	}},
	{"a notification, from LivePerson to the generic webhook", []stop{
		{"bridge/relay/notifications.go", "serve"},
		{"connector/decode.go", "ParseNotification"},
		{"bridge/relay/notifications.go", "takeEvents"},
		{"bridge/journal/events.go", "Append"},
		{"bridge/journal/writer.go", "commit"},
		{"bridge/relay/lanes.go", "committed"},
		{"bridge/relay/lane/set.go", "Add"},
		{"bridge/relay/tochannel.go", "deliverToChannel"},
		{"bridge/webhook/deliver.go", "Deliver"},
		{"bridge/farside/farside.go", "Do"},
		{"bridge/relay/verdict.go", "judge"},
		{"bridge/relay/lane/finish.go", "finish"},
		{"bridge/journal/events.go", "Settle"},
	}},
}
