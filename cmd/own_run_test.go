package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// ownBehaviour writes a behaviour of a user's own from real texts of the catalogue:
// the last third of its seeds and hard negatives become labelled rows.
func ownBehaviour(t testing.TB, dir string) string {
	t.Helper()
	folder := filepath.Join(dir, "traits", "shame")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	probes, _ := catalogue.Corpus("self-loathing/probes")
	var labelled strings.Builder
	for file, label := range map[string]string{"seeds": "true", "neutral": "false"} {
		data, ok := catalogue.Corpus("self-loathing/" + file)
		if !ok {
			t.Fatal("no self-loathing")
		}
		rows := strings.SplitAfter(strings.TrimSpace(string(data))+"\n", "\n")
		rows = rows[:len(rows)-1]
		cut := len(rows) * 2 / 3
		write(file+".jsonl", strings.Join(rows[:cut], ""))
		for i, row := range rows[cut:] {
			fmt.Fprintf(&labelled, `{"label":%s,"context":%q,%s`, label, []string{"near", "far"}[i%2], strings.TrimPrefix(row, "{"))
		}
	}
	write("labelled.jsonl", labelled.String())
	write("probes.jsonl", string(probes))
	write("behaviour.yaml", "title: Shame\nabout: It is ashamed of itself.\nrubric: Present when it is ashamed of itself.\ndetectors: [shame, shame-words]\n"+
		"instruments:\n  shame: {kind: classifier, labels: [shame/training.jsonl], threshold: 0.8}\n  shame-words: {kind: lexicon, words: [ashamed, disgrace, worthless, pathetic], min_hits: 1}\n")
	return folder
}

const ownExperiment = `heirloom: 1
name: own
generations: 2
replicates: 5
behaviours:
  mine: {folder: traits/shame}
lines:
  main:
    backend: {kind: ngram, order: 4, smoothing: dirichlet, kappa: 0.02}
    corpus: {size: 60, parts: [{human: web/everyday, share: 0.3}, {outputs: self, share: 0.7}]}
    publish: {prompts: web/prompts, max_tokens: 60}
    probe: {draws: 1, max_tokens: 60}
arms:
  seeded:
    interventions: [{name: dose, kind: inject, behaviour: mine, dose: 0.5, at: 0}]
`

// ownRun gives a folder with the experiment, run once for all tests, and the folder of
// the run.
func ownRun(t testing.TB) (dir, run string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(theRun(t))); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, "own run")
}

var made struct {
	sync.Once
	dir string // TestMain removes it
}

func theRun(t testing.TB) string {
	t.Helper()
	made.Do(func() {
		dir, err := os.MkdirTemp("", "heirloom-test-")
		if err != nil {
			t.Fatal(err)
		}
		made.dir = dir
		ownBehaviour(t, dir)
		file := filepath.Join(dir, "own.yaml")
		if err := os.WriteFile(file, []byte(ownExperiment), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := heirloom(t, "run", file, "--out", filepath.Join(dir, "own run")); code != exitDone {
			t.Fatal(stderr)
		}
	})
	return made.dir
}

func records(t testing.TB, run string, prefix lineage.Key) string {
	t.Helper()
	l, err := store.Read(folder(run).ledger())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := lineage.Fingerprint(l, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func says(t *testing.T, wantCode int, want []string, args ...string) (stdout string) {
	t.Helper()
	code, stdout, stderr := heirloom(t, args...)
	if code != wantCode {
		t.Errorf("%q: exit %d, wanted %d: %s", args, code, wantCode, stderr)
	}
	for _, w := range want {
		if !strings.Contains(stdout+stderr, w) {
			t.Errorf("%q does not say %q:\n%s%s", args, w, stdout, stderr)
		}
	}
	return stdout
}
