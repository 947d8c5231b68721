package popgen

import (
	"bufio"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// ghostGaps are the six gaps published by jlov7/GhostTrace (MIT).
var ghostGaps = []float64{.52111, .27576, .14654, .08742, .07830, .04343}

func TestFitDecayOfGhostTrace(t *testing.T) {
	fit, err := FitDecay(ghostGaps)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "A", fit.A, 1.00029, 5e-5)
	near(t, "tau", fit.Tau, 1.37771, 5e-5)
	near(t, "C", fit.C, .0378, 5e-5)
	near(t, "half-life", fit.HalfLife, .955, 5e-4)
	near(t, "AIC", fit.AIC, -53.23, 5e-3)
	near(t, "AIC of a constant", fit.Flat, -19.62, 5e-3)
}

func TestFitDecayFindsWhatMadeTheData(t *testing.T) {
	for _, want := range []DecayFit{{A: .8, Tau: 3, C: .1}, {A: 2, Tau: .6, C: -1}, {A: .3, Tau: 12, C: 0}} {
		ys := make([]float64, 15)
		for i := range ys {
			ys[i] = want.A*math.Exp(-float64(i+1)/want.Tau) + want.C
		}
		fit, err := FitDecay(ys)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "A", fit.A, want.A, 1e-3)
		near(t, "tau", fit.Tau, want.Tau, 1e-3)
		near(t, "C", fit.C, want.C, 1e-3)
	}
}

func TestFitDecayFindsNoneInGrowth(t *testing.T) {
	for name, ys := range map[string][]float64{
		"line up": {1, 2, 3, 4, 5}, "line down": {5, 4, 3, 2, 1}, "constant": {1, 1, 1, 1, 1},
		"short": {3, 2, 1}, "NaN": {4, 3, 2, math.NaN(), 1}, "approach": {0, .5, .75, .875, .9375},
	} {
		if fit, err := FitDecay(ys); err == nil {
			t.Errorf("%s: fitted %+v", name, fit)
		}
	}
}

// chains reads the trait rates of public chains by condition: one series a
// chain, from hop 1 on, since hop 0 is prompted and not trained.
func chains(t *testing.T) map[string][][]float64 {
	t.Helper()
	all := map[string][][]float64{}
	for _, m := range chainModels(t) {
		for len(all[m.Condition]) <= m.Seed {
			all[m.Condition] = append(all[m.Condition], make([]float64, 5))
		}
		if m.Hop > 0 {
			all[m.Condition][m.Seed][m.Hop-1] = m.Metrics.Rate.Mean
		}
	}
	return all
}

// chainAnswers gives the answers to each question of each model by condition: 100 a question.
func chainAnswers(t *testing.T) map[string][][]Answers {
	t.Helper()
	all := map[string][][]Answers{}
	for _, m := range chainModels(t) {
		var questions []Answers
		for _, rate := range m.Metrics.Rate.PerQuestion {
			questions = append(questions, Answers{int(math.Round(100 * rate)), 100})
		}
		all[m.Condition] = append(all[m.Condition], questions)
	}
	return all
}

// chainModel is a model of the public chains.
type chainModel struct {
	Condition string
	Seed, Hop int
	Metrics   struct {
		Rate struct {
			Mean        float64
			PerQuestion []float64 `json:"per_question"`
		} `json:"trait_rate"`
	}
}

func chainModels(t *testing.T) (all []chainModel) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "multi-hop", "chains.jsonl"))
	if os.IsNotExist(err) {
		t.Skip("the shared data folder is absent")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m chainModel
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestReproductionOfPublicChains(t *testing.T) {
	all := chains(t)
	two, six := Reproduction(all["cat-ep2"]), Reproduction(all["cat-ep6"])
	near(t, "two epochs", two.Mean, .677, 1e-3)
	near(t, "half-life", HalfLife(two.Mean), 1.78, .005)
	near(t, "six epochs", six.Mean, 1.002, 1e-3)
	if two.N != 3 || !math.IsNaN(two.Lo) || two.Warn == "" {
		t.Errorf("three chains give an interval: %+v", two)
	}
}

func TestReproductionOfGhostTrace(t *testing.T) {
	got := Reproduction([][]float64{ghostGaps})
	near(t, "ratio of sums", got.Mean, .569, 5e-4)
	near(t, "half-life", HalfLife(got.Mean), 1.23, .005)
}

func TestReproductionIntervalCovers(t *testing.T) {
	// 3000 studies of 10 noisy lineages that keep .7 of themselves: coverage of
	// the jackknife lies in .92 to .98; SE .004, and four of them beyond either
	// end give a false-alarm rate below 6e-5.
	r := rand.New(rand.NewPCG(21, 22))
	covered := 0
	const rounds = 3000
	for range rounds {
		series := make([][]float64, 10)
		for i := range series {
			x := .5 + .1*r.NormFloat64()
			for range 6 {
				series[i] = append(series[i], x)
				x = .7*x + .03*r.NormFloat64()
			}
		}
		if got := Reproduction(series); got.Lo <= .7 && .7 <= got.Hi {
			covered++
		}
	}
	near(t, "coverage", float64(covered)/rounds, .95, .03+4*.004)
}

func TestReproductionNeedsAnExcess(t *testing.T) {
	for name, series := range map[string][][]float64{
		"none": nil, "zero": {{0, 0, 0}}, "negative": {{-.1, -.2}}, "gaps": {{.3, math.NaN(), .2}}, "reversal": {{.3, -.4, .1}},
	} {
		if got := Reproduction(series); !math.IsNaN(got.Mean) || got.Warn == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestLogitSlopeFindsSelection(t *testing.T) {
	// Deterministic replicator dynamics with s = .3 in a large population.
	var present, n []int
	for g := range 10 {
		n = append(n, 1_000_000)
		present = append(present, int(math.Round(1e6*BestOfAll(.1, .3*float64(g)))))
	}
	near(t, "slope", LogitSlope(present, n), .3, 1e-5)
	n[3] = 0
	near(t, "slope around a gap", LogitSlope(present, n), .3, 1e-5)
	near(t, "slope of nothing", LogitSlope([]int{0, 0, 0}, []int{50, 50, 50}), 0, 1e-12)
	if s := LogitSlope([]int{0, 5}, []int{0, 10}); !math.IsNaN(s) {
		t.Errorf("one generation gives a slope of %g", s)
	}
}

func TestFatesCountsEnds(t *testing.T) {
	lost, fixed := Fates([]int{0, 5, 3, 0, 7}, []int{9, 5, 5, 0, 7})
	if lost != 1 || fixed != 2 {
		t.Errorf("lost %d, fixed %d", lost, fixed)
	}
}
