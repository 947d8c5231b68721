package popgen

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Survival is the probability that a behaviour shown by a documents, among many
// others, is not forgotten after k generations of neutral copying: each carrier
// leaves Poisson(1) copies, so with q(0) = 0 and q(i+1) = exp(q(i)-1) it is
// 1 - q(k)^a. It is the small-share limit of Wright-Fisher, and lies above the
// bound 1-exp(-a/k) of Suresh et al. 2024 (arXiv 2412.17646). It needs a >= 0
// and k >= 0.
func Survival(a float64, k int) float64 {
	if !(a >= 0) || k < 0 {
		return math.NaN()
	}
	q := 0.0
	for range k {
		q = math.Exp(q - 1)
	}
	return 1 - math.Pow(q, a)
}

// Extinction is the probability that the descendants of one carrier die out
// when each carrier leaves Poisson(R) others: the smallest root of
// q = exp(R(q-1)) (Galton-Watson). It is 1 for R <= 1. It needs R >= 0.
func Extinction(r float64) float64 {
	if !(r >= 0) {
		return math.NaN()
	}
	if r <= 1 {
		return 1
	}
	// Newton from 0 climbs to the smallest root without overshooting, since
	// exp(R(q-1))-q is convex and falls towards it.
	q := 0.0
	for range 100 {
		e := math.Exp(r * (q - 1))
		step := (e - q) / (1 - r*e)
		q += step
		if math.Abs(step) < 1e-15 {
			break
		}
	}
	return min(1, q)
}

// HalfLife is the number of generations after which a behaviour that keeps a
// share r of itself in each is down to one half: ln 2 / -ln r. It is +Inf for
// r >= 1 (nothing decays) and 0 for r = 0. It needs r >= 0.
func HalfLife(r float64) float64 {
	switch {
	case !(r >= 0):
		return math.NaN()
	case r >= 1:
		return math.Inf(1)
	}
	return math.Ln2 / -math.Log(r)
}

// Prior holds the pseudo-counts of a learner that starts each generation from
// the same expectation: A for carriers and B against, both > 0. Smoothing of an
// n-gram model, or training from one foundation, acts like it.
type Prior struct{ A, B float64 }

// Mean is the share of carriers that the learner expects: A/(A+B). Iterated
// learning ends there from any start (Griffiths and Kalish 2007, Cognitive
// Science 31:441).
func (p Prior) Mean() float64 { return p.A / (p.A + p.B) }

// Decay is what one generation keeps of the distance to the prior's mean when
// n documents are seen: n/(n+A+B).
func (p Prior) Decay(n int) float64 { return float64(n) / (float64(n) + p.A + p.B) }

// SamplerVariance is the stationary variance among lineages whose learner draws
// its share from the posterior. The stationary law is the prior itself,
// Beta(A,B), whatever n: AB / ((A+B)²(A+B+1)).
func (p Prior) SamplerVariance() float64 {
	s := p.A + p.B
	return p.A * p.B / (s * s * (s + 1))
}

// MeanVariance is the stationary variance among lineages whose learner takes
// the posterior mean of n documents, as a smoothed n-gram model does: with
// w = n/(n+A+B) and pi = Mean, w² pi(1-pi) / (n - w²(n-1)).
func (p Prior) MeanVariance(n int) float64 {
	w, mean := p.Decay(n), p.Mean()
	return w * w * mean * (1 - mean) / (float64(n) - w*w*float64(n-1))
}

// Law is the cumulative distribution of the prior, which is the stationary law
// of SamplerVariance: for KolmogorovSmirnov.
func (p Prior) Law(x float64) float64 {
	return distuv.Beta{Alpha: p.A, Beta: p.B}.CDF(x)
}
