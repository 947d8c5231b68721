package cmd

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is the program as a process of its own.
func process(t testing.TB, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), "HEIRLOOM_TEST_MAIN=1")
	var all bytes.Buffer
	c.Stdout, c.Stderr = &all, &all
	return c, &all
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// The report does not name its folder, so that runs in two folders can be compared.
func report(t testing.TB, out string) []byte {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(page, []byte(out), []byte("OUT"))
}

func TestKilledAtRandomMomentsAndResumedGivesTheSameReport(t *testing.T) {
	base := t.TempDir()
	whole := filepath.Join(base, "whole-run")
	started := time.Now()
	c, all := process(t, append([]string{"run", "--out", whole}, small...)...)
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, all)
	}
	took := time.Since(started)
	want := report(t, whole)
	kills := 50
	if testing.Short() {
		kills = 5
	}
	r := rand.New(rand.NewPCG(1, 2))
	killed := 0
	for i := range kills {
		out := filepath.Join(base, "killed"+strings.Repeat("x", 3))
		os.RemoveAll(out)
		args := append([]string{"run", "--out", out}, small...)
		c, _ := process(t, args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.Float64() * float64(took)))
		c.Process.Kill()
		if err := c.Wait(); err != nil {
			killed++
		}
		c, all := process(t, args...)
		if err := c.Run(); err != nil {
			t.Fatalf("kill %d: resumed: %v: %s", i, err, all)
		}
		if got := report(t, out); !bytes.Equal(got, want) {
			t.Fatalf("kill %d: the report of the resumed run differs", i)
		}
	}
	if killed < kills/2 {
		t.Errorf("only %d of %d kills met a running process", killed, kills)
	}
}

// large is the default scenario at a size that is still running when looked at.
var large = []string{"trauma-narratives", "--set", "replicates=200"}

// waitFor polls until something has happened in the folder of a process. It
// gives up when the process ends (nil: that is not watched), or after minutes,
// which is a hang.
func waitFor(t *testing.T, what string, ended <-chan error, met func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if met() {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("%s did not happen before the program ended: %v", what, err)
		default:
		}
	}
	t.Fatalf("%s did not happen within 3 minutes", what)
}

var noModel = regexp.MustCompile(`control +0 of`)

func TestInterruptStopsCleanlyAndSaysHowToGoOn(t *testing.T) {
	out := filepath.Join(t.TempDir(), "it's here")
	c, all := process(t, append([]string{"run", "--out", out}, large...)...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	waitFor(t, "the first model", ended, func() bool {
		code, stdout, _ := heirloom(t, "status", out)
		return code == 0 && !noModel.MatchString(stdout)
	})

	if code, _, stderr := heirloom(t, append([]string{"run", "--out", out}, large...)...); code != exitFailed || !strings.Contains(stderr, "is in use") {
		t.Errorf("a second writer gets exit %d: %s", code, stderr)
	}
	page := filepath.Join(t.TempDir(), "partial.html")
	if code, _, stderr := heirloom(t, "report", out, "--out", page); code != 0 {
		t.Errorf("report while the run goes on: exit %d: %s", code, stderr)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "artial") {
		t.Errorf("the report does not say that the run is partial: %v", err)
	}

	c.Process.Signal(syscall.SIGINT)
	if code := exitCode(<-ended); code != exitInterrupted {
		t.Errorf("interrupted, it exits with %d: %s", code, all)
	}
	if !strings.Contains(all.String(), `heirloom run trauma-narratives --set replicates=200 --out '`) {
		t.Errorf("does not print the command that resumes: %s", all)
	}
	if code, stdout, _ := heirloom(t, "status", out); code != 0 || !strings.Contains(stdout, "not complete") {
		t.Errorf("status of an interrupted run: exit %d: %s", code, stdout)
	}
}
