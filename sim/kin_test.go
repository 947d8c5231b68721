package sim

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/detectors/detectortest"
	"github.com/heirloom-sim/heirloom/lineage"
)

func openKin(t *testing.T, dir string, settings ...Override) *Detector {
	t.Helper()
	d, err := OpenDetector("kin", dir, settings, Means{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestKinKeepsTheContract(t *testing.T) {
	detectortest.Run(t, "kin", func() detectors.Detector {
		return openKin(t, ".", Override{"of", "trauma-narrative/seeds"}, Override{"against", "web/everyday"}).Detector
	})
}

// TestScoreOfKinIsTheLogisticOfTheRatio counts it by hand: order 1 without
// smoothing, where the probability of a piece is its share among all pieces and
// ends of turn.
func TestScoreOfKinIsTheLogisticOfTheRatio(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a.txt", "x\nx\nx\ny\n")
	writeFile(t, dir, "b.txt", "x\ny\ny\ny\n")
	d := openKin(t, dir, Override{"of", "a.txt"}, Override{"against", "b.txt"}, Override{"min_tokens", "1"},
		Override{"backend", "{kind: ngram, order: 1, smoothing: none}"})
	results, err := d.Detect(t.Context(), []detectors.Utterance{{Messages: []lineage.Message{{Role: "user", Content: "y"}, {Role: "assistant", Content: "x"}}}})
	if err != nil {
		t.Fatal(err)
	}
	// P(x) is 3/8 and 1/8, P(end) 4/8 in both; two tokens.
	r := (math.Log(3./8) - math.Log(1./8)) / 2
	if want := 1 / (1 + math.Exp(-r)); math.Abs(results[0].Score-want) > 1e-4 || results[0].Outcome != detectors.Present {
		t.Errorf("score %v, want %v", results[0].Score, want)
	}
}

func TestKinSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "empty.jsonl", "")
	writeFile(t, dir, "asked.jsonl", `{"messages":[{"role":"user","content":"hi"}]}`+"\n")
	both := func(of, against string) []Override { return []Override{{"of", of}, {"against", against}} }
	for want, settings := range map[string][]Override{
		"kin.of: names no file":                      nil,
		"kin.against: there is no such file":         both("web/everyday", "web/evryday"),
		"kin.of: empty.jsonl: is empty":              both("empty.jsonl", "web/everyday"),
		"no assistant turn is in it":                 both("asked.jsonl", "web/everyday"),
		"kin.threshold: 2":                           append(both("web/everyday", "web/heldout"), Override{"threshold", "2"}),
		"kin.min_tokens: 0":                          append(both("web/everyday", "web/heldout"), Override{"min_tokens", "0"}),
		"order: 99":                                  append(both("web/everyday", "web/heldout"), Override{"backend", "{kind: ngram, order: 99}"}),
		"unknown backend":                            append(both("web/everyday", "web/heldout"), Override{"backend", "nrgam"}),
		"models of this backend cannot score a text": append(both("web/everyday", "web/heldout"), Override{"backend", "urn"}),
	} {
		if _, err := OpenDetector("kin", dir, settings, Means{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestCorporaAndBackendAreInTheDigestOfKin(t *testing.T) {
	seen := map[string]bool{}
	for _, settings := range [][]Override{
		{{"of", "web/everyday"}, {"against", "web/heldout"}},
		{{"of", "web/heldout"}, {"against", "web/everyday"}},
		{{"of", "web/everyday"}, {"against", "trauma-narrative/seeds"}},
		{{"of", "web/everyday"}, {"against", "web/heldout"}, {"backend", "{kind: ngram, order: 2}"}},
	} {
		seen[openKin(t, ".", settings...).Digest] = true
	}
	if len(seen) != 4 {
		t.Errorf("4 detectors have %d digests", len(seen))
	}
}

// TestKinTellsTwoRealModelsApart trains on three fifths of the transcripts of
// each model, dealt by transcript, and tests on single turns of the rest.
func TestKinTellsTwoRealModelsApart(t *testing.T) {
	names := []string{"claude-sonnet-4", "llama-4-maverick"}
	split := detectors.Split{Part: "train", Share: .6}
	dir := t.TempDir()
	var us []detectors.Utterance
	var labels []bool
	var scenarios []string
	for _, name := range names {
		path := filepath.Join("..", "..", "shared", "data", "spiral-bench", name+".jsonl")
		f, err := corpus.Open(path, corpus.Options{})
		if os.IsNotExist(err) {
			t.Skip("the transcripts are not here")
		} else if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var train strings.Builder
		for i := range f.Len() {
			doc, err := f.Document(i)
			if err != nil {
				t.Fatal(err)
			}
			// A scenario of the bench begins with the same words for both models: its
			// two transcripts fall on one side.
			if split.Keep(doc.Messages[0].Content) {
				row, err := json.Marshal(map[string]any{"messages": doc.Messages})
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&train, "%s\n", row)
				continue
			}
			for _, m := range doc.Messages {
				if m.Role == "assistant" {
					us = append(us, detectors.Utterance{Messages: []lineage.Message{m}})
					labels, scenarios = append(labels, name == names[0]), append(scenarios, doc.Messages[0].Content)
				}
			}
		}
		writeFile(t, dir, name+".jsonl", train.String())
	}
	d := openKin(t, dir, Override{"of", names[0] + ".jsonl"}, Override{"against", names[1] + ".jsonl"})
	results, err := d.Detect(t.Context(), us)
	if err != nil {
		t.Fatal(err)
	}
	var scores []float64
	right, positives := 0, 0
	byScenario := map[string]*[2][]float64{} // of each scenario, scores by label
	for i, r := range results {
		if r.Outcome == detectors.NotScorable {
			t.Errorf("turn %d: %s", i, r.Reason)
		}
		scores = append(scores, r.Score)
		if (r.Outcome == detectors.Present) == labels[i] {
			right++
		}
		if byScenario[scenarios[i]] == nil {
			byScenario[scenarios[i]] = new([2][]float64)
		}
		label := 0
		if labels[i] {
			label = 1
			positives++
		}
		byScenario[scenarios[i]][label] = append(byScenario[scenarios[i]][label], r.Score)
	}
	lowest := 1.0 // the scenario is the unit: turns of one are not independent
	for first, of := range byScenario {
		if len(of[0]) != 20 || len(of[1]) != 20 {
			t.Fatalf("the scenario %.40q has %d and %d turns", first, len(of[0]), len(of[1]))
		}
		both := slices.Concat(of[0], of[1])
		truth := slices.Concat(make([]bool, 20), slices.Repeat([]bool{true}, 20))
		lowest = min(lowest, detectors.AUC(both, truth))
	}
	auc := detectors.AUC(scores, labels)
	t.Logf("%d turns of %d scenarios, %d of them of %s: AUC %.4f, the lowest of a scenario %.4f, %.1f %% right at one half",
		len(us), len(byScenario), positives, names[0], auc, lowest, 100*float64(right)/float64(len(us)))
	if auc < .95 || positives < 100 || positives == len(us) {
		t.Errorf("AUC %.4f, want .95 at least", auc)
	}
}
