//go:build unix && !linux

package command

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// endWithParent can do nothing here; a server is stopped when the run ends.
func endWithParent(*syscall.SysProcAttr) {}

// started tells when a process began, as ps has it; "" where there is none.
func started(pid int) string {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	state, since, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(since)
}
