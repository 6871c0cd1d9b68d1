package journal

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// keepSize makes fallocate set blocks aside without making the file longer.
const keepSize = 1

// preallocate sets blocks aside for the first size bytes of a file, so that
// writing there cannot fail for want of space. It reports false where the file
// system cannot do that.
func preallocate(f *os.File, size int64) (bool, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err == nil && uint64(size) > limit.Cur {
		return true, fmt.Errorf("set %d bytes aside: %w", size, syscall.EFBIG)
	}
	for {
		err := syscall.Fallocate(int(f.Fd()), keepSize, 0, size)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return false, nil
		default:
			return true, fmt.Errorf("set %d bytes aside: %w", size, err)
		}
	}
}
