package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func waitFor(t *testing.T, pattern string) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if paths, _ := filepath.Glob(pattern); len(paths) > 0 {
			return paths[0]
		}
	}
	t.Fatal("there never was a", pattern)
	return ""
}

func TestCancelEndsTheWholeGroup(t *testing.T) {
	for _, mode := range []string{"hang", "stubborn"} {
		folder := t.TempDir()
		b, _ := enter(t, config(mode), folder)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { _, err := b.Train(ctx, job(folder)); ended <- err }()
		waitFor(t, filepath.Join(folder, "trainings/*/ready"))
		text, _ := job(folder).Ticket.Load()
		h, err := parseHandle(text)
		if err != nil || !h.alive() {
			t.Fatalf("%v, alive %v", err, h.alive())
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", mode, err)
		}
		for end := time.Now().Add(10 * time.Second); h.alive() && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		if h.alive() {
			t.Errorf("%s: the trainer still runs", mode)
		}
	}
}

// killedRun starts a run as a process of its own, and kills it when its trainer
// is at work. It gives what the trainer waits for.
func killedRun(t *testing.T, folder string) (release string) {
	t.Helper()
	release = filepath.Join(folder, "release")
	if err := os.WriteFile(filepath.Join(folder, "mode"), []byte(release), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "run", folder)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, filepath.Join(folder, "trainings/*/ready"))
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	return release
}

// Row 23: a run is killed while its trainer lives; the next one takes it up.
func TestRow23LivingTrainerIsAdopted(t *testing.T) {
	folder := t.TempDir()
	release := killedRun(t, folder)
	b, log := enter(t, config("slow", release), folder)
	text, _ := job(folder).Ticket.Load()
	if e, err := b.Look(t.Context(), text); err != nil || e.State != "running" || e.Ended {
		t.Errorf("before: %+v, %v", e, err)
	}
	go func() { time.Sleep(300 * time.Millisecond); os.WriteFile(release, nil, 0o644) }()
	a, err := b.Train(t.Context(), job(folder))
	if err != nil {
		t.Fatal(err)
	}
	if n := starts(t, folder); n != 1 || !strings.Contains(log.String(), "still runs") {
		t.Errorf("started %d times; log:\n%s", n, log)
	}
	if a.(*Artifact).Losses[0] != (Loss{1, 3}) {
		t.Errorf("losses %v", a.(*Artifact).Losses)
	}
	if e, err := b.Look(t.Context(), text); err != nil || e.State != "finished" || !e.Ended || e.Model == "" {
		t.Errorf("after: %+v, %v", e, err)
	}
}

// Row 23: it ends well while nobody looks.
func TestRow23FinishedTrainerIsAdopted(t *testing.T) {
	folder := t.TempDir()
	release := killedRun(t, folder)
	os.WriteFile(release, nil, 0o644)
	waitFor(t, filepath.Join(folder, "trainings/*/"+exitFile))
	b, _ := enter(t, config("slow", release), folder)
	if _, err := b.Train(t.Context(), job(folder)); err != nil {
		t.Fatal(err)
	}
	if n := starts(t, folder); n != 1 {
		t.Errorf("started %d times", n)
	}
}

// Row 23: it is killed with all its group; the attempt is kept and another begun.
func TestRow23DeadTrainerIsReplaced(t *testing.T) {
	folder := t.TempDir()
	release := killedRun(t, folder)
	text, _ := job(folder).Ticket.Load()
	h, err := parseHandle(text)
	if err != nil {
		t.Fatal(err)
	}
	killGroup(h.PID)
	for h.alive() {
		time.Sleep(10 * time.Millisecond)
	}
	os.WriteFile(release, nil, 0o644)
	b, _ := enter(t, config("slow", release), folder)
	if _, err := b.Train(t.Context(), job(folder)); err != nil {
		t.Fatal(err)
	}
	if n := starts(t, folder); n != 2 {
		t.Errorf("started %d times", n)
	}
	if _, err := os.Stat(filepath.Join(folder, "trainings/node-1.attempt-1", failedFile)); err != nil {
		t.Error("the dead attempt is not kept:", err)
	}
}

// Another process that has the number of a dead trainer is not taken for it.
func TestRow23ReusedNumber(t *testing.T) {
	h := handle{Node: "n", Attempt: 1, PID: os.Getpid(), Started: "another boot 1", Begun: time.Now()}
	if h.alive() {
		t.Error("a process that began at another time is taken for the trainer")
	}
	h.Started = started(os.Getpid())
	if !h.alive() {
		t.Error("the very process is not recognised")
	}
}

// brokenTicket cannot save.
type brokenTicket struct{}

func (brokenTicket) Load() (string, error) { return "", nil }
func (brokenTicket) Save(string) error     { return errors.New("the disk is full") }

// A trainer whose handle is not durable never begins.
func TestNoTrainerWithoutAHandle(t *testing.T) {
	folder := t.TempDir()
	b, _ := enter(t, config("learn"), folder)
	j := job(folder)
	j.Ticket = brokenTicket{}
	if _, err := b.Train(t.Context(), j); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("%v", err)
	}
	time.Sleep(200 * time.Millisecond)
	if n := starts(t, folder); n != 0 {
		t.Errorf("started %d times", n)
	}
}

func TestCancelOfAnOrphan(t *testing.T) {
	folder := t.TempDir()
	killedRun(t, folder)
	c := config("slow")
	c.Train.Cancel = []string{"sh", "-c", `echo "$1" >"$2"`, "sh", "{{.RemoteID}}", filepath.Join(folder, "cancelled")}
	b, _ := enter(t, c, folder)
	states, _ := filepath.Glob(filepath.Join(folder, "trainings/node-1.state/*"))
	os.WriteFile(filepath.Join(states[0], remoteID), []byte("job-42\n"), 0o644)
	text, _ := job(folder).Ticket.Load()
	if _, err := b.Remove(t.Context(), text); err == nil || !strings.Contains(err.Error(), "cancel it first") {
		t.Errorf("removing one that runs: %v", err)
	}
	if err := b.Cancel(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(filepath.Join(folder, "cancelled")); string(data) != "job-42\n" {
		t.Errorf("train.cancel was told %q", data)
	}
	h, _ := parseHandle(text)
	if e, err := b.Look(t.Context(), text); err != nil || !e.Ended || h.alive() {
		t.Errorf("%+v, %v", e, err)
	}
	removed, err := b.Remove(t.Context(), text)
	if err != nil || len(removed) != 3 {
		t.Errorf("removed %v, %v", removed, err)
	}
	if again, err := b.Remove(t.Context(), text); err != nil || len(again) != 0 {
		t.Errorf("removed again %v, %v", again, err)
	}
	if _, err := b.Errand(`{"node":"../../etc","attempt":1,"pid":1}`); err == nil {
		t.Error("a handle that leads out of the folder was taken")
	}
}
