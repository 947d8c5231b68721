package popgen

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Temper is the share of a carrier of share p after sampling at temperature T:
// p^(1/T) / (p^(1/T) + (1-p)^(1/T)), which divides the logit by T. Below 1 the
// majority wins, above 1 shares even out. It needs p within [0,1] and T > 0.
func Temper(p, temperature float64) float64 {
	if !unit(p) || !(temperature > 0) {
		return math.NaN()
	}
	if p == 0 || p == 1 {
		return p
	}
	return logistic(logit(p) / temperature)
}

// BestOf is the share of carriers among winners when the best of k independent
// documents is kept, chosen as Bradley and Terry (1952) have it with a reward
// gap r in favour of carriers (Ferbach et al. 2024, arXiv 2407.09499):
//
//	p' = sum over a of C(k,a) p^a (1-p)^(k-a) a e^r / (a e^r + k - a)
//
// For k = 2 it is p + p(1-p) tanh(r/2), a selection coefficient of tanh(r/2).
// It needs p within [0,1] and k >= 1.
func BestOf(k int, p, r float64) float64 {
	if !unit(p) || k < 1 || math.IsNaN(r) {
		return math.NaN()
	}
	if p == 0 || p == 1 {
		return p
	}
	draw := distuv.Binomial{N: float64(k), P: p}
	next := 0.0
	for a := 1; a <= k; a++ {
		next += draw.Prob(float64(a)) / (1 + float64(k-a)/float64(a)*math.Exp(-r))
	}
	return min(1, next)
}

// BestOfAll is BestOf for k without end, p e^r / (p e^r + 1 - p): the logit
// grows by r. It needs p within [0,1].
func BestOfAll(p, r float64) float64 {
	if !unit(p) || math.IsNaN(r) {
		return math.NaN()
	}
	if p == 0 || p == 1 {
		return p
	}
	return logistic(logit(p) + r)
}

// Curated is the map of pairwise curation as a fitness: p + s p(1-p), with
// s = tanh(r/2) of BestOf.
func Curated(p, s float64) float64 { return p + s*p*(1-p) }

// Chain solves the Wright-Fisher Markov chain exactly: with i of n carriers now,
// the next generation has Binomial(n, next(i/n)) of them. fixed[i] is the
// probability that carriers take over in the end and time[i] the expected
// number of generations until they took over or were lost. next is the
// deterministic part (selection, temperature); it must keep 0 at 0 and 1 at 1
// and lie strictly between them elsewhere, so that the chain ends there and
// nowhere else. n is 1 to 2000: the work is of order n³.
func Chain(n int, next func(p float64) float64) (fixed, time []float64, err error) {
	if n < 1 || n > 2000 {
		return nil, nil, fmt.Errorf("popgen: population size %d is not within 1..2000", n)
	}
	if next(0) != 0 || next(1) != 1 {
		return nil, nil, fmt.Errorf("popgen: the map sends 0 to %g and 1 to %g: without absorbing ends there is no fixation", next(0), next(1))
	}
	fixed, time = make([]float64, n+1), make([]float64, n+1)
	fixed[n] = 1
	if n == 1 {
		return fixed, time, nil
	}
	stay := mat.NewDense(n-1, n-1, nil)
	right := mat.NewDense(n-1, 2, nil)
	for i := 1; i < n; i++ {
		p := next(float64(i) / float64(n))
		if !(p > 0 && p < 1) {
			return nil, nil, fmt.Errorf("popgen: the map sends %g to %g, which is not within (0,1)", float64(i)/float64(n), p)
		}
		draw := distuv.Binomial{N: float64(n), P: p}
		for j := 1; j < n; j++ {
			stay.Set(i-1, j-1, -draw.Prob(float64(j)))
		}
		stay.Set(i-1, i-1, 1+stay.At(i-1, i-1))
		right.Set(i-1, 0, draw.Prob(float64(n)))
		right.Set(i-1, 1, 1)
	}
	var solved mat.Dense
	if err := solved.Solve(stay, right); err != nil {
		return nil, nil, fmt.Errorf("popgen: chain of %d is too close to singular: %w", n, err)
	}
	for i := 1; i < n; i++ {
		fixed[i], time[i] = solved.At(i-1, 0), solved.At(i-1, 1)
	}
	return fixed, time, nil
}

// Evolve is the distribution of the number of carriers after t generations of
// the Wright-Fisher chain of Chain that begins with k of n carriers: element i is
// the probability of i carriers. It needs 0 <= k <= n, t >= 0 and a map that stays
// within [0,1]; the work is of order t n².
func Evolve(n, k, t int, next func(p float64) float64) []float64 {
	now := make([]float64, n+1)
	now[k] = 1
	step := make([][]float64, n+1)
	for i := range step {
		step[i] = make([]float64, n+1)
		p := next(float64(i) / float64(n))
		switch p { // gonum's binomial has NaN at its ends
		case 0:
			step[i][0] = 1
		case 1:
			step[i][n] = 1
		default:
			draw := distuv.Binomial{N: float64(n), P: p}
			for j := range step[i] {
				step[i][j] = draw.Prob(float64(j))
			}
		}
	}
	for range t {
		then := make([]float64, n+1)
		for i, p := range now {
			if p == 0 {
				continue
			}
			for j, q := range step[i] {
				then[j] += p * q
			}
		}
		now = then
	}
	return now
}

// Kimura is the diffusion approximation of the probability that carriers of
// share p take over under a selection coefficient s (Kimura 1962, Genetics
// 47:713), haploid: (1 - e^(-2Nsp)) / (1 - e^(-2Ns)), and p for s = 0. Beyond
// |s| = .1 it is several percent off: use Chain. It needs p within [0,1] and
// n >= 1.
func Kimura(n int, p, s float64) float64 {
	if !unit(p) || n < 1 || math.IsNaN(s) {
		return math.NaN()
	}
	if s == 0 {
		return p
	}
	x := 2 * float64(n) * s
	if x < -700 {
		return math.Exp(x*(1-p)) * math.Expm1(x*p) / math.Expm1(x)
	}
	return math.Expm1(-x*p) / math.Expm1(-x)
}

func logit(p float64) float64    { return math.Log(p) - math.Log1p(-p) }
func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
