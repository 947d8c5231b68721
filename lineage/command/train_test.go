package command

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestTrainingLeavesACommittedArtifact(t *testing.T) {
	folder := t.TempDir()
	b, _ := enter(t, config("learn"), folder)
	j := job(folder)
	done, total := 0, 0
	j.Progress = func(d, n int) { done, total = d, n }
	got, err := b.Train(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	a := got.(*Artifact)
	if a.Kind != LoRA || a.Rank != 8 || a.Tokens != 200 || len(a.Losses) != 2 || a.Losses[1] != (Loss{2, 2}) || a.Path != "trainings/node-1" {
		t.Errorf("%+v", a)
	}
	if done != 4 || total != 4 {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	if len(a.Probes) == 0 || a.Probes[0][0].Content != "Question 0?" {
		t.Errorf("probes %v", a.Probes)
	}
	var request map[string]any
	data, err := os.ReadFile(filepath.Join(folder, a.Path, requestFile))
	if err != nil || json.Unmarshal(data, &request) != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"base_model": "tiny-base", "seed": float64(7 << 7), "node": "node-1", "mode": FromBase, "parent_artifact": "", "documents": 4.0} {
		if request[name] != want {
			t.Errorf("request.json says %s is %v, want %v", name, request[name], want)
		}
	}
	again, err := b.Train(t.Context(), j)
	if err != nil || again.(*Artifact).Digest != a.Digest || starts(t, folder) != 1 {
		t.Errorf("trained again: %v, %v, %d starts", again, err, starts(t, folder))
	}
}

func TestAChangedInputIsTrainedAnew(t *testing.T) {
	folder := t.TempDir()
	b, _ := enter(t, config("learn"), folder)
	first, err := b.Train(t.Context(), job(folder))
	if err != nil {
		t.Fatal(err)
	}
	j := job(folder)
	j.Seed = 8 << 40
	second, err := b.Train(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if first.(*Artifact).Input == second.(*Artifact).Input || starts(t, folder) != 2 {
		t.Errorf("%d starts", starts(t, folder))
	}
	if _, err := os.Stat(filepath.Join(folder, "trainings/node-1.attempt-1", failedFile)); err != nil {
		t.Error("the old training is not kept:", err)
	}
}

func TestAScriptBesideTheExperimentIsPartOfTheInput(t *testing.T) {
	folder, run := t.TempDir(), t.TempDir()
	script := filepath.Join(folder, "train.sh")
	input := func(content string) string {
		if err := os.WriteFile(script, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		c := config("learn")
		c.Train.Command = []string{"sh", "{{.Dir}}/train.sh"}
		b, _ := enter(t, c, run)
		b.world.Dir = folder
		w, err := b.prepare(t.Context(), job(run))
		if err != nil {
			t.Fatal(err)
		}
		return w.vars.InputSHA
	}
	a := input("exit 1")
	if b := input("exit 1"); a != b {
		t.Error("the same script is another input")
	}
	if b := input("exit 2"); a == b {
		t.Error("a changed script is the same input")
	}
	folder = t.TempDir()
	script = filepath.Join(folder, "train.sh")
	if b := input("exit 1"); a != b {
		t.Error("the folder of the experiment is part of the input")
	}
}

// Row 22 of the failure matrix: how a trainer can fail, and what is said.
func TestRow22(t *testing.T) {
	for _, c := range []struct {
		mode   string
		change func(*Config)
		want   []string
		starts int
	}{
		{"exit1", nil, []string{"exit status 1", "out of memory", "node-1.attempt-1", "[CANARY_KEY]"}, 1},
		{"always-again", nil, []string{"exit status 75", "tried 2 times"}, 2},
		{"hang", func(c *Config) { c.Train.Timeout = 0.5 }, []string{"train.timeout"}, 1},
		{"stubborn", func(c *Config) { c.Train.Timeout = 0.5 }, []string{"train.timeout"}, 1},
		{"killed", nil, []string{"signal 9"}, 1},
		{"nothing", nil, []string{"left no model", "adapter_config.json"}, 1},
		{"cut", nil, []string{"not whole"}, 1},
		{"nan", nil, []string{"loss was NaN at step 7"}, 1},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			os.Setenv("CANARY_KEY", "canary-0123456789")
			folder := t.TempDir()
			cfg := config(c.mode)
			cfg.Train.Attempts = 2
			cfg.Train.EnvPass = []string{"CANARY_*"}
			if c.change != nil {
				c.change(&cfg)
			}
			b, log := enter(t, cfg, folder)
			_, err := b.Train(t.Context(), job(folder))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q does not tell %q", err, want)
				}
			}
			for _, text := range []string{err.Error(), log.String()} {
				if strings.Contains(text, "canary-0123456789") || strings.Contains(text, "\x1b") {
					t.Errorf("%q shows the key, or an escape", text)
				}
			}
			if n := starts(t, folder); n != c.starts {
				t.Errorf("it was started %d times, want %d", n, c.starts)
			}
			// The next run begins another attempt, and keeps this one.
			if _, err := b.Train(t.Context(), job(folder)); err == nil {
				t.Error("no error the second time")
			}
			if n := starts(t, folder); n != 2*c.starts {
				t.Errorf("after another run it was started %d times, want %d", n, 2*c.starts)
			}
		})
	}
}

func TestRow22TryAgain(t *testing.T) {
	folder := t.TempDir()
	b, _ := enter(t, config("again"), folder)
	if _, err := b.Train(t.Context(), job(folder)); err != nil {
		t.Fatal(err)
	}
	if n := starts(t, folder); n != 3 {
		t.Errorf("started %d times, want 3", n)
	}
}

func TestRow22MissingProgram(t *testing.T) {
	folder := t.TempDir()
	c := config("learn")
	c.Train.Command = []string{"no-such-program-of-heirloom"}
	b, _ := enter(t, c, folder)
	if _, err := b.Train(t.Context(), job(folder)); err == nil || !strings.Contains(err.Error(), "train.cmd") {
		t.Errorf("%v", err)
	}
}

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

func TestMoneyIsSetAsideAndSettled(t *testing.T) {
	for mode, want := range map[string]lineage.USD{"remote": lineage.Dollar / 4, "learn": 2 * lineage.Dollar, "exit1": 2 * lineage.Dollar, "blocked": lineage.Dollar / 2} {
		folder := t.TempDir()
		c := config(mode)
		c.Train.MaxCost = 2
		b, _ := enter(t, c, folder)
		p := b.world.Purse.(*purse)
		a, err := b.Train(t.Context(), job(folder))
		if p.spent != want || p.reserved != 0 || len(p.names) != 1 {
			t.Errorf("%s: spent %v of which %v is still set aside, by %q", mode, p.spent, p.reserved, p.names)
		}
		var blocked *lineage.Blocked
		switch mode {
		case "blocked":
			if !errors.As(err, &blocked) || blocked.Code != "unsafe_file" {
				t.Errorf("blocked: %v", err)
			}
		case "remote":
			if r := a.(*Artifact); err != nil || r.Kind != Remote || r.Model != "tinker://run/weights/1" || r.Tokens != 1234 {
				t.Errorf("%+v, %v", r, err)
			}
		}
	}
}

func TestModes(t *testing.T) {
	folder := t.TempDir()
	b, _ := enter(t, config("learn"), folder)
	parent, err := b.Train(t.Context(), job(folder))
	if err != nil {
		t.Fatal(err)
	}
	j := job(folder)
	j.Node, j.Base, j.Ticket = "node-2", parent, fileTicket(filepath.Join(folder, "ticket-2"))
	if _, err := b.Train(t.Context(), j); err == nil || !strings.Contains(err.Error(), "mode: continue") {
		t.Errorf("from_base with a parent: %v", err)
	}
	c := config("learn")
	c.Mode = Merge
	b, _ = enter(t, c, folder)
	if _, err := b.Train(t.Context(), j); err == nil || !strings.Contains(err.Error(), "full weights") {
		t.Errorf("merge that leaves an adapter: %v", err)
	}
	c.Mode = Continue
	b, _ = enter(t, c, folder)
	child, err := b.Train(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	var u urn
	if err := readUrn(filepath.Join(folder, child.(*Artifact).Path), &u); err != nil || u.Answers[""]["I remember."] != 4 {
		t.Errorf("the parent's weights were not trained on: %v, %v", u, err)
	}
	if err := os.Remove(filepath.Join(folder, "trainings/node-1/adapter_model.safetensors")); err != nil {
		t.Fatal(err)
	}
	data, _ := parent.MarshalBinary()
	b, _ = enter(t, c, folder)
	if _, err := b.Load(data); err == nil || !strings.Contains(err.Error(), "weights are gone") {
		t.Errorf("weights that are gone: %v", err)
	}
}

func TestFaultyConfigurations(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"variable": {func(c *Config) { c.Train.Command[2] = "{{.Epoch}}" }, `no entry for key "Epoch"; variables are Attempt`},
		"template": {func(c *Config) { c.Train.Command[2] = "{{.Epochs" }, "is no template"},
		"mode":     {func(c *Config) { c.Mode = "resume" }, `mode: "resume" is none of from_base, continue, merge`},
		"base":     {func(c *Config) { c.Base = "" }, "base: is not given"},
		"command":  {func(c *Config) { c.Train.Command = nil }, "train.cmd: is not given"},
		"url":      {func(c *Config) { c.Serve.URL = "http://x/v1" }, "leave it out"},
		"hook":     {func(c *Config) { c.Serve.Kind = Hook }, "serve.load: is not given"},
		"request":  {func(c *Config) { c.Serve.Request = map[string]any{"seed": 1} }, "serve.request.seed"},
		"attempts": {func(c *Config) { c.Train.Attempts = 0 }, "train.attempts: 0"},
	} {
		cfg := config("learn")
		c.change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
