package popgen

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Repeatability splits the variance of scores that a judge gave the same items
// several times.
type Repeatability struct {
	Between, Within float64 // variance of items, and of the judge's repeats of one
	ICC             Interval
	Items, Scores   int
}

// Repeats is the one-way analysis of variance: items[i] has the scores of item
// i. Within is the mean square within items, the judge's noise; Between is
// (MSB - MSW)/k0, cut at 0, with k0 the mean number of repeats (corrected where it varies);
// ICC is (MSB - MSW)/(MSB + (k0-1) MSW), the share of one score's variance that
// is the item's (ICC(1,1) of Shrout and Fleiss 1979, Psychol. Bull. 86:420), with
// their interval by F, exact for normal scores and equal numbers of repeats. NaN
// scores and items scored once are left out; without two items of two scores all
// is NaN.
func Repeats(items [][]float64) Repeatability {
	var kept [][]float64
	var all []float64
	squares, sizes := 0.0, 0.0
	for _, item := range items {
		if item = finite(item); len(item) < 2 {
			continue
		}
		kept, all = append(kept, item), append(all, item...)
		squares += stat.Variance(item, nil) * float64(len(item)-1)
		sizes += float64(len(item) * len(item))
	}
	nan := math.NaN()
	out := Repeatability{Between: nan, Within: nan, ICC: Interval{Mean: nan, Lo: nan, Hi: nan, N: len(kept)}, Items: len(kept), Scores: len(all)}
	if len(kept) < 2 {
		out.ICC.Warn = "two items with two scores each are the least"
		return out
	}
	n, g := float64(len(all)), float64(len(kept))
	between, grand := 0.0, stat.Mean(all, nil)
	for _, item := range kept {
		d := stat.Mean(item, nil) - grand
		between += float64(len(item)) * d * d
	}
	k := (n - sizes/n) / (g - 1)
	msb := between / (g - 1)
	out.Within = squares / (n - g)
	out.Between = max(0, (msb-out.Within)/k)
	if msb+out.Within == 0 {
		out.ICC.Warn = "all scores are the same"
		return out
	}
	icc := func(f float64) float64 { return (f - 1) / (f + k - 1) }
	if out.Within == 0 {
		out.ICC.Mean, out.ICC.Warn = 1, "repeats never differ, so there is no interval"
		return out
	}
	f := msb / out.Within
	out.ICC.Mean = icc(f)
	out.ICC.Lo = icc(f / distuv.F{D1: g - 1, D2: n - g}.Quantile(.975))
	out.ICC.Hi = icc(f * distuv.F{D1: n - g, D2: g - 1}.Quantile(.975))
	return out
}
