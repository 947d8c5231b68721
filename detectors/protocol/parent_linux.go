package protocol

import "syscall"

// endWithParent has the kernel end a process when this one is killed: one that
// hangs would never read the end of its input. Strictly it is the thread that
// started it whose end counts; Go keeps its threads, and a process that ended
// too early would only be started again.
func endWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
