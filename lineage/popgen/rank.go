package popgen

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// exactRanks is the length up to which MannKendall counts orders exactly: the
// table has n²/2 entries a value and the counts stay far below the largest float.
const exactRanks = 60

// MannKendall tests a series for a monotone trend (Mann 1945, Econometrica
// 13:245; Kendall 1938). tau is S over the number of pairs that are not tied, S
// the rising pairs less the falling ones; p is two-sided, the share of all
// orders of the values whose |S| is at least as large. Up to 60 values it is
// exact, ties included: the number of falling pairs over the orders of a
// multiset has the Gaussian multinomial as its generating function (MacMahon).
// Beyond, it is the normal approximation with tie and continuity corrections.
// Values with NaN are left out; where fewer than two differ, tau is 0 and p 1.
func MannKendall(values []float64) (tau, p float64) {
	var xs []float64
	for _, v := range values {
		if !math.IsNaN(v) {
			xs = append(xs, v)
		}
	}
	s := 0
	for i := range xs {
		for j := range i {
			switch {
			case xs[j] < xs[i]:
				s++
			case xs[j] > xs[i]:
				s--
			}
		}
	}
	groups := tieSizes(xs)
	pairs := len(xs) * (len(xs) - 1) / 2
	for _, g := range groups {
		pairs -= g * (g - 1) / 2
	}
	if pairs == 0 {
		return 0, 1
	}
	tau = float64(s) / float64(pairs)
	if s == 0 {
		return tau, 1
	}
	far := max(s, -s)
	if len(xs) <= exactRanks {
		return tau, min(1, 2*lowerTail(groups, (pairs-far)/2))
	}
	return tau, 2 * distuv.UnitNormal.Survival(float64(far-1)/math.Sqrt(kendallVariance(len(xs), groups)))
}

func tieSizes(xs []float64) []int {
	sorted := slices.Sorted(slices.Values(xs))
	var sizes []int
	for i, x := range sorted {
		if i > 0 && x == sorted[i-1] {
			sizes[len(sizes)-1]++
		} else {
			sizes = append(sizes, 1)
		}
	}
	return sizes
}

func kendallVariance(n int, groups []int) float64 {
	v := func(m int) float64 { x := float64(m); return x * (x - 1) * (2*x + 5) }
	sum := v(n)
	for _, g := range groups {
		sum -= v(g)
	}
	return sum / 18
}

// lowerTail is the probability of at most k inversions among random orders of a
// multiset with the given group sizes. Each group, placed among the m values
// before it, adds the Gaussian binomial of m+g over g.
func lowerTail(groups []int, k int) float64 {
	law := []float64{1}
	m := 0
	for _, g := range groups {
		box := boxPartitions(g, m)
		next := make([]float64, len(law)+len(box)-1)
		for i, a := range law {
			for j, b := range box {
				next[i+j] += a * b
			}
		}
		law = next
		m += g
	}
	p := 0.0
	for _, q := range law[:k+1] {
		p += q
	}
	return p
}

// boxPartitions gives, for r = 0..a·b, the share of partitions inside an a × b
// box that sum to r: the normalised coefficients of the Gaussian binomial.
func boxPartitions(a, b int) []float64 {
	// rows[i] holds partitions into at most i parts, none above the current width:
	// either the largest part is smaller, or it is removed.
	rows := make([][]float64, a+1)
	for i := range rows {
		rows[i] = make([]float64, a*b+1)
		rows[i][0] = 1
	}
	for width := 1; width <= b; width++ {
		for i := 1; i <= a; i++ {
			for r := width; r <= i*width; r++ {
				rows[i][r] += rows[i-1][r-width]
			}
		}
	}
	total := 0.0
	for _, c := range rows[a] {
		total += c
	}
	for r := range rows[a] {
		rows[a][r] /= total
	}
	return rows[a]
}

// KolmogorovSmirnov tests a sample against a continuous law given by its
// cumulative distribution: the largest distance between the two, and the
// asymptotic p-value with Stephens' (1970, J. R. Stat. Soc. B 32:115) factor
// for small samples. The law must not have been fitted to the sample. An empty
// sample or a NaN gives NaN.
func KolmogorovSmirnov(values []float64, law func(float64) float64) (distance, p float64) {
	if len(values) == 0 || slices.ContainsFunc(values, math.IsNaN) {
		return math.NaN(), math.NaN()
	}
	n := float64(len(values))
	for i, x := range slices.Sorted(slices.Values(values)) {
		f := law(x)
		distance = max(distance, f-float64(i)/n, float64(i+1)/n-f)
	}
	return distance, kolmogorovTail(distance, len(values))
}

func kolmogorovTail(d float64, n int) float64 {
	root := math.Sqrt(float64(n))
	x := d * (root + 0.12 + 0.11/root)
	if x < 0.2 {
		return 1
	}
	sum, sign := 0.0, 1.0
	for j := 1; j <= 100; j++ {
		term := math.Exp(-2 * float64(j*j) * x * x)
		sum += sign * term
		sign = -sign
		if term < 1e-16 {
			break
		}
	}
	return min(1, max(0, 2*sum))
}
