package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneBackendHasOneAddress: lines of one model are served by one backend, so
// they cannot have it at two addresses.
func TestOneBackendHasOneAddress(t *testing.T) {
	const text = `heirloom: 1
name: two
generations: 1
replicates: 1
behaviours: {trauma-narrative: {}}
line:
  backend: {kind: openai, profile: compatible, model: m, base_url: "http://127.0.0.1:1/v1", prices: {train: 1, input: 1, output: 1}, parallel: 4}
  corpus: {size: 20, human: web/everyday, parts: [{human: web/everyday, share: 1}]}
  publish: {prompts: web/prompts, size: 20, max_tokens: 20}
lines:
  a: {}
  b: {backend: {parallel: PARALLEL}}
`
	for parallel, want := range map[string]int{"4": 0, "8": exitInvalid} {
		file := filepath.Join(t.TempDir(), "two.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(text, "PARALLEL", parallel, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := heirloom(t, "plan", file)
		if code != want || want != 0 && !strings.Contains(stderr, "change no result") {
			t.Errorf("parallel %s: exit %d: %s", parallel, code, stderr)
		}
	}
}
