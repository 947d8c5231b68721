package popgen

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// calibrated draws a calibration of m1 and m0 texts.
func calibrated(r *rand.Rand, m1, m0 int, se, sp float64) Detection {
	tp, tn := binomial(r, m1, se), binomial(r, m0, sp)
	return Detection{TruePositives: tp, FalseNegatives: m1 - tp, FalsePositives: m0 - tn, TrueNegatives: tn}
}

func TestRoganGladenCoverage(t *testing.T) {
	// 2000 repetitions a cell, fixed seed. The adjusted interval covers .95 to
	// .965, SE .005; the bounds .93 and .98 lie three SE and more away, so a
	// sound interval fails in fewer than one of 300 seeds over the eight cells.
	const rounds, n, m = 2000, 500, 100
	r := rand.New(rand.NewPCG(7, 1))
	for _, rate := range [][2]float64{{.85, .95}, {.7, .9}} {
		for _, theta := range []float64{.02, .1, .3, .6} {
			var naive, classical, adjusted, width float64
			for range rounds {
				d := calibrated(r, m, m, rate[0], rate[1])
				k := binomial(r, n, theta*rate[0]+(1-theta)*(1-rate[1]))
				if lo, hi := Wilson(k, n); lo <= theta && theta <= hi {
					naive += 1. / rounds
				}
				if i := RoganGladen(k, n, d); i.Lo <= theta && theta <= i.Hi {
					classical += 1. / rounds
				}
				i := AdjustedRoganGladen(k, n, d)
				if !(i.Lo <= i.Mean && i.Mean <= i.Hi) {
					t.Fatalf("k = %d, %+v: the interval %+v misses its estimate", k, d, i)
				}
				if i.Lo <= theta && theta <= i.Hi {
					adjusted += 1. / rounds
				}
				width += (i.Hi - i.Lo) / rounds
			}
			t.Logf("theta %.2f, se %.2f, sp %.2f: naive %.3f, classical %.3f, adjusted %.3f, width %.3f", theta, rate[0], rate[1], naive, classical, adjusted, width)
			if adjusted < .93 || adjusted > .98 {
				t.Errorf("theta %.2f, se %.2f, sp %.2f: the adjusted interval covers %.3f", theta, rate[0], rate[1], adjusted)
			}
			if theta == .02 && naive > .005 {
				t.Errorf("theta %.2f: uncorrected, Wilson's interval covers %.3f", theta, naive)
			}
		}
	}
}

// lineages draws R replicates that have drifted apart: shares are Beta with
// mean theta and variance theta(1-theta)·drift, texts are binomial, and the
// detector errs on them.
func lineages(r *rand.Rand, replicates, texts int, theta, drift, se, sp float64) (present, n []int) {
	for range replicates {
		present, n = append(present, binomial(r, texts, drifted(r, theta, drift)*(se+sp-1)+1-sp)), append(n, texts)
	}
	return present, n
}

func drifted(r *rand.Rand, theta, drift float64) float64 {
	if drift == 0 || theta == 0 || theta == 1 {
		return theta
	}
	c := 1/drift - 1
	return distuv.Beta{Alpha: theta * c, Beta: (1 - theta) * c, Src: r}.Rand()
}

func TestCorrectedMeanCoverage(t *testing.T) {
	// 1000 repetitions a cell, fixed seed, SE .007 at .95; the intervals are
	// exact for no cell and meant to err to the wide side. Below .92 would be
	// four SE under .95. Lineages of a rare behaviour that drifted far are
	// skewed, and no interval on five of them covers; those cells are in the log
	// and in docs/measurement.md, with a floor of their own.
	const rounds = 1000
	r := rand.New(rand.NewPCG(7, 2))
	for _, c := range []struct {
		replicates, texts, m1, m0 int
		theta, drift, se, sp      float64
		floor                     float64
	}{
		{12, 400, 100, 100, .02, 0, .85, .95, .92},
		{12, 400, 100, 100, .1, .02, .85, .95, .92},
		{12, 400, 100, 100, .3, .05, .7, .9, .92},
		{12, 400, 20, 20, .1, .02, .85, .95, .92},
		{12, 400, 20, 200, .3, .05, .7, .99, .92},
		{12, 60, 100, 100, 0, 0, .85, .95, .92},
		{12, 60, 15, 15, 0, 0, .9, 1, .92},
		{6, 60, 50, 50, .02, 0, .85, .95, .92},
		{6, 60, 50, 50, .3, .05, .85, .95, .92},
		{5, 400, 100, 100, .1, .02, .85, .95, .92},
		{5, 400, 20, 20, .6, .1, .7, .9, .92},
		{5, 60, 300, 300, .95, .02, .85, .95, .92},
		{12, 400, 224, 101, .03, .02, .72, .99, .90},
		{5, 400, 500, 500, .02, .05, .9, .998, .70},
	} {
		covered, raw, width, drawn := 0., 0., 0., 0.
		for range rounds {
			d := calibrated(r, c.m1, c.m0, c.se, c.sp)
			present, n := lineages(r, c.replicates, c.texts, c.theta, c.drift, c.se, c.sp)
			i := CorrectedMean(present, n, d)
			if math.IsNaN(i.Mean) {
				continue // refused
			}
			drawn++
			if math.IsNaN(i.Lo) {
				continue // no theta fits: counted as a miss
			}
			if !(i.Lo <= i.Mean && i.Mean <= i.Hi && i.N == c.replicates) {
				t.Fatalf("%+v: %+v", c, i)
			}
			if i.Lo <= c.theta && c.theta <= i.Hi {
				covered++
			}
			width += i.Hi - i.Lo
			var ps []float64
			for k := range present {
				ps = append(ps, float64(present[k])/float64(n[k]))
			}
			if u := TInterval(ps); u.Lo <= c.theta && c.theta <= u.Hi {
				raw++
			}
		}
		t.Logf("R %2d, n %3d, m1 %3d, m0 %3d, theta %.2f, drift %.2f, se %.2f, sp %.3f: covers %.3f, width %.3f, uncorrected covers %.3f, refused %.3f",
			c.replicates, c.texts, c.m1, c.m0, c.theta, c.drift, c.se, c.sp, covered/drawn, width/drawn, raw/drawn, 1-drawn/rounds)
		if covered/drawn < c.floor || drawn < rounds/2 {
			t.Errorf("%+v: covers %.3f of %g", c, covered/drawn, drawn)
		}
	}
}

func TestCorrectedDifferenceCoverage(t *testing.T) {
	// As above: 1000 repetitions a cell, floor .92.
	const rounds = 1000
	r := rand.New(rand.NewPCG(7, 3))
	for _, c := range []struct {
		replicates, m1, m0  int
		arm, control, drift float64
		se, sp              float64
	}{
		{12, 100, 100, .1, .02, .02, .85, .95},
		{12, 20, 20, .3, .1, .05, .85, .95},
		{12, 100, 100, .02, .02, .01, .7, .9},
		{6, 50, 50, .6, .1, .05, .7, .9},
		{5, 100, 100, .1, .3, .05, .85, .95},
		{5, 20, 20, .6, 0, .05, .8, .9},
	} {
		covered, drawn, width := 0., 0., 0.
		for range rounds {
			d := calibrated(r, c.m1, c.m0, c.se, c.sp)
			a, n := lineages(r, c.replicates, 400, c.arm, c.drift, c.se, c.sp)
			b, _ := lineages(r, c.replicates, 400, c.control, c.drift, c.se, c.sp)
			var differences []float64
			for k := range a {
				differences = append(differences, float64(a[k]-b[k])/float64(n[k]))
			}
			i := CorrectedDifference(differences, d)
			if math.IsNaN(i.Lo) {
				continue
			}
			drawn++
			if i.Lo <= c.arm-c.control && c.arm-c.control <= i.Hi {
				covered++
			}
			width += i.Hi - i.Lo
			if raw := TInterval(differences); (raw.Lo > 0) != (i.Lo > 0) || (raw.Hi < 0) != (i.Hi < 0) {
				t.Fatalf("%+v: the raw interval %+v and the corrected %+v disagree on whether there is a difference", c, raw, i)
			}
		}
		t.Logf("%+v: covers %.3f, width %.3f", c, covered/drawn, width/drawn)
		if covered/drawn < .92 || drawn < rounds/2 {
			t.Errorf("%+v: covers %.3f of %g", c, covered/drawn, drawn)
		}
	}
}

func TestCorrectionUndoesKnownErrors(t *testing.T) {
	// With a calibration without end, correction is the inverse of misreading.
	d := Detection{TruePositives: 85e7, FalseNegatives: 15e7, FalsePositives: 5e7, TrueNegatives: 95e7}
	const n = 1_000_000
	k := int(.3*.85*n + .7*.05*n)
	near(t, "level", CorrectedMean([]int{k, k, k, k, k}, []int{n, n, n, n, n}, d).Mean, .3, 1e-9)
	near(t, "classical", RoganGladen(k, n, d).Mean, .3, 1e-9)
	got := CorrectedDifference([]float64{.08, .12, .1, .09, .11}, d)
	raw := TInterval([]float64{.08, .12, .1, .09, .11})
	near(t, "difference", got.Mean, .1/.8, 1e-9)
	near(t, "lower end", got.Lo, raw.Lo/.8, 1e-6)
	near(t, "upper end", got.Hi, raw.Hi/.8, 1e-6)
}

func TestClassicalIntervalIsTheDeltaMethod(t *testing.T) {
	d := Detection{TruePositives: 85, FalseNegatives: 15, FalsePositives: 5, TrueNegatives: 95}
	got := RoganGladen(145, 500, d)
	// theta = (.29 - .05)/.8 = .3; V = .29·.71/500 + .49·.05·.95/100 + .09·.85·.15/100.
	near(t, "theta", got.Mean, .3, 1e-12)
	near(t, "half width", got.Hi-got.Mean, 1.959963985*math.Sqrt(.29*.71/500+.49*.0475/100+.09*.1275/100)/.8, 1e-9)
}

func TestCorrectionIsRefusedWithAReason(t *testing.T) {
	for want, d := range map[string]Detection{
		"mostly noise":       {TruePositives: 55, FalseNegatives: 45, FalsePositives: 40, TrueNegatives: 60},
		"may be 0":           {TruePositives: 7, FalseNegatives: 5, FalsePositives: 4, TrueNegatives: 8},
		"needs 10 of either": {TruePositives: 9, TrueNegatives: 1000},
		"fewer than no":      {TruePositives: -1, FalseNegatives: 50, TrueNegatives: 50},
	} {
		for _, i := range []Interval{RoganGladen(5, 50, d), AdjustedRoganGladen(5, 50, d), CorrectedMean([]int{1, 2, 3, 4, 5}, []int{9, 9, 9, 9, 9}, d), CorrectedDifference([]float64{1, 2, 3, 4, 5}, d)} {
			if !math.IsNaN(i.Mean) || !math.IsNaN(i.Lo) || !math.IsNaN(i.Hi) || !strings.Contains(i.Warn, want) {
				t.Errorf("%+v gives %+v", d, i)
			}
		}
	}
}

func TestFewReplicatesAreCorrectedWithoutInterval(t *testing.T) {
	d := Detection{TruePositives: 85, FalseNegatives: 15, FalsePositives: 5, TrueNegatives: 95}
	got := CorrectedMean([]int{29, 29, 0, 29, 29}, []int{100, 100, 0, 100, 100}, d)
	near(t, "mean", got.Mean, .3, 1e-12)
	if got.N != 4 || !math.IsNaN(got.Lo) || !strings.Contains(got.Warn, "4 replicates") {
		t.Errorf("%+v", got)
	}
	if got = CorrectedDifference([]float64{.08, math.NaN(), .08}, d); got.N != 2 || !math.IsNaN(got.Lo) || got.Warn == "" {
		t.Errorf("%+v", got)
	}
	near(t, "difference", got.Mean, .1, 1e-12)
	if got = CorrectedMean(nil, nil, d); !math.IsNaN(got.Mean) || got.Warn == "" {
		t.Errorf("%+v", got)
	}
}

func TestLevelsBelowFalseAlarmsAreCutAndSaid(t *testing.T) {
	d := Detection{TruePositives: 85, FalseNegatives: 15, FalsePositives: 5, TrueNegatives: 95}
	n := []int{100, 100, 100, 100, 100}
	got := CorrectedMean([]int{4, 4, 5, 3, 4}, n, d)
	if got.Mean != 0 || got.Lo != 0 || !(got.Hi > .005) || !strings.Contains(got.Warn, "cut to 0") {
		t.Errorf("%+v", got)
	}
	if got = CorrectedMean([]int{87, 88, 86, 87, 87}, n, d); got.Mean != 1 || got.Hi != 1 || !(got.Lo < .99) || !strings.Contains(got.Warn, "cut to 1") {
		t.Errorf("%+v", got)
	}
	for _, found := range [][]int{{0, 0, 0, 0, 0}, {100, 100, 100, 100, 100}} {
		if got = CorrectedMean(found, n, d); !math.IsNaN(got.Lo) || !strings.Contains(got.Warn, "does not fit") {
			t.Errorf("%v of 100 each: %+v", found, got)
		}
	}
}

func TestYoudenIsNewcombes(t *testing.T) {
	// Newcombe 1998, example (a): 56/70 - 48/80 = .2 with .0524 to .3339.
	d := Detection{TruePositives: 56, FalseNegatives: 14, FalsePositives: 48, TrueNegatives: 32}
	got := d.Youden()
	near(t, "J", got.Mean, .2, 1e-12)
	near(t, "lower", got.Lo, .0524, 5e-5)
	near(t, "upper", got.Hi, .3339, 5e-5)
}
