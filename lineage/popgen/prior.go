package popgen

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/combin"
)

// BetaBinomial is the probability of k carriers among n documents of a model
// whose share of carriers is Beta(a, b): where iterated learning by sampling from
// the posterior ends, when the prior is Beta(a, b) (Griffiths and Kalish 2007,
// Cogn. Sci. 31:441). It needs 0 <= k <= n, a > 0 and b > 0.
func BetaBinomial(n, k int, a, b float64) float64 {
	if n < 0 || k < 0 || k > n || !(a > 0) || !(b > 0) {
		return math.NaN()
	}
	return math.Exp(combin.LogGeneralizedBinomial(float64(n), float64(k)) + mathext.Lbeta(float64(k)+a, float64(n-k)+b) - mathext.Lbeta(a, b))
}
