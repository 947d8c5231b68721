package popgen

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Unpaired is the two-sided p-value of the difference of two means of
// independent samples whose spreads may differ (Welch 1947, Biometrika 34:28):
// Student's t of the difference over its standard error, with the degrees of
// freedom of Welch and Satterthwaite. Where neither sample varies, t says
// nothing and the p-value is that of the permutation test, in which total
// separation is one of C(n+m, n) equally likely splits: twice its inverse, or 1
// where the means agree. NaN values are left out; a side with fewer than two
// values gives NaN.
func Unpaired(a, b []float64) float64 {
	a, b = Differences(a, make([]float64, len(a))), Differences(b, make([]float64, len(b)))
	n, m := float64(len(a)), float64(len(b))
	if n < 2 || m < 2 {
		return math.NaN()
	}
	difference := stat.Mean(a, nil) - stat.Mean(b, nil)
	va, vb := stat.Variance(a, nil)/n, stat.Variance(b, nil)/m
	if va+vb <= 1e-24 {
		if math.Abs(difference) < 1e-12 {
			return 1
		}
		up, _ := math.Lgamma(n + m + 1)
		left, _ := math.Lgamma(n + 1)
		right, _ := math.Lgamma(m + 1)
		return math.Min(1, 2*math.Exp(left+right-up))
	}
	degrees := (va + vb) * (va + vb) / (va*va/(n-1) + vb*vb/(m-1))
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: degrees}.Survival(math.Abs(difference)/math.Sqrt(va+vb))
}
