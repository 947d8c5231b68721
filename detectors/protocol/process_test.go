//go:build unix

package protocol

import (
	"os"
	"path/filepath"
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
