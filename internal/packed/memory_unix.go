//go:build unix

package packed

import "syscall"

// take has memory of the system's own.
func take(size int) (memory []byte, free func([]byte), err error) {
	memory, err = syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	return memory, func(m []byte) { _ = syscall.Munmap(m) }, err
}
