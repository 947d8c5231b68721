//go:build unix

package protocol

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a process a group of its own, which its children share.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(c.SysProcAttr)
}

// endGroup ends a process and all that it started, unless they left its group.
func endGroup(pid int) { syscall.Kill(-pid, syscall.SIGKILL) }
