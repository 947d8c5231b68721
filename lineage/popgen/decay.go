package popgen

import "math"

// Heterozygosity is the expected share of p(1-p) that is left after t
// generations when each generation replaces the last: (1-1/N)^t (Wright 1931,
// Genetics 16:97; as model collapse Seddik et al. 2024, arXiv 2404.05090). It
// needs n >= 1 and t >= 0. The variance among lineages is p0(1-p0) times what
// has been lost.
func Heterozygosity(n, t int) float64 {
	if n < 1 || t < 0 {
		return math.NaN()
	}
	return math.Pow(1-1/float64(n), float64(t))
}

// Accumulating is Heterozygosity where generation i is trained on all batches
// so far: the product over i of 1-1/(N i²), i = 1..t. Batch 1 is the founding
// one, so t counts batches (Gerstgrasser et al. 2024, arXiv 2404.01413, and
// Kazdan et al. 2024, arXiv 2410.16713, for the categorical case). It needs
// n >= 1 and t >= 0.
func Accumulating(n, t int) float64 {
	if n < 1 || t < 0 {
		return math.NaN()
	}
	h := 1.0
	for i := 1; i <= t; i++ {
		h *= 1 - 1/(float64(n)*float64(i)*float64(i))
	}
	return h
}

// AccumulatingLimit is Accumulating for t without end, by Euler's product:
// sin(x)/x with x = pi/sqrt(N). It needs n >= 1.
func AccumulatingLimit(n int) float64 {
	if n < 1 {
		return math.NaN()
	}
	x := math.Pi / math.Sqrt(float64(n))
	return max(0, math.Sin(x)/x)
}

// AccumulatingSample is Heterozygosity where every generation adds N documents
// to a pool and trains on N drawn from it without replacement. With a(t) what
// the pool of t batches has left of p(1-p), in expectation:
//
//	a(1) = 1 - 1/N
//	a(t+1) = a(t) (1 - (1 - (1-1/N) t(N-1)/(tN-1)) / (t+1)²)
//
// and the sample of N from that pool has a(t)·t(N-1)/(tN-1), which is returned;
// t = 0 is the source itself, 1. Up to there each law follows from the
// hypergeometric variance. It needs n >= 2 and t >= 0.
func AccumulatingSample(n, t int) float64 {
	if n < 2 || t < 0 {
		return math.NaN()
	}
	if t == 0 {
		return 1
	}
	m := float64(n)
	sampled := func(t int) float64 { return float64(t) * (m - 1) / (float64(t)*m - 1) }
	a := 1 - 1/m
	for i := 1; i < t; i++ {
		step := float64(i + 1)
		a *= 1 - (1-(1-1/m)*sampled(i))/(step*step)
	}
	return a * sampled(t)
}

// Anchored gives mean and variance of the carrier share among lineages that
// started at p0, after t generations in which a share m of the N documents is
// fresh text with the carrier rate q:
//
//	E[p(t)] = q + (1-m)^t (p0-q)
//	Var[p(t)] = E[x(1-x)]/N + (1-m)² Var[p(t-1)],  x = (1-m) p(t-1) + m q
//
// that is, every document is fresh with probability m (Wright-Fisher with
// immigration). It needs p0, q and m within [0,1], n >= 1 and t >= 0.
func Anchored(n int, p0, q, m float64, t int) (mean, variance float64) {
	if !unit(p0) || !unit(q) || !unit(m) || n < 1 || t < 0 {
		return math.NaN(), math.NaN()
	}
	mean = p0
	for range t {
		mean = (1-m)*mean + m*q
		before := (1 - m) * (1 - m) * variance
		variance = before + (mean*(1-mean)-before)/float64(n)
	}
	return mean, variance
}

// AnchoredStationary is Anchored for t without end: mean q and variance
// q(1-q)/(N - (N-1)(1-m)²), about q(1-q)/(1+2Nm). It needs m > 0: without
// anchor every lineage ends at 0 or 1, and where depends on its start.
func AnchoredStationary(n int, q, m float64) (mean, variance float64) {
	if !unit(q) || !unit(m) || m == 0 || n < 1 {
		return math.NaN(), math.NaN()
	}
	return q, q * (1 - q) / (float64(n) - float64(n-1)*(1-m)*(1-m))
}

func unit(p float64) bool { return p >= 0 && p <= 1 }
