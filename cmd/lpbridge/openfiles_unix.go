//go:build unix

package main

import "syscall"

// openFiles is how many files the process may have open.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return usualFiles
	}
	return int(min(limit.Cur, mostFiles))
}

const (
	// usualFiles is what systems allow where they do not say.
	usualFiles = 1024
	// mostFiles is more than a process needs, where there is no limit.
	mostFiles = 1 << 20
)
