package store

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func init() {
	limitChild = func() error {
		limit, err := strconv.ParseUint(os.Getenv(limitVariable), 10, 64)
		if err != nil {
			return nil
		}
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit})
	}
}

// smallDisk mounts a disk of the given size, where that is allowed.
func smallDisk(t *testing.T, size string) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func saysFull(t *testing.T, text, dir string) {
	t.Helper()
	for _, want := range []string{dir, "disk is full", "nothing saved so far is lost", "same command again"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
}

// resumes checks that all that a process saved before the disk was full is
// there, and that it goes on where there is room.
func resumes(t *testing.T, dir string, last int) {
	t.Helper()
	s := create(t, dir)
	n := wholeNodes(t, s)
	if n <= last {
		t.Errorf("%d nodes are there, %d were saved", n, last+1)
	}
	if err := saveNode(s, n); err != nil {
		t.Error(err)
	}
}

func TestFullDiskIsSaidAndResumed(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "48m")
	dir := filepath.Join(disk, "ledger")
	p := start(t, dir)
	last := -1
	for n := p.saved(); n >= 0; n = p.saved() {
		last = n
	}
	if p.Wait() == nil || last < 10 {
		t.Fatalf("after %d nodes the disk was not full", last+1)
	}
	saysFull(t, p.stderr.String(), dir)

	if r, err := Read(dir); err != nil {
		t.Errorf("Read on a full disk: %v", err)
	} else {
		wholeNodes(t, r)
		r.Close()
	}
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT, "size=96m"); err != nil {
		t.Fatal(err)
	}
	resumes(t, dir, last)
}

// TestDiskFilledByOthersIsNotTheEnd takes all room while a writer rests: its
// memory mappings must not be written after that, which would be a SIGBUS.
func TestDiskFilledByOthersIsNotTheEnd(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "100m")
	dir := filepath.Join(disk, "ledger")
	p := start(t, dir, paceVariable+"=1s")
	last := p.saved()
	p.Process.Signal(syscall.SIGSTOP)
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = ballast.Write(chunk)
	}
	ballast.Close()
	p.Process.Signal(syscall.SIGCONT)
	for n := p.saved(); n >= 0; n = p.saved() {
		last = n
	}
	if p.Wait() == nil {
		t.Fatal("the writer did not notice")
	}
	saysFull(t, p.stderr.String(), dir)
	if strings.Contains(p.stderr.String(), "goroutine") {
		t.Errorf("the writer crashed: %s", p.stderr.String())
	}
	if _, err := Create(filepath.Join(disk, "new"), Options{}); !errors.Is(err, ErrFull) {
		t.Errorf("a new ledger on a full disk gave %v", err)
	}
	if err := os.Remove(ballast.Name()); err != nil {
		t.Fatal(err)
	}
	resumes(t, dir, last)
}

func TestFileSizeLimitIsSaidAndResumed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, limitVariable+"=12000000")
	last := -1
	for n := p.saved(); n >= 0; n = p.saved() {
		last = n
	}
	if p.Wait() == nil || last < 10 {
		t.Fatalf("after %d nodes the limit was not reached", last+1)
	}
	saysFull(t, p.stderr.String(), dir)
	resumes(t, dir, last)
}
