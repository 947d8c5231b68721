//go:build !unix

package command

import (
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd, bool) {}

// There are no groups here: the process alone is ended.
func askGroup(pid int) { killGroup(pid) }

func killGroup(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		p.Kill()
	}
}

// started cannot be told here, so no trainer of an earlier process is taken up.
func started(int) string { return "" }
