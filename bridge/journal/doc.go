// Package journal keeps what the bridge must not forget: accepted events until
// they are delivered, the map of threads to conversations, the records of
// channels, dead letters. It implements [bridge.Journal] on SQL.
package journal
