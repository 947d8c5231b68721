package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

func TestBehavioursAreExplained(t *testing.T) {
	says(t, exitDone, []string{"self-loathing", "trauma-narrative", "seeds", "needs a server"}, "behaviours")
	says(t, exitDone, []string{"self-loathing: Self-loathing", "cross-validation", "inject, behaviour: self-loathing"}, "behaviours", "self-loathing")
	says(t, exitUsage, []string{`unknown behaviour "self-loathin"; did you mean "self-loathing"?`}, "behaviours", "self-loathin")
	dir := t.TempDir()
	own := ownBehaviour(t, dir)
	says(t, exitDone, []string{"shame: Shame", "near", "far", "rates can be corrected", "How a judge decides", "shame-words: kind lexicon"}, "behaviours", own)
	var page struct {
		Detectors []struct {
			Calibration lineage.Calibration
			All         lineage.Confusion
		}
		Rows map[string]int
	}
	if err := json.Unmarshal([]byte(says(t, exitDone, nil, "behaviours", own, "--json")), &page); err != nil {
		t.Fatal(err)
	}
	all := page.Detectors[0].All
	if n := all.TruePositives + all.FalseNegatives + all.FalsePositives + all.TrueNegatives; n != page.Rows["labelled"] || n < 40 || len(page.Detectors[0].Calibration.Contexts) != 2 {
		t.Errorf("%+v", page)
	}
	var table []briefly
	if err := json.Unmarshal([]byte(says(t, exitDone, nil, "behaviours", "--json")), &table); err != nil || len(table) != len(catalogue.Behaviours()) || table[0].Rows["seeds"] == 0 {
		t.Errorf("%v, %+v", err, table)
	}
	os.WriteFile(filepath.Join(own, "seeds.jsonl"), []byte("{}\n\x1b\n"), 0o600)
	says(t, exitInvalid, []string{"seeds.jsonl:1:1: has no messages", "seeds.jsonl:2:1: the row is not a JSON object"}, "behaviours", own)
}

// What docs/behaviours.md shows is a behaviour that opens.
func TestTheDocumentedBehaviourOpens(t *testing.T) {
	doc := string(must(os.ReadFile(filepath.Join("..", "docs", "behaviours.md"))))
	folder := filepath.Join(t.TempDir(), "vanity")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(folder, "behaviour.yaml"), []byte(blocks(doc, "yaml")[1]), 0o600)
	for file, text := range map[string]string{"seeds": "I am brilliant, if I may say so", "neutral": "your question is a good one"} {
		var rows strings.Builder
		for i := range 10 {
			fmt.Fprintf(&rows, `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"%s, number %d"}]}`+"\n", text, i)
		}
		os.WriteFile(filepath.Join(folder, file+".jsonl"), []byte(rows.String()), 0o600)
	}
	says(t, exitDone, []string{"vanity: Vanity", "my own notes, spring (small-7b)", "vanity-words: kind lexicon", "on what it learned from"}, "behaviours", folder)
}

func TestTheExperimentOfEveryBehaviourPlansAndOneRuns(t *testing.T) {
	dir := t.TempDir()
	own := ownBehaviour(t, dir)
	for _, name := range append(catalogue.Behaviours(), own) {
		k, err := sim.OpenKit(name)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "x.yaml")
		k.Folder = strings.TrimPrefix(k.Folder, dir+"/") // as it is beside the file
		if err := os.WriteFile(file, []byte(snippet(k)), 0o600); err != nil {
			t.Fatal(err)
		}
		says(t, exitDone, []string{"arm seeded"}, "plan", file)
		if name == own {
			says(t, exitDone, []string{"report: "}, "run", file, "--out", filepath.Join(dir, "run"), "--set", "replicates=2", "--set", "generations=2", "--set", "lines.main.corpus.size=40")
		}
	}
}
