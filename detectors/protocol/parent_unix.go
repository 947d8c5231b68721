//go:build unix && !linux

package protocol

import "syscall"

// endWithParent can do nothing here; a process that reads its input ends with it.
func endWithParent(*syscall.SysProcAttr) {}
