package main

// openFiles is how many connections a process may well have where the system has
// no limit on files.
func openFiles() int { return 1 << 15 }
