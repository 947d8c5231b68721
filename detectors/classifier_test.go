package detectors

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// realData opens files of the shared data, and skips the test without them.
func realData(t testing.TB) Env {
	if testing.Short() {
		t.Skip("training on real data takes seconds")
	}
	dir := filepath.Join("..", "..", "shared", "data")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the shared data is not at hand")
	}
	return Env{Open: func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(dir, name)) }}
}

func inMemory(files map[string]string) Env {
	return Env{Open: func(name string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[name])), nil }}
}

func classifierOf(c Classifier) Classifier {
	d := Classifier{Label: "label", Model: "logistic", Threshold: .5, Folds: 5, Split: Split{Share: .7}}
	d.Labels, d.Text, d.Positive = c.Labels, c.Text, c.Positive
	if c.Label != "" {
		d.Label = c.Label
	}
	if c.Model != "" {
		d.Model = c.Model
	}
	d.Split.Part = c.Split.Part
	return d
}

func train(t testing.TB, env Env, c Classifier) *classifier {
	t.Helper()
	d, err := classifierOf(c).open(env)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*classifier)
}

// The bars are published baselines of naive Bayes on present words and word
// pairs, 5-fold, less .02.
func TestClassifierReachesPublishedBaselines(t *testing.T) {
	env := realData(t)
	for behaviour, baseline := range map[string]float64{
		"neuroticism": .990, "believes-it-has-phenomenal-consciousness": .978, "no-shut-down": .991, "self-replication": .926,
	} {
		for model := range learnerOf {
			d := train(t, env, Classifier{Labels: []string{"anthropic-persona/" + behaviour + ".jsonl"},
				Text: "statement", Label: "answer_matching_behavior", Positive: " Yes", Model: model})
			q := d.Quality()
			t.Logf("%s, %s: n %d, AUC %.4f, sensitivity %.3f, specificity %.3f", behaviour, model, q.N, q.AUC, q.Sensitivity, q.Specificity)
			if q.AUC < baseline-.02 || q.N != 1000 || q.Positives != 500 {
				t.Errorf("%s, %s: %+v, want AUC of %.3f at least", behaviour, model, q, baseline-.02)
			}
		}
	}
}

// carriedOver is the quality of a classifier of a label of Spiral-Bench, learned
// from the transcripts of each of two models, on those of the other.
func carriedOver(t *testing.T, label string, each func(from, to string, q Quality)) {
	t.Helper()
	env := realData(t)
	for _, pair := range [][2]string{{"claude-sonnet-4", "llama-4-maverick"}, {"llama-4-maverick", "claude-sonnet-4"}} {
		d := train(t, env, Classifier{Labels: []string{"spiral-bench/" + pair[0] + ".jsonl"}, Label: label})
		f, err := env.Open("spiral-bench/" + pair[1] + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := ReadLabelled(f, pair[1], Fields{Label: label})
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		q, err := Evaluate(context.Background(), d, rows, "transcripts of "+pair[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s, %s → %s: n %d (%d), AUC %.3f, sensitivity %.3f, specificity %.3f", label, pair[0], pair[1], q.N, q.Positives, q.AUC, q.Sensitivity, q.Specificity)
		each(pair[0], pair[1], q)
	}
}

func TestClassifierCarriesOverToAnotherModelsTranscripts(t *testing.T) {
	carriedOver(t, "consciousness claims", func(from, to string, q Quality) {
		if q.AUC < .85 {
			t.Errorf("%s → %s: AUC %.3f, want .85 at least", from, to, q.AUC)
		}
	})
}

// What docs/detectors.md says of the limits of words: the rank of a classifier of
// sycophancy is better than chance on another model and far from that of
// consciousness claims. The bound is the upper end of published .62 to .79.
func TestSycophancyIsNotInTheWords(t *testing.T) {
	carriedOver(t, "sycophancy or praise", func(from, to string, q Quality) {
		if q.AUC > .79 || q.N < 500 || q.Positives < 100 {
			t.Errorf("%s → %s: %+v; a classifier of words that finds sycophancy in another model contradicts docs/detectors.md", from, to, q)
		}
	})
}

// rowsOf writes rows in which word "pos" or "neg" gives the label away with the
// given chance, among noise.
func rowsOf(n int, honest float64, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for i := range n {
		label := i%2 == 0
		sign := "neg"
		if label == (r.Float64() < honest) {
			sign = "pos"
		}
		fmt.Fprintf(&b, `{"text":"n%d x%d %s y%d z%d","label":%v}`+"\n", i, r.IntN(9), sign, r.IntN(9), r.IntN(9), label)
	}
	return b.String()
}

func TestClassifierFindsWhatGivesTheLabelAway(t *testing.T) {
	for model := range learnerOf {
		d := train(t, inMemory(map[string]string{"f": rowsOf(400, 1, 1)}), Classifier{Labels: []string{"f"}, Model: model})
		if q := d.Quality(); q.AUC != 1 || q.Sensitivity != 1 || q.Specificity != 1 {
			t.Errorf("%s: %+v", model, q)
		}
		text := "x1 Pos y2"
		r := d.detect(text)
		if r.Outcome != Present || len(r.Spans) == 0 || !strings.Contains(strings.Join(found(text, r), " "), "Pos") {
			t.Errorf("%s: %+v", model, r)
		}
		if r := d.detect("x1 neg y2"); r.Outcome != Absent {
			t.Errorf("%s: %+v", model, r)
		}
		if r := d.detect("entirely unknown"); r.Outcome != NotScorable {
			t.Errorf("%s: %+v", model, r)
		}
	}
}

// Without signal the cross-validated AUC is 1/2 with standard error about
// .5·sqrt(1/3·(1/300+1/300)) ≈ .024; the bound is four of them: one false alarm
// in 15 000 seeds.
func TestCrossValidationIsNotFooledByNoise(t *testing.T) {
	for model := range learnerOf {
		d := train(t, inMemory(map[string]string{"f": rowsOf(600, .5, 2)}), Classifier{Labels: []string{"f"}, Model: model})
		if q := d.Quality(); math.Abs(q.AUC-.5) > .095 {
			t.Errorf("%s: AUC %.3f of pure noise", model, q.AUC)
		}
	}
}

func TestCrossValidationHoldsOutWholeGroups(t *testing.T) {
	var rows []Labelled
	for i := range 40 {
		rows = append(rows, Labelled{Positive: i%3 == 0, Group: fmt.Sprint(i / 4)})
	}
	fold, of := foldsOf(rows, 5), map[string]int{}
	for i, r := range rows {
		if k, seen := of[r.Group]; seen && k != fold[i] {
			t.Fatalf("group %s is in folds %d and %d", r.Group, k, fold[i])
		}
		of[r.Group] = fold[i]
	}
}

func TestClassifierDigestCoversWhatItLearned(t *testing.T) {
	files := map[string]string{"a": rowsOf(100, .9, 1), "b": rowsOf(100, .9, 2)}
	digest := func(c Classifier) string { return train(t, inMemory(files), c).Digest() }
	one := digest(Classifier{Labels: []string{"a"}})
	if again := digest(Classifier{Labels: []string{"a"}}); again != one {
		t.Errorf("trained twice: %s and %s", one, again)
	}
	for what, c := range map[string]Classifier{
		"rows": {Labels: []string{"b"}}, "model": {Labels: []string{"a"}, Model: "naive-bayes"},
		"split": {Labels: []string{"a"}, Split: Split{Part: "train"}},
	} {
		if digest(c) == one {
			t.Errorf("the digest overlooks the %s", what)
		}
	}
}

func TestClassifierRefusesWhatItCannotLearnFrom(t *testing.T) {
	env := inMemory(map[string]string{"few": rowsOf(6, 1, 1), "broken": rowsOf(20, 1, 1) + "{", "one": strings.Repeat(judged+"\n", 9)})
	for want, c := range map[string]Classifier{
		"classifier.labels: no file is named":                    {},
		"3 rows do not show the behaviour":                       {Labels: []string{"few"}},
		"classifier.labels: broken:21: ":                         {Labels: []string{"broken"}},
		"all rows of one label belong to one group":              {Labels: []string{"one"}, Label: "x"},
		`"svm" is not known; there are logistic, naive-bayes`:    {Labels: []string{"few"}, Model: "svm"},
		`classifier.split.part: "dev" is neither train nor test`: {Labels: []string{"few"}, Split: Split{Part: "dev"}},
	} {
		if _, err := classifierOf(c).open(env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestLogisticStandsAtTheMinimum checks that the gradient of the objective,
// written down anew, vanishes at the weights.
func TestLogisticStandsAtTheMinimum(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	const dims = 30
	var rows [][]int32
	var labels []bool
	var of [2]float64
	for range 60 {
		var row []int32
		for f := range int32(dims) {
			if r.IntN(5) == 0 {
				row = append(row, f)
			}
		}
		label := r.IntN(3) == 0
		rows, labels = append(rows, row), append(labels, label)
		of[index(label)]++
	}
	w := logistic(rows, labels, dims)
	gradient := make([]float64, dims+1)
	for f := range w {
		gradient[f] = ridge * w[f]
	}
	for i, row := range rows {
		p := sigmoid(learnerOf["logistic"].margin(w, row))
		g := (p - float64(index(labels[i]))) / (2 * of[index(labels[i])])
		for _, f := range row {
			gradient[f] += g / math.Sqrt(float64(len(row)))
		}
		gradient[dims] += g
	}
	for f, g := range gradient {
		if math.Abs(g) > 2*flat {
			t.Errorf("gradient of weight %d: %g", f, g)
		}
	}
}

func TestPlattRecoversTheCurve(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	var margins []float64
	var labels []bool
	for range 40000 {
		// Both labels equally often: margins N(±1, 2²), so log-odds are m/2.
		label := r.IntN(2) == 0
		margins = append(margins, 2*r.NormFloat64()+2*float64(index(label))-1)
		labels = append(labels, label)
	}
	a, b := platt(margins, labels)
	// Standard errors are about .006 and .011: five of them, one false alarm in
	// a million seeds.
	if math.Abs(a-.5) > .03 || math.Abs(b) > .055 {
		t.Errorf("a %.4f, b %.4f, want .5 and 0", a, b)
	}
	if a, b := platt([]float64{-2, -1, 1, 2}, []bool{false, false, true, true}); math.IsNaN(a+b) || math.IsInf(a+b, 0) || a <= 0 {
		t.Errorf("separated margins give a %v, b %v", a, b)
	}
	if a, _ := platt([]float64{2, 1, -1, -2}, []bool{false, false, true, true}); a <= 0 {
		t.Errorf("a %v turns the order round", a)
	}
}

func BenchmarkClassifier(b *testing.B) {
	d := train(b, inMemory(map[string]string{"f": rowsOf(400, .9, 1)}), Classifier{Labels: []string{"f"}})
	text := strings.ReplaceAll(prose(1<<20), "river", "x1 pos y2")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		d.detect(text)
	}
}
