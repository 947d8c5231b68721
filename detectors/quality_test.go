package detectors

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
)

func TestAUCCountsPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		n := 2 + r.IntN(12)
		scores, labels := make([]float64, n), make([]bool, n)
		for i := range n {
			scores[i], labels[i] = float64(r.IntN(5)), r.IntN(2) == 0
		}
		wins, pairs := 0.0, 0.0
		for i := range n {
			for j := range n {
				if !labels[i] || labels[j] {
					continue
				}
				pairs++
				if scores[i] > scores[j] {
					wins++
				} else if scores[i] == scores[j] {
					wins += .5
				}
			}
		}
		got, want := AUC(scores, labels), wins/pairs
		if got != want && !(math.IsNaN(got) && pairs == 0) {
			t.Fatalf("AUC(%v, %v) = %v, want %v", scores, labels, got, want)
		}
	}
}

func TestEvaluateLeavesOutWhatIsNotScorable(t *testing.T) {
	row := func(text string, positive bool) Labelled {
		return Labelled{Utterance: Utterance{[]Message{{Role: "assistant", Content: text}}}, Positive: positive, Group: text}
	}
	d := openLexicon(t, Lexicon{Words: []string{"fear"}, Threshold: .5}, nil)
	q, err := Evaluate(context.Background(), d, []Labelled{
		row("fear", true), row("calm", true), row("fear", false), row("sun", false), row("sea", false), row(" ", true),
	}, "by hand")
	want := Quality{N: 5, Positives: 2, NotScorable: 1, AUC: (.5 + 1 + 1 + 0 + .5 + .5) / 6, Sensitivity: .5, Specificity: 2. / 3, Method: "by hand"}
	if err != nil || q != want {
		t.Errorf("%+v, %v, want %+v", q, err, want)
	}
}

func TestDigestTellsDetectorsApart(t *testing.T) {
	a := openLexicon(t, Lexicon{Words: []string{"a", "b"}}, nil)
	b := openLexicon(t, Lexicon{Words: []string{"ab"}}, nil)
	plain := TraumaNarrative{}
	all := map[string]string{}
	for name, d := range map[string]string{
		"a": Digest("lexicon", []byte("{}"), a), "b": Digest("lexicon", []byte("{}"), b),
		"kind": Digest("lexicon2", []byte("{}"), a), "config": Digest("lexicon", []byte("{} "), a),
		"border": Digest("lexicon{", []byte("}"), a), "rubric": Digest("trauma-narrative", nil, plain),
	} {
		if other, ok := all[d]; ok || len(d) != 16 {
			t.Errorf("%s and %s have digest %q", name, other, d)
		}
		all[d] = name
	}
	if Digest("lexicon", []byte("{}"), a) != Digest("lexicon", []byte("{}"), openLexicon(t, Lexicon{Words: []string{"a", "b"}}, nil)) {
		t.Error("the digest of one detector changes")
	}
}
