package popgen

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
)

// PredictionPowered estimates the mean of a truth that is known of a few texts
// from a detector's words on many (PPI++ of Angelopoulos, Duchi and Zrnic 2023,
// arXiv 2311.01453, for a mean): truth[i] and word[i] of n labelled texts, and
// the words on N others that were drawn from the same population,
//
//	est = lambda mean(rest) + mean(truth - lambda word)
//	lambda = cov(truth, word) / ((1 + n/N) var(word)), within [0,1]
//	V = lambda² var(rest)/N + var(truth - lambda word)/n
//
// with Student's interval on n-1 degrees of freedom. A useless detector has
// lambda = 0, and the estimate is the mean of the labels alone. N of the result
// is n. It assumes independent texts and labels drawn at random; fewer than two
// labels or texts give NaN.
func PredictionPowered(truth, word, rest []float64) Interval {
	n := min(len(truth), len(word))
	out := Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), N: n}
	if n < 2 || len(rest) < 2 {
		out.Warn = "two labelled texts and two others are the least"
		return out
	}
	truth, word = truth[:n], word[:n]
	lambda := powerTuned(truth, word, len(rest))
	residual := make([]float64, n)
	for i := range residual {
		residual[i] = truth[i] - lambda*word[i]
	}
	out.Mean = lambda*stat.Mean(rest, nil) + stat.Mean(residual, nil)
	v := lambda*lambda*stat.Variance(rest, nil)/float64(len(rest)) + stat.Variance(residual, nil)/float64(n)
	half := tQuantile(float64(n-1)) * math.Sqrt(v)
	out.Lo, out.Hi = out.Mean-half, out.Mean+half
	return out
}

func powerTuned(truth, word []float64, rest int) float64 {
	v := stat.Variance(word, nil)
	if v == 0 {
		return 0
	}
	return cut(stat.Covariance(truth, word, nil)/((1+float64(len(word))/float64(rest))*v), 0)
}

// Labelled is what the detector found in N texts of one replicate, and some of
// these texts, drawn at random, with the truth.
type Labelled struct {
	Present, N int
	Labels     []Label
}

// Label is the truth of a text and the detector's word.
type Label struct{ Truth, Word bool }

// Limits below which labels give no estimate of their own.
const (
	MinLabels  = 30 // labelled texts of all replicates
	MinOutcome = 5  // labelled texts with the rarer truth
)

// LabelledMean is PredictionPowered for the mean over replicates: with p(r) what
// was detected in replicate r and the labels of all replicates pooled,
//
//	est = lambda mean(p) + mean over labels of (truth - lambda word)
//
// Labels of one replicate are not independent, and neither are they of p(r), so
// the variance is the cluster-robust one over the R replicates,
//
//	V = R/(R-1) sum u(r)²,  u(r) = lambda (p(r) - mean(p))/R + sum over labels of r of (e - mean(e))/n
//
// with e = truth - lambda word, and Student's t on R-1 degrees of freedom;
// lambda is that of PredictionPowered. It assumes labels drawn at random from the
// pooled texts, and about as many texts in each replicate. Replicates with N = 0
// are left out. Below MinLabels labels, MinOutcome of either truth, or where labels
// reach fewer replicates than MinReplicates and not all of them, there is no
// estimate: Mean is NaN, since one label more would move it by points. Below
// MinReplicates there is one without bounds. Warn says why. N counts replicates.
func LabelledMean(replicates []Labelled) Interval {
	mean, u, why := influences(replicates)
	return byReplicate(mean, u, why, 0)
}

// LabelledDifference is the difference of two LabelledMeans, paired by
// replicate: those measured on both sides. Its u(r) is the difference of theirs.
func LabelledDifference(a, b []Labelled) Interval {
	var as, bs []Labelled
	for r := range min(len(a), len(b)) {
		if a[r].N > 0 && b[r].N > 0 {
			as, bs = append(as, a[r]), append(bs, b[r])
		}
	}
	meanA, ua, whyA := influences(as)
	meanB, ub, whyB := influences(bs)
	for r := range ua {
		ua[r] -= ub[r]
	}
	if whyA == "" {
		whyA = whyB
	}
	return byReplicate(meanA-meanB, ua, whyA, -1)
}

func byReplicate(mean float64, u []float64, why string, least float64) Interval {
	out := Interval{Mean: cut(mean, least), Lo: math.NaN(), Hi: math.NaN(), N: len(u), Warn: why}
	if why != "" {
		return out
	}
	v, n := 0.0, float64(len(u))
	for _, x := range u {
		v += x * x * n / (n - 1)
	}
	half := tQuantile(n-1) * math.Sqrt(v)
	out.Lo, out.Hi = cut(mean-half, least), cut(mean+half, least)
	return out
}

// influences gives the estimate, what each measured replicate does to it, and
// why that is not enough for an interval.
func influences(replicates []Labelled) (mean float64, u []float64, why string) {
	var ps, truth, word []float64
	var of []int
	texts, positive, labelled := 0, 0, 0
	for _, r := range replicates {
		if r.N < 1 {
			continue
		}
		if len(r.Labels) > 0 {
			labelled++
		}
		for _, l := range r.Labels {
			truth, word, of = append(truth, indicator(l.Truth)), append(word, indicator(l.Word)), append(of, len(ps))
			if l.Truth {
				positive++
			}
		}
		ps, texts = append(ps, float64(r.Present)/float64(r.N)), texts+r.N
	}
	n := len(truth)
	if why = fewLabels(n, positive, labelled, len(ps)); why != "" {
		return math.NaN(), make([]float64, len(ps)), why
	}
	if len(ps) < MinReplicates {
		why = fewReplicates(len(ps))
	}
	lambda := powerTuned(truth, word, texts)
	detected, rest := stat.Mean(ps, nil), stat.Mean(truth, nil)-lambda*stat.Mean(word, nil)
	for _, p := range ps {
		u = append(u, lambda*(p-detected)/float64(len(ps)))
	}
	for i, r := range of {
		u[r] += (truth[i] - lambda*word[i] - rest) / float64(n)
	}
	return lambda*detected + rest, u, why
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// fewLabels says why labels tell no rate, "" where they do.
func fewLabels(n, positive, labelled, replicates int) string {
	switch {
	case n == 0:
		return "no texts were labelled"
	case n < MinLabels:
		return fmt.Sprintf("%d labels are too few for an estimate: %d are the least", n, MinLabels)
	case min(positive, n-positive) < MinOutcome:
		return fmt.Sprintf("%d of %d labels are positive, and %d of either kind are the least for an estimate", positive, n, MinOutcome)
	case labelled < min(MinReplicates, replicates):
		return fmt.Sprintf("labels reach %d of %d replicates, too few for an estimate: label texts of at least %d", labelled, replicates, min(MinReplicates, replicates))
	}
	return ""
}
