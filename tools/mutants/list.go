package main

import "slices"

// mutant is one promise and how it is broken.
type mutant struct {
	// name says what is true once the promise is broken.
	name string
	file string
	// old stands in the file once; broken takes its place.
	old, broken string
	// packages are those whose tests must notice, and run names these tests.
	packages []string
	run      string
}

// mutants are the promises whose breaking must be noticed.
var mutants = slices.Concat(ofConversations, ofNotifications, ofVerdicts, ofLanes, ofTyping, ofJournal, ofSignatures, ofStalls)

var (
	lanes   = []string{"./bridge/relay/lane"}
	engine  = []string{"./bridge/relay"}
	typing  = []string{"./bridge/relay/typing"}
	journal = []string{"./bridge/journal"}
)
