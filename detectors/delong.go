package detectors

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// fewest is the number of rows of either label below which an AUC has no interval:
// the normal approximation rests on that many values.
const fewest = 5

// AUCInterval is the AUC with its 95 % interval for independent rows: the variance
// of DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44:837), by the ranks of
// Sun and Xu (2014, IEEE Signal Processing Letters 21:1389), on the logit scale,
// which keeps the bounds within [0,1].
//
// Where every positive outscores every negative the variance is 0 and says nothing.
// Then the rarer label has k rows and makes k disjoint pairs, all won, whose chance
// is AUC^k: the lower bound is .05^(1/k), the rule of three; likewise the upper one
// where every pair is lost. The bounds are NaN with fewer than five rows of a label,
// and where all scores are equal.
func AUCInterval(scores []float64, labels []bool) (auc, lo, hi float64) {
	auc = AUC(scores, labels)
	lo, hi = math.NaN(), math.NaN()
	var of [2][]float64
	for i, s := range scores {
		of[index(labels[i])] = append(of[index(labels[i])], s)
	}
	n, m := float64(len(of[0])), float64(len(of[1]))
	switch least := min(n, m); {
	case least < fewest:
		return auc, lo, hi
	case auc == 1:
		return auc, math.Pow(.05, 1/least), 1
	case auc == 0:
		return auc, 0, 1 - math.Pow(.05, 1/least)
	}
	// A positive's placement is the share of the negatives below it.
	all, above, below := midranks(scores), midranks(of[1]), midranks(of[0])
	var at [2]int
	places := [2][]float64{make([]float64, len(of[0])), make([]float64, len(of[1]))}
	for i, rank := range all {
		k := index(labels[i])
		if k == 1 {
			places[1][at[1]] = (rank - above[at[1]]) / n
		} else {
			places[0][at[0]] = 1 - (rank-below[at[0]])/m
		}
		at[k]++
	}
	spread := variance(places[1])/m + variance(places[0])/n
	if spread < 1e-28 { // rounding apart, 0
		return auc, lo, hi
	}
	half := distuv.UnitNormal.Quantile(.975) * math.Sqrt(spread) / (auc * (1 - auc))
	centre := math.Log(auc / (1 - auc))
	return auc, sigmoid(centre - half), sigmoid(centre + half)
}

// midranks are the ranks from 1 in the order given; equal values share the mean of theirs.
func midranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	ranks := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, at := range order[i:j] {
			ranks[at] = float64(i+j+1) / 2
		}
		i = j
	}
	return ranks
}

// variance is the sample variance, with n-1.
func variance(values []float64) float64 {
	mean, sum := 0.0, 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return sum / float64(len(values)-1)
}
