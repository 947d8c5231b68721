package popgen

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// read gives what a detector says of a truth.
func read(r *rand.Rand, truth bool, se, sp float64) bool {
	if truth {
		return r.Float64() < se
	}
	return r.Float64() >= sp
}

func TestPredictionPoweredCoverage(t *testing.T) {
	// 2000 repetitions a cell, fixed seed: coverage has SE .005, and the bounds
	// lie four SE around .94; widths are known to .0003.
	const rounds, labelled, others = 2000, 200, 2000
	r := rand.New(rand.NewPCG(7, 4))
	for _, c := range []struct{ theta, width float64 }{{.1, .0605}, {.3, .0805}} {
		covered, width, classical := 0., 0., 0.
		for range rounds {
			var truth, word, rest []float64
			for i := range labelled + others {
				y := r.Float64() < c.theta
				f := indicator(read(r, y, .85, .95))
				if i < labelled {
					truth, word = append(truth, indicator(y)), append(word, f)
				} else {
					rest = append(rest, f)
				}
			}
			i := PredictionPowered(truth, word, rest)
			if i.Lo <= c.theta && c.theta <= i.Hi {
				covered += 1. / rounds
			}
			width += (i.Hi - i.Lo) / rounds
			none := TInterval(truth)
			classical += (none.Hi - none.Lo) / rounds
		}
		t.Logf("theta %.2f: covers %.3f, width %.4f, of labels alone %.4f", c.theta, covered, width, classical)
		near(t, "coverage", covered, .94, .02)
		near(t, "width", width, c.width, .0015)
		if width > .8*classical {
			t.Errorf("theta %.2f: the detector narrows %.4f to %.4f only", c.theta, classical, width)
		}
	}
}

func TestUselessDetectorLeavesTheLabels(t *testing.T) {
	truth := []float64{1, 0, 1, 0, 1, 0, 0, 0}
	got, want := PredictionPowered(truth, make([]float64, 8), make([]float64, 100)), TInterval(truth)
	near(t, "mean", got.Mean, want.Mean, 1e-12)
	near(t, "upper", got.Hi, want.Hi, 1e-12)
	if got := PredictionPowered([]float64{1}, []float64{1}, truth); !math.IsNaN(got.Mean) || got.Warn == "" {
		t.Errorf("%+v", got)
	}
}

// labelled draws replicates that drifted apart, with a share of their texts labelled.
func labelled(r *rand.Rand, replicates, texts, labels int, theta, drift, se, sp float64) []Labelled {
	out := make([]Labelled, replicates)
	for k := range out {
		p := drifted(r, theta, drift)
		out[k].N = texts
		for range texts {
			y := r.Float64() < p
			word := read(r, y, se, sp)
			if word {
				out[k].Present++
			}
			if r.IntN(texts*replicates) < labels {
				out[k].Labels = append(out[k].Labels, Label{y, word})
			}
		}
	}
	return out
}

func TestLabelledMeanCoverage(t *testing.T) {
	// 1000 repetitions a cell, fixed seed, SE .007 at .95; the floor of .92 is
	// four SE below. The last cell is the one that texts taken for independent
	// would get wrong: lineages far apart.
	const rounds = 1000
	r := rand.New(rand.NewPCG(7, 5))
	for _, c := range []struct {
		replicates, labels        int
		theta, drift, se, sp, low float64
	}{
		{12, 200, .1, .02, .85, .95, .92},
		{12, 200, .3, .05, .7, .9, .92},
		{6, 100, .3, .05, .85, .95, .92},
		{5, 200, .3, .02, .85, .95, .92},
		{12, 60, .5, 0, .9, .9, .92},
		{12, 300, .3, .2, .85, .95, .92},
	} {
		covered, differed, drawn, width, apart := 0., 0., 0., 0., 0.
		for range rounds {
			a := labelled(r, c.replicates, 200, c.labels, c.theta, c.drift, c.se, c.sp)
			b := labelled(r, c.replicates, 200, c.labels, c.theta/2, c.drift, c.se, c.sp)
			i, d := LabelledMean(a), LabelledDifference(a, b)
			if math.IsNaN(i.Lo) || math.IsNaN(d.Lo) {
				continue
			}
			drawn++
			if i.Lo <= c.theta && c.theta <= i.Hi {
				covered++
			}
			if d.Lo <= c.theta/2 && c.theta/2 <= d.Hi {
				differed++
			}
			width += i.Hi - i.Lo
			var truth []float64
			for _, l := range a {
				for _, x := range l.Labels {
					truth = append(truth, indicator(x.Truth))
				}
			}
			if n := TInterval(truth); n.Lo <= c.theta && c.theta <= n.Hi {
				apart++
			}
		}
		t.Logf("R %2d, labels %3d, theta %.2f, drift %.2f, se %.2f, sp %.2f: covers %.3f, width %.3f; difference covers %.3f; labels taken for independent %.3f",
			c.replicates, c.labels, c.theta, c.drift, c.se, c.sp, covered/drawn, width/drawn, differed/drawn, apart/drawn)
		if covered/drawn < c.low || differed/drawn < c.low || drawn < rounds/2 {
			t.Errorf("%+v: covers %.3f and %.3f of %g", c, covered/drawn, differed/drawn, drawn)
		}
	}
}

func TestLabelledMeanOfEverythingIsTheTruth(t *testing.T) {
	// Where every text has a label and replicates are of one size, the detector
	// does not matter: the interval is Student's over the true shares.
	r := rand.New(rand.NewPCG(7, 6))
	all := labelled(r, 8, 50, 50*8*8, .4, .05, .7, .8)
	var truth []float64
	for _, l := range all {
		k := 0.0
		for _, x := range l.Labels {
			k += indicator(x.Truth)
		}
		truth = append(truth, k/50)
	}
	got, want := LabelledMean(all), TInterval(truth)
	near(t, "mean", got.Mean, want.Mean, 1e-12)
	near(t, "upper", got.Hi, want.Hi, 1e-12)
	if same := LabelledDifference(all, all); same.Mean != 0 || same.Lo != 0 || same.Hi != 0 {
		t.Errorf("a world differs from itself: %+v", same)
	}
}

func TestFewLabelsGiveNoEstimate(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	many := labelled(r, 8, 50, 100, .4, .05, .7, .8)
	one := labelled(r, 8, 50, 0, .4, .05, .7, .8)
	one[3] = Labelled{Present: 20, N: 40, Labels: make([]Label, 40)}
	for i := range 10 {
		one[3].Labels[i].Truth = true
	}
	for want, of := range map[string][]Labelled{
		"labels reach 1 of 8":      one,
		"too few for an estimate:": labelled(r, 8, 50, 15, .4, .05, .7, .8),
		"labels are positive":      labelled(r, 8, 50, 100, 0, 0, .7, .8),
		"no texts were labelled":   labelled(r, 8, 50, 0, .4, .05, .7, .8),
	} {
		if got := LabelledMean(of); !math.IsNaN(got.Mean) || !math.IsNaN(got.Lo) || !strings.Contains(got.Warn, want) {
			t.Errorf("%q: %+v", want, got)
		}
	}
	if got := LabelledMean(many[:4]); math.IsNaN(got.Mean) || !math.IsNaN(got.Lo) || !strings.Contains(got.Warn, "4 replicates") {
		t.Errorf("enough labels in few replicates give an estimate without bounds: %+v", got)
	}
}
