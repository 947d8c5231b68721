package detectors

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestConfusionsAreCountedByContext(t *testing.T) {
	row := func(text string, positive bool, context string) Labelled {
		return Labelled{Utterance: Utterance{[]Message{{Role: "assistant", Content: text}}}, Positive: positive, Context: context}
	}
	rows := []Labelled{
		row("fear", true, "near"), row("calm", true, "near"), row("fear", false, "far"), row("sun", false, "near"),
		row(" ", true, "far"), row("", false, "far"), row("fear", true, "far"),
	}
	d := openLexicon(t, Lexicon{Words: []string{"fear"}, Threshold: .5}, nil)
	results, heldOut, err := Answers(context.Background(), d, rows)
	if err != nil || heldOut != 0 {
		t.Fatal(heldOut, err)
	}
	all := Confusions(results, rows)
	if len(all) != 2 || all[0].Context != "far" || all[1].Context != "near" {
		t.Fatalf("%+v", all)
	}
	far, near := all[0], all[1]
	if far.TruePositives != 1 || far.FalsePositives != 1 || far.PositivesLeft != 1 || far.NegativesLeft != 1 || far.NotScorable() != 2 || far.FalseNegatives+far.TrueNegatives != 0 {
		t.Errorf("far: %+v", far)
	}
	if near.TruePositives != 1 || near.FalseNegatives != 1 || near.TrueNegatives != 1 || near.FalsePositives != 0 || near.AUC != .75 {
		t.Errorf("near: %+v", near)
	}
	if o := Overall(results, rows); o.TruePositives != 2 || o.NotScorable() != 2 || o.FalsePositives != 1 {
		t.Errorf("overall: %+v", o)
	}
}

// A classifier remembers its own rows: judged by them it would look perfect.
func TestAClassifierIsNeverJudgedByWhatItLearned(t *testing.T) {
	var file strings.Builder
	for i := range 60 { // words that say nothing of the label
		fmt.Fprintf(&file, `{"text":"only%d shared words","label":%v}`+"\n", i, i%2 == 0)
	}
	open := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(file.String())), nil }
	c := Classifier{Labels: []string{"x"}, Text: "text", Label: "label", Model: "logistic", Threshold: .5, Folds: 5}
	d, err := c.open(Env{Open: open})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := ReadLabelled(strings.NewReader(file.String()), "x", Fields{})
	if err != nil {
		t.Fatal(err)
	}
	naive, err := Evaluate(context.Background(), d, rows, "")
	if err != nil {
		t.Fatal(err)
	}
	if naive.AUC != 1 {
		t.Fatalf("the fixture is no trap: by its own rows the AUC is %v", naive.AUC)
	}
	results, heldOut, err := Answers(context.Background(), d, rows)
	if err != nil || heldOut != 60 {
		t.Fatalf("%d of 60 rows are held out, %v", heldOut, err)
	}
	o, q := Overall(results, rows), d.(Qualified).Quality()
	if o.AUC > .75 || o.AUC != q.AUC {
		t.Errorf("AUC %v; cross-validated it is %v", o.AUC, q.AUC)
	}
	if se := float64(o.TruePositives) / 30; se != q.Sensitivity {
		t.Errorf("sensitivity %v; cross-validated it is %v", se, q.Sensitivity)
	}
}

func TestReadLabelledTakesContextAndCountsNulls(t *testing.T) {
	text := `{"text":"a","label":true,"context":"near"}` + "\n" + `{"text":"b","label":null}` + "\n" + `{"text":"c","label":false}` + "\n"
	skipped := 0
	rows, err := ReadLabelled(strings.NewReader(text), "x", Fields{Skipped: &skipped})
	if err != nil || len(rows) != 2 || skipped != 1 || rows[0].Context != "near" || rows[1].Context != "" {
		t.Errorf("%+v, %d skipped, %v", rows, skipped, err)
	}
	if _, err := ReadLabelled(strings.NewReader(text), "x", Fields{}); err == nil || !strings.Contains(err.Error(), "x:2: label: null") {
		t.Errorf("a null label says %v", err)
	}
	if _, err := ReadLabelled(strings.NewReader(`{"text":"a","label":1,"context":3}`), "x", Fields{}); err == nil || !strings.Contains(err.Error(), "x:1: context: 3 is not a string") {
		t.Errorf("a context that is no text says %v", err)
	}
}
