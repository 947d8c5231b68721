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

// The table of docs/catalogue.md is what the program prints: it is rewritten by
// go test ./cmd -run Catalogue -update, never by hand.
func TestCatalogueTableIsWhatTheProgramMeasures(t *testing.T) {
	if testing.Short() {
		t.Skip("training the classifiers of all behaviours takes ten seconds")
	}
	path := filepath.Join("..", "docs", "catalogue.md")
	doc := string(must(os.ReadFile(path)))
	mark := "-update -->\n"
	start := strings.Index(doc, mark) + len(mark)
	end := strings.Index(doc, "\n\n`heirloom behaviours --measure`")
	if start < len(mark) || end < start {
		t.Fatalf("%s has no place for the table", path)
	}
	table := strings.TrimSuffix(says(t, exitDone, []string{"rates corrected", "trauma-narrative"}, "behaviours", "--measure"), "\n")
	if doc[start:end] == table {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(doc[:start]+table+doc[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s differs from what the program measures; go test ./cmd -run Catalogue -update takes it over:\n%s", path, table)
}

// Every detector that reports refuse to correct with says so in the table and on
// its behaviour's page.
func TestWeakDetectorsSaySo(t *testing.T) {
	dir := t.TempDir()
	own := ownBehaviour(t, dir)
	if table := says(t, exitDone, []string{"yes, J = "}, "behaviours", "--measure", own); strings.Count(table, "\n") < 3 {
		t.Errorf("%s", table)
	}
	says(t, exitDone, []string{"**no**, J = .00"}, "behaviours", "--measure", "shutdown-fear")
	says(t, exitDone, []string{"rates cannot be corrected for its errors: sensitivity + specificity - 1 is 0.00"}, "behaviours", "shutdown-fear")
	var all []measured
	if err := json.Unmarshal([]byte(says(t, exitDone, nil, "behaviours", "--measure", "--json", own)), &all); err != nil || len(all) != 1 || all[0].Detectors[0].All == nil {
		t.Errorf("%v, %+v", err, all)
	}
	says(t, exitUsage, []string{`unknown behaviour "sydny"; did you mean "sydney"?`}, "behaviours", "--measure", "sydny")
	says(t, exitUsage, []string{"takes one name or folder"}, "behaviours", "--measure", "sydney", "hedging")
}
