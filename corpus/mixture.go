package corpus

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
)

// Quotas divides size positions among parts by their shares: the largest
// remainders are rounded up, ties in order of the parts, and the quotas sum to
// size. The arithmetic is exact on the shares as decimals, so 0.35 of 10 is
// three and a half and not a little less. Shares are finite, at least 0 and sum
// to 1 within 1e-9.
//
// Part k fills the positions [start, start+quota) with start the sum of the
// quotas before it (Starts), so that a changed share moves a boundary.
func Quotas(size int, shares []float64) ([]int, error) {
	if size < 0 {
		return nil, fmt.Errorf("size: %d is below 0", size)
	}
	weights, total := make([]*big.Rat, len(shares)), new(big.Rat)
	for k, share := range shares {
		if math.IsNaN(share) || share < 0 || share > 1+1e-9 {
			return nil, fmt.Errorf("share of part %d: %v is not within [0, 1]", k, share)
		}
		weights[k], _ = new(big.Rat).SetString(strconv.FormatFloat(share, 'g', -1, 64))
		total.Add(total, weights[k])
	}
	if sum, _ := total.Float64(); math.Abs(sum-1) > 1e-9 {
		return nil, fmt.Errorf("shares: their sum is %v and must be 1; give the part of fresh data what is left", sum)
	}
	quotas, remainders, left := make([]int, len(shares)), make([]*big.Rat, len(shares)), size
	for k, w := range weights {
		exact := w.Mul(w, new(big.Rat).SetInt64(int64(size)))
		exact.Quo(exact, total)
		whole := new(big.Int).Quo(exact.Num(), exact.Denom())
		quotas[k] = int(whole.Int64())
		left -= quotas[k]
		remainders[k] = exact.Sub(exact, new(big.Rat).SetInt(whole))
	}
	order := make([]int, len(shares))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return remainders[b].Cmp(remainders[a]) })
	for _, k := range order[:left] {
		quotas[k]++
	}
	return quotas, nil
}

// Starts gives the first position of each part, and at its end the sum of the
// quotas.
func Starts(quotas []int) []int {
	starts := make([]int, len(quotas)+1)
	for k, q := range quotas {
		starts[k+1] = starts[k] + q
	}
	return starts
}

// Displace says how many of the last positions of each part are taken over when
// n documents are put in the place of others, in proportion to the quotas: each
// part gives its exact share rounded down or up, hence never more than it has.
// Rounding follows the quota method (Balinski & Young 1975), under which a
// larger n never takes less from any part: what a dose displaces, every higher
// dose displaces too, and all other positions keep their documents. n beyond
// the sum of the quotas displaces everything.
func Displace(quotas []int, n int) []int {
	taken := make([]int, len(quotas))
	total := 0
	for _, q := range quotas {
		total += q
	}
	for h := 1; h <= min(n, total); h++ {
		next := -1
		for k, q := range quotas {
			// Only a part below its exact share of h, taken*total < q*h, may
			// give; among these the one that has given least for its size.
			if !less(taken[k], total, q, h) {
				continue
			}
			if next < 0 || less(quotas[next], taken[k]+1, q, taken[next]+1) {
				next = k
			}
		}
		taken[next]++
	}
	return taken
}

// less tells whether a*b < c*d.
func less(a, b, c, d int) bool { return uint64(a)*uint64(b) < uint64(c)*uint64(d) }
