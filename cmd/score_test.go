package cmd

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage/store"
)

func TestScoreAddsADetectorBesideTheFirst(t *testing.T) {
	_, run := ownRun(t)
	models, outputs := records(t, run, "node/"), records(t, run, "outputs/")
	first := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(run, "study")))))
	says(t, exitDone, []string{"20 models: ", "0 texts are scored already", "mine is also judged by self-loathing", "report: "}, "score", run, "--detector", "self-loathing")
	if records(t, run, "node/") != models || records(t, run, "outputs/") != outputs {
		t.Error("score made or changed a model")
	}
	csv := says(t, exitDone, nil, "report", run, "--csv", "-")
	for _, want := range []string{"mine,shame,outputs", "mine,shame-words,outputs", "mine,self-loathing,outputs", "mine,self-loathing,probes"} {
		if !strings.Contains(csv, want) {
			t.Errorf("the report has no %s", want)
		}
	}
	if page := string(must(os.ReadFile(filepath.Join(run, "report.html")))); !strings.Contains(page, "self-loathing") {
		t.Error("the page has no self-loathing")
	}
	if old := says(t, exitDone, nil, "report", run, "--study", first, "--csv", "-"); strings.Contains(old, "self-loathing") {
		t.Error("the study that was run has changed")
	}
	before := records(t, run, "")
	says(t, exitDone, []string{"0 texts to score"}, "score", run, "--detector", "self-loathing")
	if records(t, run, "") != before {
		t.Error("scored twice, the ledger changes")
	}
	says(t, exitUsage, []string{"with other settings", "--name self-loathing-2"}, "score", run, "--detector", "lexicon", "--set", "words=[x]", "--name", "self-loathing")
	says(t, exitUsage, []string{"needs --detector"}, "score", run)
}

func TestScoreSaysThePriceFirst(t *testing.T) {
	_, run := ownRun(t)
	args := []string{"score", run, "--detector", "test-server"}
	c, all := process(t, args...)
	c.Env = append(c.Env, "HEIRLOOM_TEST_SERVER=1")
	before := records(t, run, "")
	if code := exitCode(c.Run()); code != exitUsage || !strings.Contains(all.String(), "requests to its server") || !strings.Contains(all.String(), "add --yes") {
		t.Errorf("without --yes it exits with %d: %s", code, all)
	}
	if records(t, run, "") != before {
		t.Error("something was scored before the price was agreed to")
	}
	c, all = process(t, append(args, "--yes")...)
	c.Env = append(c.Env, "HEIRLOOM_TEST_SERVER=1")
	if code := exitCode(c.Run()); code != exitDone || !strings.Contains(all.String(), "also judged by test-server") {
		t.Errorf("with --yes it exits with %d: %s", code, all)
	}
}

// The detector of the child process waits between texts, so that it can be met at work.
func TestScoringStoppedAndResumedIsScoringAtOnce(t *testing.T) {
	dir, run := ownRun(t)
	whole := filepath.Join(dir, "whole")
	if err := os.CopyFS(whole, os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	start := func(out string) (wait func() (int, string), signal func(os.Signal) error) {
		c, all := process(t, "score", out, "--detector", "test-server", "--yes", "-j", "1")
		c.Env = append(c.Env, "HEIRLOOM_TEST_SERVER=20ms")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill() })
		return func() (int, string) { return exitCode(c.Wait()), all.String() }, c.Process.Signal
	}
	wait, _ := start(whole)
	if code, all := wait(); code != exitDone {
		t.Fatal(all)
	}
	scored := func() (n int) {
		l, err := store.Read(folder(run).ledger())
		if err != nil {
			return 0
		}
		defer l.Close()
		for range l.Keys("scores/") {
			n++
		}
		return n
	}
	before := scored()
	some := func() bool { return scored() > before+2 }
	wait, signal := start(run)
	waitFor(t, "the first scores", nil, some)
	signal(syscall.SIGINT)
	if code, all := wait(); code != exitInterrupted || !strings.Contains(all, "heirloom score '"+run+"' --detector test-server --yes") {
		t.Errorf("interrupted, it exits with %d: %s", code, all)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 3 {
		wait, signal := start(run)
		time.Sleep(time.Duration(50+r.IntN(200)) * time.Millisecond)
		signal(syscall.SIGKILL)
		wait()
	}
	wait, _ = start(run)
	if code, all := wait(); code != exitDone {
		t.Fatal(all)
	}
	if records(t, run, "") != records(t, whole, "") {
		t.Error("the ledger differs from that of a scoring that was not stopped")
	}
}
