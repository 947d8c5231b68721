package popgen

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with its 95 % interval. Lo and Hi are NaN where none
// is due, and Warn says why.
type Interval struct {
	Mean, Lo, Hi float64
	N            int
	Warn         string
}

// MinReplicates is the number of replicates below which no interval is given:
// with four, the bounds rest on three degrees of freedom and on normality that
// nobody can check.
const MinReplicates = 5

var z975 = distuv.UnitNormal.Quantile(0.975)

// Proportion gives the 95 % interval of k carriers among n independent
// documents of one model: measurement error only, never the uncertainty of a
// lineage. It is the rule of three where k is 0 or n, Clopper-Pearson up to
// five events of the rarer kind, and Wilson's beyond.
func Proportion(k, n int) (lo, hi float64) {
	switch {
	case k < 0 || n < 1 || k > n:
		return math.NaN(), math.NaN()
	case k == 0:
		return 0, RuleOfThree(n)
	case k == n:
		return 1 - RuleOfThree(n), 1
	case min(k, n-k) <= 5:
		return ClopperPearson(k, n)
	}
	return Wilson(k, n)
}

// Wilson is the 95 % score interval of a proportion (Wilson 1927, J. Am. Stat.
// Assoc. 22:209): (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n). It
// needs 0 <= k <= n and n > 0.
func Wilson(k, n int) (lo, hi float64) {
	if k < 0 || n < 1 || k > n {
		return math.NaN(), math.NaN()
	}
	lo, hi = score(float64(k)/float64(n), z975*z975/float64(n))
	if k == 0 {
		lo = 0
	}
	if k == n {
		hi = 1
	}
	return lo, hi
}

// score is Wilson's interval of a share p where w stands for z²/n.
func score(p, w float64) (lo, hi float64) {
	centre := (p + w/2) / (1 + w)
	half := math.Sqrt(w*p*(1-p)+w*w/4) / (1 + w)
	return math.Max(0, centre-half), math.Min(1, centre+half)
}

// ClopperPearson is the 95 % interval that covers at least that often for every
// true proportion (Clopper and Pearson 1934, Biometrika 26:404): quantiles .025
// of Beta(k, n-k+1) and .975 of Beta(k+1, n-k). It needs 0 <= k <= n and n > 0.
func ClopperPearson(k, n int) (lo, hi float64) {
	if k < 0 || n < 1 || k > n {
		return math.NaN(), math.NaN()
	}
	hi = 1
	if k > 0 {
		lo = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(0.025)
	}
	if k < n {
		hi = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(0.975)
	}
	return lo, hi
}

// RuleOfThree is the upper 95 % bound of a proportion of which n documents
// showed no case: 1 - .05^(1/n), which is about 3/n. It needs n > 0.
func RuleOfThree(n int) float64 {
	if n < 1 {
		return math.NaN()
	}
	return -math.Expm1(math.Log(0.05) / float64(n))
}

// TInterval is the mean of one value a replicate with Student's 95 % interval,
// mean ± t(n-1)·s/sqrt(n). It assumes independent replicates and a mean that is
// close to normal. NaN values are replicates without a measurement and are left
// out; below MinReplicates the bounds are NaN and Warn says so.
func TInterval(values []float64) Interval {
	kept := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) {
			kept = append(kept, v)
		}
	}
	out := Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), N: len(kept)}
	if len(kept) > 0 {
		out.Mean = stat.Mean(kept, nil)
	}
	if len(kept) < MinReplicates {
		out.Warn = fewReplicates(len(kept))
		return out
	}
	se := stat.StdDev(kept, nil) / math.Sqrt(float64(len(kept)))
	if se == 0 {
		out.Warn = fmt.Sprintf("all %d replicates agree, so the interval has no width and says nothing of rarer outcomes", len(kept))
	}
	half := tQuantile(float64(len(kept)-1)) * se
	out.Lo, out.Hi = out.Mean-half, out.Mean+half
	return out
}

// Paired is the TInterval of a[i]-b[i]: matched worlds, where replicate i of
// both sides shares its seed. A pair with a NaN is left out. The slices are of
// one length; what is beyond the shorter one is left out.
func Paired(a, b []float64) Interval { return TInterval(Differences(a, b)) }

// Differences gives a[i]-b[i] for the pairs in which both were measured.
func Differences(a, b []float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		if d := a[i] - b[i]; !math.IsNaN(d) {
			out = append(out, d)
		}
	}
	return out
}

func tQuantile(degrees float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: degrees}.Quantile(0.975)
}

func fewReplicates(n int) string {
	switch n {
	case 0:
		return "nothing was measured"
	case 1:
		return fmt.Sprintf("one replicate gives no interval: run at least %d", MinReplicates)
	}
	return fmt.Sprintf("%d replicates are too few for an interval: run at least %d", n, MinReplicates)
}
