//go:build unix

package command

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a process a group of its own, which its children share. A
// trainer outlives this process; a server that is started does not where the
// kernel sees to it.
func ownGroup(c *exec.Cmd, outlives bool) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !outlives {
		endWithParent(c.SysProcAttr)
	}
}

// askGroup asks a process and all that it started to end; killGroup ends them.
func askGroup(pid int)  { syscall.Kill(-pid, syscall.SIGTERM) }
func killGroup(pid int) { syscall.Kill(-pid, syscall.SIGKILL) }
