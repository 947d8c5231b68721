package popgen

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
)

// LogitSlope is the change of the logit of the carrier share a generation, by
// least squares over the generations of one replicate: under selection it is
// the selection coefficient on the log scale (replicator dynamics). present[i]
// of n[i] documents carried the behaviour in generation i. The empirical logit
// is ln((k+½)/(n-k+½)) (Haldane 1955, Ann. Hum. Genet. 20:309; Anscombe 1956,
// Biometrika 43:461), so that 0 and n are finite: a lineage that stays lost or
// fixed pulls its slope towards 0. Generations with n = 0 are left out; fewer
// than two others give NaN.
func LogitSlope(present, n []int) float64 {
	var xs, ys []float64
	for i := range min(len(present), len(n)) {
		if n[i] < 1 || present[i] < 0 || present[i] > n[i] {
			continue
		}
		k, m := float64(present[i]), float64(n[i])
		xs = append(xs, float64(i))
		ys = append(ys, math.Log((k+0.5)/(m-k+0.5)))
	}
	if len(xs) < 2 {
		return math.NaN()
	}
	_, slope := stat.LinearRegression(xs, ys, nil, false)
	return slope
}

// Fates counts the replicates of which no document carried the behaviour and
// those of which all did. Replicates with n = 0 count as neither.
func Fates(present, n []int) (lost, fixed int) {
	for i := range min(len(present), len(n)) {
		switch {
		case n[i] < 1:
		case present[i] == 0:
			lost++
		case present[i] == n[i]:
			fixed++
		}
	}
	return lost, fixed
}

// Reproduction estimates what one generation keeps of the one before, over one
// series a replicate, as a ratio of sums:
//
//	R = sum of x[t+1] / sum of x[t]
//
// over all neighbouring generations of all replicates, x being the excess over
// the background (difference from control), so that quiet generations weigh
// little. Below 1 the behaviour dies out, with HalfLife(R). The interval is the
// jackknife over replicates (Tukey 1958) with Student's t; NaN values break a
// series. The mean is NaN where the denominator is not positive or R is
// negative: then there is no excess to follow, and Warn says so.
func Reproduction(series [][]float64) Interval {
	out := Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	var after, before []float64
	var a, b float64
	for _, xs := range series {
		var sa, sb float64
		pairs := 0
		for t := 1; t < len(xs); t++ {
			if !math.IsNaN(xs[t] + xs[t-1]) {
				sa, sb, pairs = sa+xs[t], sb+xs[t-1], pairs+1
			}
		}
		if pairs > 0 {
			after, before = append(after, sa), append(before, sb)
			a, b = a+sa, b+sb
		}
	}
	out.N = len(after)
	if out.N == 0 || b <= 0 || a < 0 {
		out.Warn = "no excess over the background to follow"
		return out
	}
	out.Mean = a / b
	if out.N < MinReplicates {
		out.Warn = fewReplicates(out.N)
		return out
	}
	pseudo := make([]float64, out.N)
	for i := range pseudo {
		if b-before[i] <= 0 {
			out.Warn = "the excess rests on one replicate, so there is no interval"
			return out
		}
		pseudo[i] = float64(out.N)*out.Mean - float64(out.N-1)*(a-after[i])/(b-before[i])
	}
	half := tQuantile(float64(out.N-1)) * stat.StdDev(pseudo, nil) / math.Sqrt(float64(out.N))
	out.Lo, out.Hi = max(0, out.Mean-half), out.Mean+half
	return out
}

// DecayFit is y = A exp(-t/Tau) + C by least squares.
type DecayFit struct {
	A, Tau, C float64
	HalfLife  float64 // Tau ln 2
	RSS       float64
	AIC, Flat float64 // Akaike's criterion of the fit, and of a constant; n ln(RSS/n) + 2k
}

// FitDecay fits exponential decay to an offset, to values at t = 1, 2, …. For a
// fixed Tau the other two are linear, so the search is over Tau alone: a grid
// from .05 to 100 times the length, then golden section. It needs at least four
// finite values. An error says that no decay was found: the best Tau lies at an
// end of the grid, or A is not positive. Prefer it over the constant where AIC
// is below Flat by 2 or more.
func FitDecay(ys []float64) (DecayFit, error) {
	if len(ys) < 4 {
		return DecayFit{}, fmt.Errorf("popgen: %d values cannot hold a decay with an offset: four are needed", len(ys))
	}
	for i, y := range ys {
		if math.IsNaN(y) || math.IsInf(y, 0) {
			return DecayFit{}, fmt.Errorf("popgen: value %d is %g: leave out what was not measured", i+1, y)
		}
	}
	rss := func(logTau float64) float64 { return decayAt(ys, math.Exp(logTau)).RSS }
	const steps = 200
	low, high := math.Log(0.05), math.Log(100*float64(len(ys)))
	width := (high - low) / steps
	best := 0
	for i := range steps + 1 {
		if rss(low+float64(i)*width) < rss(low+float64(best)*width) {
			best = i
		}
	}
	at := low + float64(best)*width
	at = goldenSection(rss, at-width, at+width)
	fit := decayAt(ys, math.Exp(at))
	n := float64(len(ys))
	fit.HalfLife = fit.Tau * math.Ln2
	fit.AIC = n*math.Log(fit.RSS/n) + 2*3
	fit.Flat = n*math.Log(stat.PopVariance(ys, nil)) + 2*1
	if best == 0 || best == steps || fit.A <= 0 {
		return fit, fmt.Errorf("popgen: no decay in these values: the best fit has A = %.3g and tau = %.3g", fit.A, fit.Tau)
	}
	return fit, nil
}

// decayAt is the best fit for a given Tau.
func decayAt(ys []float64, tau float64) DecayFit {
	xs := make([]float64, len(ys))
	for i := range xs {
		xs[i] = math.Exp(-float64(i+1) / tau)
	}
	c, a := stat.LinearRegression(xs, ys, nil, false)
	fit := DecayFit{A: a, Tau: tau, C: c}
	for i, y := range ys {
		r := y - a*xs[i] - c
		fit.RSS += r * r
	}
	return fit
}

// goldenSection finds the least point of a function with one valley.
func goldenSection(f func(float64) float64, lo, hi float64) float64 {
	g := (math.Sqrt(5) - 1) / 2
	a, b := hi-g*(hi-lo), lo+g*(hi-lo)
	fa, fb := f(a), f(b)
	for range 60 {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - g*(hi-lo)
			fa = f(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + g*(hi-lo)
			fb = f(b)
		}
	}
	return (lo + hi) / 2
}
