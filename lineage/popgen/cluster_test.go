package popgen

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// asked draws lineages and questions that both matter: the logit of an answer
// is a mean plus normal effects of the lineage, the question and the two together.
func asked(r *rand.Rand, lineages, questions, draws int, spread [3]float64, crossed bool) [][]Answers {
	effect := make([]float64, questions)
	redraw := func() {
		for q := range effect {
			effect[q] = spread[1] * r.NormFloat64()
		}
	}
	redraw()
	out := make([][]Answers, lineages)
	for l := range out {
		if !crossed {
			redraw()
		}
		own := spread[0] * r.NormFloat64()
		for q := range questions {
			p := 1 / (1 + math.Exp(-own-effect[q]-spread[2]*r.NormFloat64()))
			out[l] = append(out[l], Answers{binomial(r, draws, p), draws})
		}
	}
	return out
}

func TestClusterRobustIsTheTextbookSandwich(t *testing.T) {
	// The regression of all answers on a constant, answer by answer: bread
	// (X'X)^-1 = 1/n, meat the sum over clusters of squared sums of residuals, and
	// Stata's factor G/(G-1)·(n-1)/(n-1).
	r := rand.New(rand.NewPCG(8, 1))
	for range 20 {
		var questions []Answers
		for range 2 + r.IntN(40) {
			n := 1 + r.IntN(30)
			questions = append(questions, Answers{r.IntN(n + 1), n})
		}
		var y []float64
		var cluster []int
		for g, q := range questions {
			for i := range q.N {
				y, cluster = append(y, indicator(i < q.Present)), append(cluster, g)
			}
		}
		mean := 0.
		for _, v := range y {
			mean += v / float64(len(y))
		}
		meat := 0.
		for i := range y {
			for j := range y {
				if cluster[i] == cluster[j] {
					meat += (y[i] - mean) * (y[j] - mean)
				}
			}
		}
		g, n := float64(len(questions)), float64(len(y))
		want := math.Sqrt(g / (g - 1) * (n - 1) / (n - 1) * meat / n / n)
		got := ClusterRobust(append(questions, Answers{}))
		near(t, "SE", got.SE, want, 1e-9)
		near(t, "mean", got.Mean, mean, 1e-12)
		near(t, "effective n", got.EffectiveN, min(n, mean*(1-mean)/(want*want)), 1e-6*n)
		if got.Questions != len(questions) || got.N != len(y) {
			t.Errorf("%+v", got)
		}
	}
}

func TestDesignEffectOfCopiesIsTheirNumber(t *testing.T) {
	// Every answer of a question is the first one again: the design effect is the
	// number of draws times G/(G-1), and the effective n that of questions less one.
	var questions []Answers
	for q := range 40 {
		questions = append(questions, Answers{25 * (q % 2), 25})
	}
	got := ClusterRobust(questions)
	near(t, "design effect", got.DesignEffect, 25*40./39, 1e-9)
	near(t, "effective n", got.EffectiveN, 39, 1e-9)
	if !strings.Contains(got.Warn, "40 questions") {
		t.Errorf("copies are not warned about: %+v", got)
	}
	r := rand.New(rand.NewPCG(8, 2))
	for q := range questions {
		questions[q].Present = binomial(r, 25, .5)
	}
	if got = ClusterRobust(questions); got.Warn != "" || math.Abs(got.DesignEffect-1) > .9 {
		t.Errorf("independent answers: %+v", got) // variance of DesignEffect is about 2/39
	}
	for _, few := range [][]Answers{nil, {{0, 0}}, {{3, 5}}} {
		if got = ClusterRobust(few); !math.IsNaN(got.SE) || got.Warn == "" {
			t.Errorf("%v: %+v", few, got)
		}
	}
}

func TestBootstrapIsTheNormalIntervalWhereThatIsRight(t *testing.T) {
	// 100 lineages far apart, questions and draws adding little: ends agree with
	// Student's within .01 (half width .04, its own error under resampling .001).
	r := rand.New(rand.NewPCG(8, 3))
	all := asked(r, 100, 20, 20, [3]float64{1, 0, 0}, false)
	var ps []float64
	for _, questions := range all {
		k, n := total(questions)
		ps = append(ps, float64(k)/float64(n))
	}
	want, got := TInterval(ps), Bootstrap(all, false, 1500, r)
	near(t, "mean", got.Mean, want.Mean, 1e-12)
	near(t, "lower end", got.Lo, want.Lo, .01)
	near(t, "upper end", got.Hi, want.Hi, .01)
}

func TestBootstrapCoverage(t *testing.T) {
	// 200 studies a cell of 300 rounds, fixed seed: SE .015 at .95, and the floors
	// lie three SE under what 300 studies of 400 rounds gave, .950, .863, .967,
	// .970 and .963: a percentile interval of five questions is too narrow.
	const rounds = 200
	r := rand.New(rand.NewPCG(8, 4))
	for _, c := range []struct {
		lineages, questions, draws int
		spread                     [3]float64
		crossed                    bool
		floor                      float64
	}{
		{12, 20, 5, [3]float64{.5, 1, .3}, true, .904},
		{12, 5, 10, [3]float64{.5, 1, .3}, true, .79},
		{6, 20, 5, [3]float64{.5, 1, .3}, true, .92},
		{12, 20, 5, [3]float64{.5, 1, .3}, false, .92},
		{6, 10, 10, [3]float64{.5, 1, .3}, false, .91},
	} {
		covered, nested := 0., 0.
		for range rounds {
			all := asked(r, c.lineages, c.questions, c.draws, c.spread, c.crossed)
			if i := Bootstrap(all, c.crossed, 300, r); i.Lo <= .5 && .5 <= i.Hi {
				covered += 1. / rounds
			}
			if !c.crossed {
				continue
			}
			if i := Bootstrap(all, false, 300, r); i.Lo <= .5 && .5 <= i.Hi {
				nested += 1. / rounds
			}
		}
		t.Logf("%d lineages, %d questions of %d draws, crossed %v: covers %.3f", c.lineages, c.questions, c.draws, c.crossed, covered)
		if c.crossed {
			t.Logf("  questions resampled anew in every lineage: %.3f", nested)
		}
		if covered < c.floor {
			t.Errorf("%+v: covers %.3f", c, covered)
		}
	}
}

func TestBootstrapRefusesTooLittle(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 5))
	uneven := [][]Answers{{{1, 2}, {1, 2}}, {{1, 2}, {0, 2}}, {{1, 2}, {1, 2}}, {{1, 2}, {1, 2}}, {{1, 2}, {1, 2}, {1, 2}}}
	for want, all := range map[string][][]Answers{
		"4 replicates":        uneven[:4],
		"one question":        {{{1, 2}}, {{1, 2}}, {{1, 2}}, {{1, 2}}, {{1, 2}}},
		"different questions": uneven,
		"nothing":             nil,
	} {
		if got := Bootstrap(all, true, 50, r); !math.IsNaN(got.Lo) || !strings.Contains(got.Warn, want) {
			t.Errorf("%s: %+v", want, got)
		}
	}
	if got := Bootstrap(uneven, false, 50, r); math.IsNaN(got.Lo) {
		t.Errorf("%+v", got)
	}
}

func TestDesignEffectOfPublicChains(t *testing.T) {
	// 50 questions of 100 answers a model. A naive interval takes them for 5000
	// answers; nearly all questions are answered the same way every time.
	worst, between, rates := 0., 0, 0
	for condition, models := range chainAnswers(t) {
		for _, questions := range models {
			c := ClusterRobust(questions)
			for _, q := range questions {
				rates++
				if q.Present > 0 && q.Present < q.N {
					between++
				}
			}
			if c.Mean < .02 || c.Mean > .98 {
				continue // four answers in 5000 show no clustering
			}
			if c.Questions != 50 || c.N != 5000 || c.EffectiveN > 80 || c.DesignEffect < 60 {
				t.Errorf("%s: %+v", condition, c)
			}
			worst = max(worst, c.DesignEffect)
		}
	}
	t.Logf("the largest design effect is %.0f; %d of %d questions have both answers", worst, between, rates)
	near(t, "largest design effect", worst, 100*50./49, .1)
	if rates != 3600 || between != 23 {
		t.Errorf("%d of %d questions have both answers, not 23 of 3600", between, rates)
	}
}
