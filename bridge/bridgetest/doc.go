// Package bridgetest has what adapters and stores are tested with: stand-ins
// that keep everything in memory, and conformance suites that every adapter
// and every store must pass. It assumes nothing of the network or the disk.
package bridgetest
