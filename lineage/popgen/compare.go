package popgen

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// ExactSigns is the number of non-zero differences up to which SignFlip is exact.
const ExactSigns = 40

const monteCarloSigns = 100_000

// SignFlip is the two-sided p-value of the paired permutation test on the sum
// of differences (Fisher 1935, The Design of Experiments, section 21): the
// share of all 2^n choices of signs whose sum is at least as far from 0 as the
// observed one. It assumes only that under the null each difference is as
// likely to have either sign. The smallest p that n pairs can give is 2/2^n, so
// five pairs never reach .05.
//
// Up to ExactSigns non-zero differences the count is exact: each half of the
// differences gives its 2^(n/2) sums in order, and one sweep over both counts
// the pairs. Beyond that it is Monte Carlo with 100,000 draws from r, counting
// the observed choice too; where r is nil, the normal approximation with the
// exact variance, sum of d². Sums within 1e-12 of the total size count as
// equal. NaN differences are left out; no difference at all gives NaN.
func SignFlip(differences []float64, r *rand.Rand) float64 {
	var d []float64
	var sum, size, squares float64
	measured := 0
	for _, x := range differences {
		if math.IsNaN(x) {
			continue
		}
		measured++
		if x != 0 {
			d = append(d, math.Abs(x))
		}
		sum += x
		size += math.Abs(x)
		squares += x * x
	}
	if measured == 0 || math.IsInf(size, 0) {
		return math.NaN()
	}
	bound := math.Abs(sum) - 1e-12*size
	switch {
	case bound <= 0:
		return 1
	case len(d) <= ExactSigns:
		return exactFlips(d, bound)
	case r == nil:
		return 2 * distuv.UnitNormal.Survival(math.Abs(sum)/math.Sqrt(squares))
	}
	far := 1
	for range monteCarloSigns {
		s := 0.0
		var bits uint64
		for i, x := range d {
			if i%64 == 0 {
				bits = r.Uint64()
			}
			if bits>>(i%64)&1 == 1 {
				x = -x
			}
			s += x
		}
		if math.Abs(s) >= bound {
			far++
		}
	}
	return float64(far) / (monteCarloSigns + 1)
}

// exactFlips is the share of sign choices with |sum| >= bound > 0: twice the
// upper tail, since the sums are symmetric about 0.
func exactFlips(d []float64, bound float64) float64 {
	low, high := signedSums(d[:len(d)/2]), signedSums(d[len(d)/2:])
	far, j := 0.0, len(high)
	for _, a := range low {
		for j > 0 && a+high[j-1] >= bound {
			j--
		}
		far += float64(len(high) - j)
	}
	return 2 * far / (float64(len(low)) * float64(len(high)))
}

// signedSums lists the sums over all choices of signs in ascending order: each
// difference merges the list moved down with the list moved up.
func signedSums(d []float64) []float64 {
	sums := []float64{0}
	for _, x := range d {
		next := make([]float64, 0, 2*len(sums))
		i := 0
		for _, s := range sums {
			for i < len(sums) && sums[i]-x <= s+x {
				next = append(next, sums[i]-x)
				i++
			}
			next = append(next, s+x)
		}
		sums = append(next, sums[i:]...)
	}
	return sums
}

// Fisher is the two-sided p-value of Fisher's exact test that two proportions, a
// of m and b of n, are the same (Fisher 1922, J. R. Stat. Soc. 85:87): given the
// sum of a and b, the chance of the splits that are no likelier than this one.
// It needs 0 <= a <= m and 0 <= b <= n; without texts on both sides it is NaN.
func Fisher(a, m, b, n int) float64 {
	if a < 0 || b < 0 || a > m || b > n || m < 1 || n < 1 {
		return math.NaN()
	}
	choose := func(n, k int) float64 {
		x, _ := math.Lgamma(float64(n + 1))
		y, _ := math.Lgamma(float64(k + 1))
		z, _ := math.Lgamma(float64(n - k + 1))
		return x - y - z
	}
	chance := func(k int) float64 { return math.Exp(choose(m, k) + choose(n, a+b-k) - choose(m+n, a+b)) }
	p, observed := 0.0, chance(a)*(1+1e-7)
	for k := max(0, a+b-n); k <= min(m, a+b); k++ {
		if q := chance(k); q <= observed {
			p += q
		}
	}
	return min(1, p)
}

// BenjaminiHochberg turns p-values into q-values (Benjamini and Hochberg 1995,
// J. R. Stat. Soc. B 57:289): calling significant what has q <= a keeps the
// expected share of false calls at a or below, for independent or positively
// dependent tests. The result is in the order of ps; NaN stays NaN and does not
// count as a test.
func BenjaminiHochberg(ps []float64) []float64 {
	qs := make([]float64, len(ps))
	var order []int
	for i, p := range ps {
		qs[i] = math.NaN()
		if !math.IsNaN(p) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case ps[a] < ps[b]:
			return -1
		case ps[a] > ps[b]:
			return 1
		}
		return 0
	})
	least := 1.0
	for rank := len(order); rank > 0; rank-- {
		i := order[rank-1]
		least = min(least, ps[i]*float64(len(order))/float64(rank))
		qs[i] = least
	}
	return qs
}
