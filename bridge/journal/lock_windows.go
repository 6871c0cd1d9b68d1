package journal

import (
	"fmt"
	"os"
	"syscall"
)

// lockFile takes the lock that keeps a second process away from the database:
// the file is opened without sharing. The system gives it back when the process
// ends, however it ends.
func lockFile(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", err)
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, fmt.Errorf("lock the database: another process may have %s open, stop it first: %w", path, err)
	}
	return os.NewFile(uintptr(h), path), nil
}
