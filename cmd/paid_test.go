package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/serve"
	"github.com/heirloom-sim/heirloom/sim"
)

func TestBoughtRunCostsWhatItSaysAndNoMore(t *testing.T) {
	p := startProvider(t, serve.Options{})
	file, out := p.boughtFile(t, ""), filepath.Join(t.TempDir(), "run")
	code, plan, stderr := heirloom(t, "plan", file, "--out", out)
	if code != 0 || !strings.Contains(plan, "all") || !strings.Contains(plan, "prices of the experiment file") {
		t.Fatalf("exit %d: %s%s", code, plan, stderr)
	}
	var total struct{ Total struct{ Most, Nodes int } }
	_, lines, _ := heirloom(t, "plan", file, "--out", out, "--json")
	all := strings.Split(strings.TrimSpace(lines), "\n")
	if err := json.Unmarshal([]byte(all[len(all)-1]), &total); err != nil || total.Total.Most == 0 || total.Total.Nodes != 8 {
		t.Fatalf("%+v: %v of %s", total, err, all[len(all)-1])
	}
	if n := p.Counts(); len(n.Requests) > 0 {
		t.Errorf("plan asked the provider: %v", n.Requests)
	}
	code, stdout, stderr := heirloom(t, "run", file, "--out", out, "--yes")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	spent := p.charged()
	if !strings.Contains(stdout, "spent in all: "+spent.String()) || int(spent) > total.Total.Most {
		t.Errorf("charged %v, planned at most %v: %s", spent, lineage.USD(total.Total.Most), stdout)
	}
	if code, again, stderr := heirloom(t, "plan", file, "--out", out); code != 0 || strings.Contains(again, "to pay for") {
		t.Errorf("what exists costs again: exit %d: %s%s", code, again, stderr)
	}
	code, status, _ := heirloom(t, "status", out, "--json")
	if code != 0 || !strings.Contains(status, fmt.Sprintf(`"spent_nanodollars":%d`, int64(spent))) {
		t.Errorf("status does not tell of %d: %s", int64(spent), status)
	}
	clean(t, out, plan, stdout, stderr, status)
}

// charged is what the provider would charge by the prices of boughtFile.
func (p *provider) charged() (sum lineage.USD) {
	for _, u := range p.Counts().Usage {
		sum += lineage.USD(u.Trained)*300_000 + lineage.USD(u.Prompt)*30_000 + lineage.USD(u.Completion)*120_000
	}
	return sum
}

func TestCapEndsARunWithACommandThatGoesOn(t *testing.T) {
	p := startProvider(t, serve.Options{})
	file, out := p.boughtFile(t, ""), filepath.Join(t.TempDir(), "run")
	code, _, stderr := heirloom(t, "run", file, "--out", out)
	if code != exitUsage || !strings.Contains(stderr, "--max-cost") || len(p.Counts().Requests) > 0 {
		t.Fatalf("a bill nobody agreed to: exit %d: %s", code, stderr)
	}
	for _, most := range []string{"0", "1.7", "3"} {
		code, _, stderr = heirloom(t, "run", file, "--out", out, "--max-cost", most)
		if code != exitBudget {
			t.Fatalf("a cap of %s: exit %d: %s", most, code, stderr)
		}
		limit, _ := dollars(most)
		if got := p.charged(); got > limit {
			t.Errorf("a cap of %v: charged %v", limit, got)
		}
		if most == "0" && p.Counts().Jobs > 0 {
			t.Error("a job was created under a cap of 0")
		}
		if !strings.Contains(stderr, "heirloom run ") || !strings.Contains(stderr, " --max-cost ") {
			t.Errorf("does not say how to go on: %s", stderr)
		}
	}
	_, larger, _ := strings.Cut(stderr[strings.Index(stderr, "such as:"):], "--max-cost ")
	code, stdout, stderr := heirloom(t, "run", file, "--out", out, "--max-cost", strings.Fields(larger)[0])
	if code != 0 || p.repeated() != 0 || p.Counts().Jobs != 8 {
		t.Errorf("exit %d, %d requests repeated, %d jobs: %s%s", code, p.repeated(), p.Counts().Jobs, stdout, stderr)
	}
	clean(t, out, stdout, stderr)
}

func TestCapWithoutAPriceIsRefused(t *testing.T) {
	p := startProvider(t, serve.Options{})
	file := p.boughtFile(t, "")
	for _, set := range []string{"line.backend.prices=null", "line.backend.epochs=auto"} {
		out := filepath.Join(t.TempDir(), "run")
		code, _, stderr := heirloom(t, "run", file, "--out", out, "--max-cost", "50", "--set", set)
		if code != exitUsage || !strings.Contains(stderr, "--allow-unpriced") || len(p.Counts().Requests) > 0 {
			t.Errorf("%s: exit %d: %s", set, code, stderr)
		}
	}
	for _, bad := range []string{"-1", "1e3", "ten", "0x10", "1/3"} {
		if code, _, stderr := heirloom(t, "run", file, "--max-cost", bad); code != exitUsage || !strings.Contains(stderr, "--max-cost") {
			t.Errorf("--max-cost %s: exit %d: %s", bad, code, stderr)
		}
	}
}

// TestKilledRunAsksForNoAnswerTwice is row 19 of the failure matrix, with a
// process that is killed.
func TestKilledRunAsksForNoAnswerTwice(t *testing.T) {
	p := startProvider(t, serve.Options{})
	file, dir := p.boughtFile(t, ""), t.TempDir()
	whole := filepath.Join(dir, "whole-run")
	if code, _, stderr := heirloom(t, "run", file, "--out", whole, "--yes"); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	want := p.Counts()
	out := filepath.Join(dir, "killed-run")
	for _, hold := range []int{7, 51, 90} {
		p.mu.Lock()
		p.answered, p.hold, p.held, p.release = map[string]int{}, hold, 0, make(chan struct{})
		p.mu.Unlock()
		os.RemoveAll(out)
		before, paid := p.Counts(), p.charged()
		args := []string{"run", file, "--out", out, "--yes"}
		c, all := process(t, args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		waitFor(t, "a request that hangs", ended, func() bool { return p.waits() > 0 })
		waitFor(t, "a record of every answer", ended, func() bool { return completions(t, out) >= hold })
		c.Process.Kill()
		<-ended
		p.free()
		if code, _, stderr := heirloom(t, args...); code != 0 {
			t.Fatalf("killed after %d answers and run again: exit %d: %s\n%s", hold, code, stderr, all)
		}
		if n := p.repeated(); n != 0 {
			t.Errorf("killed after %d answers: %d were asked for again", hold, n)
		}
		after := p.Counts()
		books, charged := spending(t, out), p.charged()-paid
		if books.Spent > charged || books.Spent+books.Uncertain < charged || books.Uncertain > lineage.Dollar/2 {
			t.Errorf("killed after %d answers: %v were charged, the books say %+v", hold, charged, books)
		}
		if jobs, files := after.Jobs-before.Jobs, after.Uploads-before.Uploads; jobs != want.Jobs || files != want.Uploads {
			t.Errorf("killed after %d answers: %d jobs and %d uploads, %d and %d without", hold, jobs, files, want.Jobs, want.Uploads)
		}
	}
	clean(t, dir)
}

func spending(t *testing.T, out string) sim.Spending {
	t.Helper()
	ledger, err := folder(out).peek()
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.close()
	s, err := sim.Spent(ledger)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// completions counts the answers that a ledger holds, also while it is written.
func completions(t *testing.T, out string) (n int) {
	ledger, err := folder(out).peek()
	if err != nil {
		return 0
	}
	defer ledger.close()
	for _, err := range ledger.Keys("completion/") {
		if err != nil {
			return 0
		}
		n++
	}
	return n
}

func TestBlockedModelsAreAnOutcome(t *testing.T) {
	p := startProvider(t, serve.Options{Rules: []serve.Rule{
		{Match: "job", Nth: 2, Do: "fail", Code: "unsafe_file", Message: "The job failed due to an unsafe training file."},
	}})
	file, out := p.boughtFile(t, ""), filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := heirloom(t, "run", file, "--out", out, "--yes", "--workers", "1")
	if code != exitIncomplete || !strings.Contains(stderr, "1 model blocked by the provider, and 1 that descend from them") || !strings.Contains(stderr, "unsafe_file") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	code, status, _ := heirloom(t, "status", out)
	if code != 0 || !strings.Contains(status, "1 blocked by the provider, 1 that descend from them") || strings.Contains(status, "not complete") {
		t.Errorf("exit %d: %s", code, status)
	}
	if page, err := os.ReadFile(filepath.Join(out, "report.html")); err != nil || !strings.Contains(string(page), "Blocked models:") {
		t.Errorf("the report does not tell: %v", err)
	}
	jobs := p.Counts().Jobs
	if code, _, _ := heirloom(t, "run", file, "--out", out, "--yes"); code != exitIncomplete || p.Counts().Jobs != jobs {
		t.Errorf("run again: exit %d, %d more jobs", code, p.Counts().Jobs-jobs)
	}
	clean(t, out, stdout, stderr, status)
}

func TestRefusedKeyEndsTheRunAtOnce(t *testing.T) {
	p := startProvider(t, serve.Options{Key: "another"})
	file, out := p.boughtFile(t, ""), filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := heirloom(t, "run", file, "--out", out, "--yes", "--workers", "1")
	sent := 0
	for _, n := range p.Counts().Requests {
		sent += n
	}
	if code != exitFailed || sent > 2 || !strings.Contains(stderr, "OPENAI_API_KEY") {
		t.Errorf("exit %d after %d requests: %s", code, sent, stderr)
	}
	clean(t, out, stdout, stderr)
}

func TestJobsThatGoOnAreShownCancelledAndCleanedUp(t *testing.T) {
	p := startProvider(t, serve.Options{Rules: []serve.Rule{{Match: "job", Nth: 1, Times: -1, Do: "stall"}}})
	file, out := p.boughtFile(t, ""), filepath.Join(t.TempDir(), "run")
	c, all := process(t, "run", file, "--out", out, "--yes", "--set", "replicates=1")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	waitFor(t, "a job", ended, func() bool { return p.Counts().Jobs > 0 })
	waitFor(t, "its handle", ended, func() bool {
		_, text, _ := heirloom(t, "jobs", out)
		return strings.Contains(text, "ftjob-")
	})
	c.Process.Signal(syscall.SIGINT)
	if code := exitCode(<-ended); code != exitInterrupted {
		t.Fatalf("exit %d: %s", code, all)
	}
	for _, text := range []string{"Left running", "fine-tuning job ftjob-", "heirloom run ", "heirloom cancel "} {
		if !strings.Contains(all.String(), text) {
			t.Errorf("does not say %q: %s", text, all)
		}
	}
	say := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := heirloom(t, args...)
		if code != want {
			t.Errorf("%v: exit %d: %s%s", args, code, stdout, stderr)
		}
		clean(t, out, stdout, stderr)
		return stdout
	}
	if text := say(0, "jobs", out, "--look", "--json"); !strings.Contains(text, `"kind":"fine-tuning job"`) || strings.Contains(text, `"ended":true`) {
		t.Errorf("jobs: %s", text)
	}
	if text := say(0, "cleanup", out); !strings.Contains(text, "goes on, left alone") {
		t.Errorf("cleanup of what goes on: %s", text)
	}
	say(exitUsage, "cancel", out, "nothing-of-that-name")
	if text := say(0, "cancel", out); !strings.Contains(text, "cancelled: fine-tuning job") {
		t.Errorf("cancel: %s", text)
	}
	if text := say(0, "jobs", out, "--look"); !strings.Contains(text, "cancelled") {
		t.Errorf("jobs after cancel: %s", text)
	}
	if text := say(0, "cleanup", out); !strings.Contains(text, "would delete") || !strings.Contains(text, "--yes") || deletions(p) != 0 {
		t.Errorf("cleanup: %s", text)
	}
	if text := say(0, "cleanup", out, "--yes"); !strings.Contains(text, "deleted at") {
		t.Errorf("cleanup --yes: %s", text)
	}
	if text := say(0, "cleanup", out, "--yes"); !strings.Contains(text, "nothing is left") {
		t.Errorf("cleanup --yes again: %s", text)
	}
}

func deletions(p *provider) (n int) {
	for route, k := range p.Counts().Requests {
		if strings.HasPrefix(route, http.MethodDelete) {
			n += k
		}
	}
	return n
}

func TestDoctorFindsWhatWouldGoWrong(t *testing.T) {
	p := startProvider(t, serve.Options{})
	file := p.boughtFile(t, "")
	code, good, stderr := heirloom(t, "doctor", file)
	if code != 0 || !strings.Contains(good, "line main") || !strings.Contains(good, "hl-base") {
		t.Errorf("exit %d: %s%s", code, good, stderr)
	}
	code, bad, stderr := heirloom(t, "doctor", file, "--json", "--set", "line.backend.model=no-such-model")
	if code != exitFailed || !strings.Contains(bad, `"state":"fault"`) || !strings.Contains(bad, "no-such-model") {
		t.Errorf("exit %d: %s%s", code, bad, stderr)
	}
	var kinds []string
	for line := range strings.Lines(bad) {
		var f struct{ Of, What, State, Detail string }
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Of == "" || f.Detail == "" {
			t.Errorf("%s: %v", line, err)
		}
		kinds = append(kinds, f.What)
	}
	if !slices.Contains(kinds, "key") || !slices.Contains(kinds, "price") {
		t.Errorf("it looked at %v", kinds)
	}
	if n := p.Counts(); n.Jobs+n.Uploads+n.Answers > 0 {
		t.Errorf("doctor spent: %+v", n)
	}
	t.Setenv("OPENAI_API_KEY", "")
	dead := "http://127.0.0.1:9/v1"
	code, text, _ := heirloom(t, "doctor", file, "--set", "line.backend.base_url="+dead)
	if code != exitFailed || !strings.Contains(text, "fault") {
		t.Errorf("a server that is not there: exit %d: %s", code, text)
	}
	if code, text, _ := heirloom(t, "doctor", "trauma-narratives"); code != 0 || !strings.Contains(text, "nothing of it reaches outside") {
		t.Errorf("stand-ins: exit %d: %s", code, text)
	}
	clean(t, t.TempDir(), good, bad, stderr, text)
}

// TestTwoProcessesCannotSpendAtOnce is of row 21 of the failure matrix.
func TestTwoProcessesCannotSpendAtOnce(t *testing.T) {
	p := startProvider(t, serve.Options{})
	p.hold = 5
	file, out := p.boughtFile(t, ""), filepath.Join(t.TempDir(), "run")
	c, _ := process(t, "run", file, "--out", out, "--yes", "--workers", "1") // so that nothing goes on beside the request that hangs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	waitFor(t, "a request that hangs", ended, func() bool { return p.waits() > 0 })
	before := p.Counts().Jobs
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if code := Run(ctx, []string{"heirloom", "run", file, "--out", out, "--yes"}, io.Discard, io.Discard); code != exitFailed || p.Counts().Jobs != before {
		t.Errorf("a second process: exit %d, %d jobs more", code, p.Counts().Jobs-before)
	}
	c.Process.Kill()
	<-ended
}

// TestCancelledOutsideIsTrainedAnew is row 10 of the failure matrix.
func TestCancelledOutsideIsTrainedAnew(t *testing.T) {
	p := startProvider(t, serve.Options{Rules: []serve.Rule{{Match: "job", Nth: 1, Do: "stall"}}})
	file, out := p.boughtFile(t, ""), filepath.Join(t.TempDir(), "run")
	args := []string{"run", file, "--out", out, "--yes", "--set", "replicates=1", "--workers", "1"}
	c, all := process(t, args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	waitFor(t, "a job with a handle", ended, func() bool {
		_, text, _ := heirloom(t, "jobs", out)
		return strings.Contains(text, "ftjob-")
	})
	if code, text, stderr := heirloom(t, "cancel", out); code != 0 || !strings.Contains(text, "cancelled: ") {
		t.Fatalf("exit %d: %s%s", code, text, stderr)
	}
	if code := exitCode(<-ended); code != exitIncomplete || !strings.Contains(all.String(), "cancelled") {
		t.Errorf("exit %d: %s", code, all)
	}
	jobs := p.Counts().Jobs
	if code, _, stderr := heirloom(t, args...); code != 0 || p.Counts().Jobs <= jobs {
		t.Errorf("run again: exit %d, %d jobs more: %s", code, p.Counts().Jobs-jobs, stderr)
	}
}

// TestDeadlineLeavesTheJobAndTheOthersGoOn is row 9 of the failure matrix.
func TestDeadlineLeavesTheJobAndTheOthersGoOn(t *testing.T) {
	p := startProvider(t, serve.Options{Rules: []serve.Rule{{Match: "job", Nth: 1, Do: "stall"}}})
	file, out := p.boughtFile(t, ""), filepath.Join(t.TempDir(), "run")
	args := []string{"run", file, "--out", out, "--yes", "--set", "replicates=1", "--workers", "1"}
	code, _, stderr := heirloom(t, append(args, "--set", "line.backend.deadline=1s")...)
	if code != exitIncomplete || !strings.Contains(stderr, "ftjob-") || !strings.Contains(stderr, "Left running") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	made := p.Counts()
	if made.Answers == 0 {
		t.Error("nothing else was made")
	}
	if code, text, _ := heirloom(t, "jobs", out, "--look"); code != 0 || !strings.Contains(text, "ftjob-") {
		t.Errorf("jobs: exit %d: %s", code, text)
	}
}
