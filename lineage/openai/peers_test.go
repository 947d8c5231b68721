package openai

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// aimock is a server of the protocol that others wrote
// (https://github.com/CopilotKit/aimock), where npm is there to bring it: what the
// client and the servers of our tests agree on may be wrong in both.
func aimock(t *testing.T) (dir string) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not there")
	}
	dir = t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "serve.mjs"} {
		data, err := os.ReadFile(filepath.Join("testdata", "peers", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm does not bring the server: %v: %.400s", err, out)
	}
	return dir
}

// serving starts the server, with a share of faults of each kind, and gives its
// address.
func serving(t *testing.T, dir, faults string) string {
	server := exec.CommandContext(t.Context(), "node", "serve.mjs", faults)
	server.Dir = dir
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); server.Wait() })
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server does not tell its address: %v", err)
	}
	return strings.TrimSpace(url) + "/v1"
}

func TestServerOfOthers(t *testing.T) {
	dir := aimock(t)
	const said = "an answer of another server"
	open := func(t *testing.T, url string, change func(*Config)) (*Backend, lineage.World) {
		c := Defaults()
		c.Profile, c.BaseURL, c.KeyEnv, c.Model, c.Epochs = "compatible", url, "AIMOCK_KEY", "gpt-4.1-mini-2025-04-14", "1"
		c.Prices = &Price{Train: 1, Input: 1, Output: 1}
		change(&c)
		b, err := newBackend(c, &Servers{clock: new(leap).clock()})
		if err != nil {
			t.Fatal(err)
		}
		w := lineage.World{Purse: &purse{cap: lineage.Dollar}, Log: func(string, ...any) {}, Ticket: func(string) lineage.Ticket { return &strip{die: -1} }}
		if err := b.Enter(w); err != nil {
			t.Fatal(err)
		}
		return b, w
	}
	ask := func(t *testing.T, b *Backend, a lineage.Artifact, n int, want string) {
		m, err := b.Open(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		got, err := collect(t, t.Context(), m, prompts(n))
		if err != nil || len(got) != n {
			t.Fatalf("%d of %d completions: %v", len(got), n, err)
		}
		for i, c := range got {
			if c.Text != want || c.Finish != "stop" {
				t.Fatalf("request %d: %+v", i, c)
			}
		}
	}
	url := serving(t, dir, "0")
	t.Run("fine-tuning and completions", func(t *testing.T) {
		b, _ := open(t, url, func(*Config) {})
		ticket := &strip{die: -1}
		a, err := b.Train(t.Context(), lineage.Job{Node: "n", Learner: lineage.SFT, Examples: given(lessons(12)), Count: 12, Seed: 1, Ticket: ticket})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(a.(*Artifact).Model, "ft:gpt-4.1-mini") {
			t.Errorf("the model is %q", a.(*Artifact).Model)
		}
		ask(t, b, a, 20, said)
		last, _ := ticket.Load()
		if e, err := b.Look(t.Context(), last); err != nil || !e.Ended {
			t.Errorf("%+v: %v", e, err)
		}
	})
	t.Run("streams", func(t *testing.T) {
		b, _ := open(t, url, func(c *Config) { c.Stream = true })
		ask(t, b, &Artifact{Model: "m"}, 20, said)
	})
	t.Run("several of one prompt", func(t *testing.T) { // of which it gives one at a time
		b, _ := open(t, url, func(c *Config) { c.Samples = 4 })
		m, err := b.Open(t.Context(), &Artifact{Model: "m"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := collect(t, t.Context(), m, slices.Repeat(prompts(1), 10)); err != nil || len(got) != 10 {
			t.Errorf("%d of 10 completions: %v", len(got), err)
		}
	})
	t.Run("batches", func(t *testing.T) {
		b, _ := open(t, url, func(c *Config) { c.Batch = true })
		ask(t, b, &Artifact{Model: "m"}, 50, "Mock batch completion")
	})
	t.Run("embeddings", func(t *testing.T) {
		b, _ := open(t, url, func(*Config) {})
		got, err := b.client.Embed(t.Context(), "e", []string{"a", "b"})
		if err != nil || len(got) != 2 || !slices.Equal(got[1], []float32{0.25, -0.5}) {
			t.Errorf("%v: %v", got, err)
		}
	})
	t.Run("faults", func(t *testing.T) {
		url := serving(t, dir, "0.08")
		for _, stream := range []bool{false, true} {
			// One at a time: the clock adds up the pauses of all who wait.
			b, _ := open(t, url, func(c *Config) { c.Stream, c.Parallel = stream, 1 })
			ask(t, b, &Artifact{Model: "m"}, 300, said)
		}
	})
}
