//go:build unix

package protocol

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pids reads the numbers of processes that a detector wrote.
func pids(t *testing.T, path string) (all []int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pid)
	}
	return all
}

// gone waits until no process has the number, not even a zombie of ours. An
// orphan is reaped by whoever adopts it, or stays a zombie where nobody does.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil {
			fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
			if fields[0] == "Z" && fields[1] != strconv.Itoa(os.Getpid()) {
				return
			}
		}
	}
	t.Errorf("process %d is still there", pid)
}

func TestCloseEndsTheProcessAndItsChildren(t *testing.T) {
	for _, mode := range []string{"parent", "stubborn"} {
		path := filepath.Join(t.TempDir(), "pids")
		d := open(t, tortured(t, mode, path), nil)
		all := pids(t, path)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		for _, pid := range all {
			gone(t, pid)
		}
	}
}

func TestDetectorThatDiesWhileIdleIsStartedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pids")
	var log told
	d := open(t, tortured(t, "stubborn", path), &log)
	old := pids(t, path)[0]
	syscall.Kill(old, syscall.SIGKILL)
	gone(t, old)
	results, err := d.Detect(t.Context(), utterances("x"))
	if err != nil || results[0].Outcome.String() != "absent" {
		t.Errorf("%+v, %v", results, err)
	}
	if now := pids(t, path)[0]; now == old {
		t.Error("it was not started again")
	}
}

// The parent is a process that has opened a detector which does not heed the end
// of its input.
func TestDetectorEndsWithAKilledParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kernel has no such service")
	}
	path := filepath.Join(t.TempDir(), "pids")
	parent := exec.Command(os.Args[0], "torture", "host", path)
	said, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := said.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	child := pids(t, path)[0]
	parent.Process.Kill()
	parent.Wait()
	gone(t, child)
}
