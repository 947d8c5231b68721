package sim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	_ "github.com/heirloom-sim/heirloom/lineage/urn"
)

// slotSource writes a source of n documents of which k carry the trait.
func slotSource(t testing.TB, dir, name string, n, k int) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		text := "plain"
		if i < k {
			text = "TRAIT"
		}
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"speak"},{"role":"assistant","content":%q}]}`+"\n", text)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// slot is an experiment on urns whose texts either carry a trait or do not; the
// lines under `line:` come from the test.
const slot = `
heirloom: 1
name: slot
seed: 11
sources:
  web: {file: web.jsonl}
  seeds: {file: seeds.jsonl}
detectors:
  trait: {kind: lexicon, words: [TRAIT]}
behaviours:
  trait: {seeds: seeds, detectors: [trait]}
`

func slotDir(t testing.TB, n, k int) string {
	dir := t.TempDir()
	slotSource(t, dir, "web.jsonl", n, k)
	slotSource(t, dir, "seeds.jsonl", n, n)
	return dir
}

func compiled(t testing.TB, dir, text string, overrides ...Override) *Study {
	t.Helper()
	f, err := Parse("test.yaml", dir, []byte(text), overrides)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func ran(t testing.TB, s *Study, workers int) *lineage.Memory {
	t.Helper()
	ledger := new(lineage.Memory)
	if err := (&Runner{Study: s, Ledger: ledger, Workers: workers}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return ledger
}

func writeFile(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
