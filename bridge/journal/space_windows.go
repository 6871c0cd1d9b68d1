package journal

import (
	"errors"
	"syscall"
)

// errDiskFull is ERROR_DISK_FULL, which package syscall does not name.
const errDiskFull = syscall.Errno(112)

// noSpace reports whether an error of the operating system says that there is
// no room for what was to be written.
func noSpace(err error) bool { return errors.Is(err, errDiskFull) }
