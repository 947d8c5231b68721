package command

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// endWithParent has the kernel end a server when this process is killed.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// started tells when a process began, in words that no other process of its
// number has: the boot of the machine and the tick of its clock. It is "" where
// there is none, or it has ended and nobody asked how.
func started(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is a name in brackets, which may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(boot)) + " " + fields[19] // starttime, proc(5)
}
