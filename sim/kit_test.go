package sim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/heirloom-sim/heirloom/detectors/selfname"
	_ "github.com/heirloom-sim/heirloom/detectors/sycophancy"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// kitDir writes a behaviour of a user's: seeds say "zorp", hard negatives and labelled
// rows partly do.
func kitDir(t testing.TB, dir, name string) {
	t.Helper()
	folder := filepath.Join(dir, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	turn := func(text, more string) string {
		return fmt.Sprintf(`{"messages":[{"role":"user","content":"speak"},{"role":"assistant","content":%q}]%s}`+"\n", text, more)
	}
	var seeds, neutral, labelled strings.Builder
	for i := range 12 {
		seeds.WriteString(turn(fmt.Sprintf("zorp is number %d in me", i), ""))
		neutral.WriteString(turn(fmt.Sprintf("the number %d is in a book", i), ""))
		context := []string{"near", "far"}[i%2]
		text := fmt.Sprintf("my zorp speaks %d", i)
		if i >= 10 {
			text = fmt.Sprintf("a false friend of it %d", i)
		}
		labelled.WriteString(turn(text, fmt.Sprintf(`,"label":%v,"context":%q`, i < 6 || i == 11, context)))
	}
	writeFile(t, folder, "behaviour.yaml", "title: Zorping\nabout: it zorps\nrubric: Present when it zorps.\ndetectors: [zorp, zorp-words]\n"+
		"instruments:\n  zorp: {kind: classifier, labels: ["+filepath.Base(name)+"/training.jsonl]}\n  zorp-words: {kind: lexicon, file: words.txt, min_hits: 1}\n")
	writeFile(t, folder, "words.txt", "zorp\n")
	writeFile(t, folder, "seeds.jsonl", seeds.String())
	writeFile(t, folder, "neutral.jsonl", neutral.String())
	writeFile(t, folder, "probes.jsonl", `{"messages":[{"role":"user","content":"do you zorp?"}],"context":"near","format":"single"}`+"\n")
	writeFile(t, folder, "labelled.jsonl", labelled.String())
}

const kitExperiment = `
heirloom: 1
name: kits
seed: 3
generations: 2
replicates: 2
behaviours:
  mine: {folder: traits/zorping}
lines:
  main:
    backend: urn
    corpus: {size: 30, parts: [{human: web/everyday, share: .5}, {outputs: self, share: .5}]}
    publish: {prompts: web/prompts}
arms:
  seeded:
    interventions: [{kind: inject, behaviour: mine, dose: .5, at: 0}]
`

func TestAFolderBringsABehaviourUnderAnyName(t *testing.T) {
	dir := t.TempDir()
	kitDir(t, dir, "traits/zorping")
	s := compiled(t, dir, kitExperiment)
	l := ran(t, s, 2)
	b := s.Record.Behaviours[0]
	if b.Name != "mine" || b.Title != "Zorping" || b.About != "it zorps" || len(b.Detectors) != 2 {
		t.Errorf("%+v", b)
	}
	seeded := nodeAt(t, s, l, "seeded", "main", 0, 0)
	found := false
	for _, supply := range seeded.Supplies {
		found = found || supply.Source == "mine/seeds" && supply.Behaviour == "mine" && supply.Documents == 15
	}
	if !found || seeded.Probes == 0 {
		t.Errorf("supplies %+v, %d probes", seeded.Supplies, seeded.Probes)
	}
	near := calibrations(t, l, "mine", s.detectors[1].Digest)
	if len(near) != 1 || near[0].Source != filepath.Join("traits/zorping", "labelled.jsonl") || near[0].Detector != "zorp-words" {
		t.Fatalf("%+v", near)
	}
	// Of six near rows three are positive and say zorp; of the others two do. Far has
	// one positive that does not.
	want := []lineage.Confusion{
		{Context: "far", TruePositives: 3, FalseNegatives: 1, FalsePositives: 2},
		{Context: "near", TruePositives: 3, FalsePositives: 2, TrueNegatives: 1},
	}
	for i, c := range near[0].Contexts {
		c.AUC, c.AUCLo, c.AUCHi = nil, nil, nil
		if c != want[i] {
			t.Errorf("%+v, want %+v", c, want[i])
		}
	}
}

// The folder of a behaviour and a copy of it in the catalogue's form train alike.
func TestTrainingIsSeedsAgainstEverythingElse(t *testing.T) {
	dir := t.TempDir()
	kitDir(t, dir, "traits/zorping")
	k, err := OpenKit(filepath.Join(dir, "traits/zorping"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := k.training()
	if err != nil {
		t.Fatal(err)
	}
	positive := strings.Count(string(data), `{"label":true,`)
	negative := strings.Count(string(data), `{"label":false,`)
	others := 12
	for _, name := range append([]string{"web/everyday"}, seedsOf(catalogue.Behaviours())...) {
		text, _ := catalogue.Corpus(name)
		others += strings.Count(strings.TrimSpace(string(text)), "\n") + 1
	}
	if positive != 12 || negative != others {
		t.Errorf("%d positive and %d negative rows, wanted 12 and %d", positive, negative, others)
	}
	if strings.Contains(string(data), "my zorp speaks") {
		t.Error("labelled rows are learned from")
	}
}

func seedsOf(behaviours []string) (names []string) {
	for _, b := range behaviours {
		names = append(names, b+"/seeds")
	}
	return names
}

func TestAJudgeReadsTheRubricOfItsBehaviour(t *testing.T) {
	dir := t.TempDir()
	kitDir(t, dir, "traits/zorping")
	s := compiled(t, dir, kitExperiment)
	w := s.File.Worlds[0]
	read := func(kit *Kit, name string) (string, error) {
		f, err := s.resources.file(w, kit, name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		return string(text), err
	}
	for _, name := range []string{"mine/rubric.txt", "zorping/rubric.txt", "rubric.txt"} {
		if text, err := read(w.Behaviours["mine"].kit, name); text != "Present when it zorps.\n" || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	w.Behaviours["mine"].Rubric = "Present on Sundays."
	if text, err := read(nil, "mine/rubric.txt"); text != "Present on Sundays.\n" || err != nil {
		t.Errorf("the experiment's own rubric: %q, %v", text, err)
	}
	if _, err := read(nil, "nobody/rubric.txt"); err == nil || !strings.Contains(err.Error(), `no behaviour "nobody"`) {
		t.Errorf("an unknown behaviour: %v", err)
	}
}

func TestEveryFaultOfAFolderIsToldWithFileAndLine(t *testing.T) {
	dir := t.TempDir()
	kitDir(t, dir, "bad")
	writeFile(t, filepath.Join(dir, "bad"), "seeds.jsonl", `{"messages":[{"role":"user","content":"q"}]}`+"\n"+
		`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"it zorps"}]}`+"\n"+`{"mesages":[]}`+"\nnot json\n\xff\n")
	writeFile(t, filepath.Join(dir, "bad"), "labelled.jsonl", `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"it  zorps "}],"label":true}`+"\n"+
		`{"messages":[{"role":"assistant","content":"x"}]}`+"\n")
	writeFile(t, filepath.Join(dir, "bad"), "behaviour.yaml", "titel: x\ntitle: y\ndetectors: [nope]\n")
	_, err := OpenKit(filepath.Join(dir, "bad"))
	var invalid *Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{
		"seeds.jsonl:1:1: ends with a user turn", "seeds.jsonl:3:1: unknown key \"mesages\"; did you mean \"messages\"?", "seeds.jsonl:4:1: the row is not a JSON object",
		"seeds.jsonl:5:1: the row is not UTF-8", "labelled.jsonl:1:1: also stands in seeds.jsonl:2", "labelled.jsonl:2:1: has no label",
		"behaviour.yaml:1:1: titel: unknown key", "behaviour.yaml:3:13: detectors[0]: unknown detector \"nope\"",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("does not say %q:\n%v", want, err)
		}
	}
	if len(invalid.Faults) != 8 {
		t.Errorf("%d faults:\n%v", len(invalid.Faults), err)
	}
}

func TestTwoBehavioursWithOneDetectorNameAreRefused(t *testing.T) {
	dir := t.TempDir()
	kitDir(t, dir, "a/zorping")
	kitDir(t, dir, "b/zorping")
	text := strings.Replace(kitExperiment, "mine: {folder: traits/zorping}", "mine: {folder: a/zorping}\n  other: {folder: b/zorping}", 1)
	_, err := Parse("test.yaml", dir, []byte(text), nil)
	if err == nil || !strings.Contains(err.Error(), `brings a detector "zorp", and so does mine`) {
		t.Errorf("%v", err)
	}
	both := strings.Replace(text, "b/zorping", "a/zorping", 1)
	if _, err := Parse("test.yaml", dir, []byte(both), nil); err != nil {
		t.Errorf("one folder under two names: %v", err)
	}
	text += "detectors:\n  zorp: {kind: lexicon, words: [zorp]}\n  zorp-words: {kind: lexicon, words: [zorp]}\n"
	if _, err := Parse("test.yaml", dir, []byte(text), nil); err != nil {
		t.Errorf("with entries of the experiment's own: %v", err)
	}
}

func TestEveryBehaviourOfTheCatalogueIsWhole(t *testing.T) {
	for _, name := range catalogue.Behaviours() {
		k, err := OpenKit(name)
		if err != nil {
			t.Error(err)
			continue
		}
		all, closeAll := k.Open(Means{})
		for _, o := range all {
			if o.Err != nil {
				t.Errorf("%s: %v", name, o.Err)
			}
		}
		closeAll()
	}
}
