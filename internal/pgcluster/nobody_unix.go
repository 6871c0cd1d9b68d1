//go:build unix

package pgcluster

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// becomeNobody has the server run as nobody where this process is root, which PostgreSQL
// refuses to be, and gives it its folder.
func (c *Cluster) becomeNobody(folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		return err
	}
	c.as = func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	c.give = func(path string) error { return os.Chown(path, int(uid), int(gid)) }
	for dir := folder; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		// Others must be able to walk to the folder.
		if fi, err := os.Stat(dir); err == nil && fi.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(dir, fi.Mode().Perm()|0o011); err != nil {
				return err
			}
		}
	}
	return c.give(c.data)
}
