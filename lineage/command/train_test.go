package command

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		{"hang", func(c *Config) { c.Train.Timeout = 3 }, []string{"train.timeout"}, 1},
		{"stubborn", func(c *Config) { c.Train.Timeout = 3 }, []string{"train.timeout"}, 1},
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
