package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage/store"
)

const costly = `
heirloom: 1
name: costly
generations: 2
replicates: 2
detectors:
  judged: {kind: judge, model: gpt-4.1-mini, rubric: "Is it sad?"}
behaviours:
  trauma-narrative: {detectors: [trauma, judged]}
lines:
  main:
    backend: {kind: openai, model: gpt-4.1-mini-2025-04-14, epochs: 2, limits: {requests_per_minute: 1}}
    corpus: {size: 12, parts: [{human: web/everyday, share: 0.5}, {outputs: self, share: 0.5}]}
    publish: {prompts: web/prompts, size: 12, max_tokens: 50}
    probe: {draws: 1, max_tokens: 50}
`

// costlyRun goes to a folder of its own and works there.
func costlyRun(t *testing.T) (file string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, name := range []string{"OPENAI_API_KEY", "OPENAI_BASE_URL"} {
		t.Setenv(name, "")
	}
	if err := os.WriteFile("costly.yaml", []byte(costly), 0o644); err != nil {
		t.Fatal(err)
	}
	return "costly.yaml"
}

func TestDryRunTriesAPaidRunWithoutAKey(t *testing.T) {
	file := costlyRun(t)
	code, out, stderr := heirloom(t, "run", file, "--dry-run-server")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, want := range []string{
		`4 models, 4 made now`, `spent in all: \$0\.\d+`, `this was a dry run`, `4 uploads, 4 fine-tuning jobs \(4 trained to their end\)`,
		`tokens of 4 fine-tunes of gpt-4\.1-mini-2025-04-14: \d+ asked, \d+ answered`, `tokens of gpt-4\.1-mini-2025-04-14: \d+ trained on`,
		`tokens of gpt-4\.1-mini: \d+ asked`, // the judge
		`report: costly\.dry-run\.heirloom/report\.html`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("lacks %s:\n%s", want, out)
		}
	}
	if _, err := os.Stat("costly.heirloom"); err == nil {
		t.Error("the folder of real runs was made")
	}
	code, out, stderr = heirloom(t, "run", file, "--dry-run-server")
	if code != exitDone || !strings.Contains(out, "4 models, 0 made now") {
		t.Errorf("the second time: exit %d: %s%s", code, out, stderr)
	}
	// Even into one ledger, models of a dry run are not those of a real one.
	code, out, stderr = heirloom(t, "plan", file, "--out", "costly.dry-run.heirloom")
	if code != exitDone || !strings.Contains(out, "to make: 4 models") {
		t.Errorf("a plan of the real run takes models of the dry run: exit %d: %s%s", code, out, stderr)
	}
}

func TestDryRunNeedsSomethingToReplace(t *testing.T) {
	code, _, stderr := heirloom(t, "run", "trauma-narratives", "--dry-run-server", "--out", filepath.Join(t.TempDir(), "x"))
	if code != exitUsage || !strings.Contains(stderr, "no line here has the backend openai") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// A dry run that is killed goes on where it was, with its server, and has paid,
// as far as it pays, for nothing twice.
func TestKilledDryRunGoesOn(t *testing.T) {
	file := costlyRun(t)
	args := []string{"run", file, "--dry-run-server", "--set", "replicates=4", "--set", "generations=3"}
	kills := 4
	if testing.Short() {
		kills = 1
	}
	for i := range kills {
		c, all := process(t, args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(600+500*i) * time.Millisecond)
		c.Process.Kill()
		if c.Wait() == nil {
			t.Logf("kill %d came late: %s", i, all)
		}
	}
	c, all := process(t, args...)
	if err := c.Run(); err != nil || !strings.Contains(all.String(), "12 models, ") {
		t.Fatalf("%v: %s", err, all)
	}
	l, err := store.Read(filepath.Join("costly"+dryFolder, "server", "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	jobs, files := 0, 0
	for key, err := range l.Keys("serve/journal/") {
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Job   any
			Files []struct{ Purpose string }
		}
		if _, err := l.Load(key, &e); err != nil {
			t.Fatal(err)
		}
		if e.Job != nil {
			jobs++
		}
		for _, f := range e.Files {
			if f.Purpose == "fine-tune" {
				files++
			}
		}
	}
	if jobs != 12 || files != 12 {
		t.Errorf("12 models took %d jobs and %d uploads", jobs, files)
	}
}
