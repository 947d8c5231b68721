package popgen

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// AUC is the chance that a text with the behaviour scores above one without,
// ties counting half, with DeLong's interval (DeLong, DeLong and Clarke-Pearson
// 1988, Biometrics 44:837; by midranks, Sun and Xu 2014, IEEE Signal Process.
// Lett. 21:1389). The interval is symmetric on the logit, so that it stays within
// [0,1]. Where the two sets do not overlap there is no variance to estimate:
// min(m, n) disjoint pairs came out alike, and RuleOfThree bounds the chance of
// one that does not. N counts all texts. NaN scores are left out; a set without
// scores gives NaN.
func AUC(positive, negative []float64) Interval {
	positive, negative = finite(positive), finite(negative)
	m, n := len(positive), len(negative)
	out := Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), N: m + n}
	if m == 0 || n == 0 {
		out.Warn = "scores of both truths are needed"
		return out
	}
	all := midranks(append(slices.Clone(positive), negative...))
	own, others := midranks(positive), midranks(negative)
	// Placements: the share of the other set that a score beats.
	x, y := make([]float64, m), make([]float64, n)
	for i := range x {
		x[i] = (all[i] - own[i]) / float64(n)
	}
	for i := range y {
		y[i] = 1 - (all[m+i]-others[i])/float64(m)
	}
	out.Mean = stat.Mean(x, nil)
	switch {
	case out.Mean == 1:
		out.Lo, out.Hi = 1-RuleOfThree(min(m, n)), 1
	case out.Mean == 0:
		out.Lo, out.Hi = 0, RuleOfThree(min(m, n))
	case m < 2 || n < 2:
		out.Warn = "one text of a truth gives no interval"
	default:
		a := out.Mean
		se := math.Sqrt(stat.Variance(x, nil)/float64(m) + stat.Variance(y, nil)/float64(n))
		centre, half := math.Log(a/(1-a)), z975*se/(a*(1-a))
		out.Lo, out.Hi = 1/(1+math.Exp(half-centre)), 1/(1+math.Exp(-half-centre))
	}
	return out
}

func finite(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}

// midranks gives the rank of each value from 1, ties sharing the mean of theirs.
func midranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
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
