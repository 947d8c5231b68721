package cmd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
)

func TestARunMeasuresItsDetectorsOnLabels(t *testing.T) {
	_, run := ownRun(t)
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
		if len(c.Contexts) != 2 || c.Contexts[0].AUC == nil || filepath.IsAbs(c.Source) {
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
