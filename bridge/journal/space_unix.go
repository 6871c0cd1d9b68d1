//go:build unix

package journal

import (
	"errors"
	"syscall"
)

// noSpace reports whether an error of the operating system says that there is
// no room for what was to be written: the disk is full, or this user or this
// process may not have more of it.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
