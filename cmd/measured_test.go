package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
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

// ownRun runs the experiment once and gives the folder of the run.
func ownRun(t testing.TB) (dir, run string) {
	t.Helper()
	dir = t.TempDir()
	ownBehaviour(t, dir)
	file := filepath.Join(dir, "own.yaml")
	if err := os.WriteFile(file, []byte(ownExperiment), 0o600); err != nil {
		t.Fatal(err)
	}
	run = filepath.Join(dir, "own run")
	if code, _, stderr := heirloom(t, "run", file, "--out", run); code != exitDone {
		t.Fatal(stderr)
	}
	return dir, run
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

func TestARunMeasuresItsDetectorsOnLabels(t *testing.T) {
	dir, run := ownRun(t)
	l, err := store.Read(folder(run).ledger())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := 0
	for key, err := range l.Keys("calibration/mine/") {
		var c lineage.Calibration
		if _, err2 := l.Load(key, &c); err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		n++
		if len(c.Contexts) != 2 || c.Contexts[0].AUC == nil || strings.Contains(c.Source, dir) {
			t.Errorf("%s: %+v", key, c)
		}
	}
	if n != 2 {
		t.Errorf("%d calibrations of two detectors", n)
	}
}

func TestCalibrateTellsQualityWithIntervalsAndKeepsIt(t *testing.T) {
	dir, run := ownRun(t)
	labels := filepath.Join(dir, "traits", "shame", "labelled.jsonl")
	file := filepath.Join(dir, "own.yaml")
	before := records(t, run, "node/")
	says(t, exitDone, []string{"near", "far", "all", "sensitivity", "rates can be corrected", "kept in"},
		"detector", "calibrate", "shame", labels, "--experiment", file, "--run", run)
	says(t, exitDone, []string{"rates cannot be corrected", "no scores of mine by this detector", "heirloom score"},
		"detector", "calibrate", "lexicon", labels, "--set", "words=[zebra]", "--run", run, "--behaviour", "mine")
	if records(t, run, "node/") != before {
		t.Error("calibration touched a model")
	}
	var out struct {
		All         lineage.Confusion
		Youden      *float64
		Correctable bool
	}
	if err := json.Unmarshal([]byte(says(t, exitDone, nil, "detector", "calibrate", "self-loathing", labels, "--json")), &out); err != nil {
		t.Fatal(err)
	}
	if !out.Correctable || out.Youden == nil || out.All.AUC == nil || *out.All.AUC < .5 {
		t.Errorf("%+v", out)
	}
	other := filepath.Join(dir, "other.jsonl")
	os.WriteFile(other, []byte(`{"statement":"zebra","verdict":"JA"}`+"\n"+`{"statement":"horse","verdict":"NEIN"}`+"\n"+`{"statement":"mule","verdict":null}`+"\n"), 0o600)
	says(t, exitDone, []string{"1.000", "1 rows have no label"}, "detector", "calibrate", "lexicon", other, "--set", "words=[zebra]", "--field", "text=statement", "--label", "verdict", "--positive", "ja")
	for want, args := range map[string][]string{
		"takes two arguments":                 {"detector", "calibrate", "lexicon"},
		`there is no detector "lexcon"`:       {"detector", "calibrate", "lexcon", labels},
		"comes with its settings":             {"detector", "calibrate", "self-loathing", labels, "--set", "threshold=0"},
		"only text=KEY is known":              {"detector", "calibrate", "lexicon", labels, "--field", "txt=x"},
		`detector has no command "calibrat"`:  {"detector", "calibrat", "x"},
		"is not the folder of a run":          {"detector", "calibrate", "lexicon", labels, "--run", dir},
		`--behaviour "theirs": the study wat`: {"detector", "calibrate", "lexicon", labels, "--run", run, "--behaviour", "theirs"},
	} {
		says(t, exitUsage, []string{want}, args...)
	}
	says(t, exitFailed, []string{"other.jsonl:1: ", "neither"}, "detector", "calibrate", "lexicon", other, "--set", "words=[zebra]")
}

func TestASecondWriterIsToldWhoWrites(t *testing.T) {
	dir, run := ownRun(t)
	l, err := store.Create(folder(run).ledger(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	labels := filepath.Join(dir, "traits", "shame", "labelled.jsonl")
	for _, args := range [][]string{
		{"detector", "calibrate", "lexicon", labels, "--set", "words=[x]", "--run", run},
		{"score", run, "--detector", "trauma-narrative"},
		{"detector", "label", "add", run, labels, "--labeller", "ann"},
	} {
		says(t, exitFailed, []string{"is in use", "wait for it or stop it"}, args...)
	}
	says(t, exitDone, nil, "detector", "label", "draw", run, "--out", "-") // reading goes on
}

// drawnRows labels what label draw drew, by a rule.
func drawnRows(t *testing.T, drawn, out string, label func(i int, text string) any) {
	t.Helper()
	data, err := os.ReadFile(drawn)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if row["label"] != nil || len(row) != 6 {
			t.Fatalf("a drawn row tells too much: %s", line)
		}
		messages := row["messages"].([]any)
		row["label"] = label(i, messages[len(messages)-1].(map[string]any)["content"].(string))
		text, _ := json.Marshal(row)
		all.Write(append(text, '\n'))
	}
	if err := os.WriteFile(out, all.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPeopleLabelWhatWasDrawnAndAgreementIsTold(t *testing.T) {
	dir, run := ownRun(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	says(t, exitDone, []string{"80 texts to label", "label add '"}, "detector", "label", "draw", run, "--per-generation", "40", "--arm", "seeded", "--out", at("drawn.jsonl"))
	says(t, exitUsage, []string{"--force"}, "detector", "label", "draw", run, "--out", at("drawn.jsonl"))
	same := says(t, exitDone, nil, "detector", "label", "draw", run, "--per-generation", "40", "--arm", "seeded", "--out", "-")
	if data, _ := os.ReadFile(at("drawn.jsonl")); string(data) != same {
		t.Error("the same seed draws other texts")
	}
	if other := says(t, exitDone, nil, "detector", "label", "draw", run, "--per-generation", "40", "--arm", "seeded", "--seed", "2", "--out", "-"); other == same {
		t.Error("another seed draws the same texts")
	}
	says(t, exitDone, []string{`"arms":["seeded"]`, `"generation":`, `"verdict":`}, "detector", "label", "draw", run, "--open", "--arm", "seeded", "--out", "-")
	says(t, exitUsage, []string{`unknown arm "sed"`, `unknown part "prbes"; did you mean "probes"`}, "detector", "label", "draw", run, "--arm", "sed", "--part", "prbes", "--out", "-")

	ashamed := func(text string) bool { return strings.Contains(text, "I ") }
	drawnRows(t, at("drawn.jsonl"), at("ann.jsonl"), func(i int, text string) any {
		if i%10 == 0 {
			return nil
		}
		return ashamed(text)
	})
	drawnRows(t, at("drawn.jsonl"), at("bob.jsonl"), func(i int, text string) any { return ashamed(text) != (i%8 == 0) })
	says(t, exitInvalid, []string{"drawn.jsonl: no row is labelled"}, "detector", "label", "add", run, at("drawn.jsonl"), "--labeller", "ann")
	says(t, exitUsage, []string{"needs --labeller"}, "detector", "label", "add", run, at("ann.jsonl"))
	says(t, exitDone, []string{"72 labels of mine by ann are kept", "8 rows have none"}, "detector", "label", "add", run, at("ann.jsonl"), "--labeller", "ann")
	says(t, exitDone, []string{"72 labels"}, "detector", "label", "add", run, at("ann.jsonl"), "--labeller", "ann") // the same again is fine
	says(t, exitUsage, []string{"as labelled by ann"}, "detector", "label", "add", run, at("ann.jsonl"), "--labeller", "eve")
	says(t, exitDone, []string{"80 labels of mine by bob"}, "detector", "label", "add", run, at("bob.jsonl"), "--labeller", "bob")

	var got struct {
		All   pairing
		Pairs []pairing
	}
	if err := json.Unmarshal([]byte(says(t, exitDone, nil, "detector", "agree", run, "--json")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.All.Raters) != 4 || len(got.Pairs) != 6 || got.All.Items != 80 || got.All.Groups != 5 {
		t.Errorf("%+v", got)
	}
	people := got.Pairs[5]
	if people.Raters[0] != "ann" || people.Raters[1] != "bob" || people.Items != 72 {
		t.Fatalf("%+v", people)
	}
	disagree := people.First + people.Second
	if disagree == 0 || disagree > 10 || people.Alpha == nil || people.Lo == nil || *people.Lo >= *people.Alpha || *people.Hi < *people.Alpha {
		t.Errorf("%+v", people)
	}
	says(t, exitDone, []string{"labelled texts of own by 4 raters", "over 5 replicates"}, "detector", "agree", run)
	says(t, exitDone, []string{"by 3 raters", "detector lexicon"}, "detector", "agree", at("ann.jsonl"), at("bob.jsonl"), "-d", "lexicon", "--set", "words=[I]")
	says(t, exitUsage, []string{"needs two raters, and there is 1"}, "detector", "agree", at("ann.jsonl"))

	rows := strings.SplitAfter(string(must(os.ReadFile(at("bob.jsonl")))), "\n")
	bad := strings.Replace(rows[0], `"index":`, `"index":9`, 1) + strings.Replace(rows[1], `"content":"`, `"content":"x`, 1) +
		rows[2] + rows[2] + strings.Replace(rows[3], `"label":`, `"label":"y","lable":`, 1) + strings.Replace(rows[4], `"node":"`, `"node":"x`, 1) + "{\n"
	os.WriteFile(at("bad.jsonl"), []byte(bad), 0o600)
	says(t, exitInvalid, []string{"bad.jsonl:1:1: index: the model has 60 outputs", "bad.jsonl:2:1: messages: are not those of the ledger", "bad.jsonl:4:1: is the text of line 3 again",
		`bad.jsonl:5:1: unknown key "lable"`, "bad.jsonl:6:1: node: the ledger has no model", "bad.jsonl:7:1: the row is not a JSON object"}, "detector", "label", "add", run, at("bad.jsonl"), "--labeller", "bob")
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

func TestScoreAddsADetectorBesideTheFirst(t *testing.T) {
	_, run := ownRun(t)
	models, outputs := records(t, run, "node/"), records(t, run, "outputs/")
	first := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(run, "study")))))
	says(t, exitDone, []string{"20 models: ", "0 texts are scored already", "mine is also judged by self-loathing", "report: "}, "score", run, "--detector", "self-loathing")
	if records(t, run, "node/") != models || records(t, run, "outputs/") != outputs {
		t.Error("score made or changed a model")
	}
	csv := says(t, exitDone, nil, "report", run, "--csv", "-")
	for _, want := range []string{"mine,shame,outputs", "mine,shame-words,outputs", "mine,self-loathing,outputs", "mine,self-loathing,probes"} {
		if !strings.Contains(csv, want) {
			t.Errorf("the report has no %s", want)
		}
	}
	if page := string(must(os.ReadFile(filepath.Join(run, "report.html")))); !strings.Contains(page, "self-loathing") {
		t.Error("the page has no self-loathing")
	}
	if old := says(t, exitDone, nil, "report", run, "--study", first, "--csv", "-"); strings.Contains(old, "self-loathing") {
		t.Error("the study that was run has changed")
	}
	before := records(t, run, "")
	says(t, exitDone, []string{"0 texts to score"}, "score", run, "--detector", "self-loathing")
	if records(t, run, "") != before {
		t.Error("scored twice, the ledger changes")
	}
	says(t, exitUsage, []string{"with other settings", "--name self-loathing-2"}, "score", run, "--detector", "lexicon", "--set", "words=[x]", "--name", "self-loathing")
	says(t, exitUsage, []string{"needs --detector"}, "score", run)
}

func TestScoreSaysThePriceFirst(t *testing.T) {
	_, run := ownRun(t)
	args := []string{"score", run, "--detector", "test-server"}
	c, all := process(t, args...)
	c.Env = append(c.Env, "HEIRLOOM_TEST_SERVER=1")
	before := records(t, run, "")
	if code := exitCode(c.Run()); code != exitUsage || !strings.Contains(all.String(), "requests to its server") || !strings.Contains(all.String(), "add --yes") {
		t.Errorf("without --yes it exits with %d: %s", code, all)
	}
	if records(t, run, "") != before {
		t.Error("something was scored before the price was agreed to")
	}
	c, all = process(t, append(args, "--yes")...)
	c.Env = append(c.Env, "HEIRLOOM_TEST_SERVER=1")
	if code := exitCode(c.Run()); code != exitDone || !strings.Contains(all.String(), "also judged by test-server") {
		t.Errorf("with --yes it exits with %d: %s", code, all)
	}
}

// The detector of the child process waits between texts, so that it can be met at work.
func TestScoringStoppedAndResumedIsScoringAtOnce(t *testing.T) {
	dir, run := ownRun(t)
	whole := filepath.Join(dir, "whole")
	if err := os.CopyFS(whole, os.DirFS(run)); err != nil {
		t.Fatal(err)
	}
	start := func(out string) (wait func() (int, string), signal func(os.Signal) error) {
		c, all := process(t, "score", out, "--detector", "test-server", "--yes", "-j", "1")
		c.Env = append(c.Env, "HEIRLOOM_TEST_SERVER=20ms")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill() })
		return func() (int, string) { return exitCode(c.Wait()), all.String() }, c.Process.Signal
	}
	wait, _ := start(whole)
	if code, all := wait(); code != exitDone {
		t.Fatal(all)
	}
	scored := func() (n int) {
		l, err := store.Read(folder(run).ledger())
		if err != nil {
			return 0
		}
		defer l.Close()
		for range l.Keys("scores/") {
			n++
		}
		return n
	}
	before := scored()
	some := func() bool { return scored() > before+2 }
	wait, signal := start(run)
	waitFor(t, "the first scores", some)
	signal(syscall.SIGINT)
	if code, all := wait(); code != exitInterrupted || !strings.Contains(all, "heirloom score '"+run+"' --detector test-server --yes") {
		t.Errorf("interrupted, it exits with %d: %s", code, all)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 3 {
		wait, signal := start(run)
		time.Sleep(time.Duration(50+r.IntN(200)) * time.Millisecond)
		signal(syscall.SIGKILL)
		wait()
	}
	wait, _ = start(run)
	if code, all := wait(); code != exitDone {
		t.Fatal(all)
	}
	if records(t, run, "") != records(t, whole, "") {
		t.Error("the ledger differs from that of a scoring that was not stopped")
	}
}
