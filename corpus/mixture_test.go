package corpus

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestQuotasRoundTheLargestRemaindersUpAndTiesInOrder(t *testing.T) {
	for _, c := range []struct {
		size   int
		shares []float64
		want   []int
	}{
		{10, []float64{0.5, 0.3, 0.2}, []int{5, 3, 2}},
		{10, []float64{0.15, 0.35, 0.5}, []int{2, 3, 5}},
		{50, []float64{0.07, 0.03, 0.9}, []int{4, 1, 45}}, // 0.07*50 is above 3.5 in floating point
		{100, []float64{0.29, 0.71}, []int{29, 71}},       // 0.29*100 is below 29 in floating point
		{10, []float64{1.0 / 3, 1.0 / 3, 1.0 / 3}, []int{4, 3, 3}},
		{1, []float64{0, 0.5, 0.5}, []int{0, 1, 0}},
		{0, []float64{0.5, 0.5}, []int{0, 0}},
		{7, []float64{1}, []int{7}},
	} {
		got, err := Quotas(c.size, c.shares)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("Quotas(%d, %v) = %v, %v; want %v", c.size, c.shares, got, err, c.want)
		}
	}
}

func TestQuotasSumToSizeAndStayWithinOneOfTheShare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		shares, sum := make([]float64, 1+r.IntN(9)), 0.0
		for k := range shares {
			shares[k] = r.Float64() * float64(r.IntN(3))
			sum += shares[k]
		}
		if sum == 0 {
			shares[0], sum = 1, 1
		}
		for k := range shares {
			shares[k] /= sum
		}
		size := r.IntN(1 << (1 + r.IntN(40)))
		quotas, err := Quotas(size, shares)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for k, q := range quotas {
			total += q
			exact := new(big.Float).Mul(big.NewFloat(shares[k]), big.NewFloat(float64(size)))
			x, _ := exact.Float64()
			if q < 0 || math.Abs(float64(q)-x) > 1+1e-6*x || shares[k] == 0 && q != 0 {
				t.Fatalf("part %d of %v: %d of %d", k, shares, q, size)
			}
		}
		if total != size {
			t.Fatalf("quotas %v sum to %d, not %d", quotas, total, size)
		}
	}
}

func TestQuotasRefuseSharesThatAreNone(t *testing.T) {
	for want, shares := range map[string][]float64{
		"share of part 1: NaN":      {1, math.NaN()},
		"share of part 0: +Inf":     {math.Inf(1)},
		"share of part 1: -0.1":     {1, -0.1},
		"share of part 0: 1.3":      {1.3},
		"their sum is 0.9":          {0.5, 0.4},
		"their sum is 0 ":           {},
		"their sum is 1.0000000020": {0.5, 0.500000002},
	} {
		if _, err := Quotas(10, shares); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(want, "0")) {
			t.Errorf("Quotas(10, %v): %v, want %q", shares, err, want)
		}
	}
	if _, err := Quotas(-1, []float64{1}); err == nil {
		t.Error("a size below 0 was accepted")
	}
}

// A larger dose displaces what a smaller one does and more; each part gives its
// exact share of the dose, rounded down or up.
func TestDisplaceIsProportionalAndNested(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		quotas, total := make([]int, 1+r.IntN(7)), 0
		for k := range quotas {
			quotas[k] = r.IntN(40) * r.IntN(3)
			total += quotas[k]
		}
		last := make([]int, len(quotas))
		for n := 0; n <= total+2; n++ {
			got := Displace(quotas, n)
			sum := 0
			for k, g := range got {
				sum += g
				exact := 0.0
				if total > 0 {
					exact = float64(min(n, total)) * float64(quotas[k]) / float64(total)
				}
				if g < last[k] || g > quotas[k] || float64(g) < math.Floor(exact-1e-9) || float64(g) > math.Ceil(exact+1e-9) {
					t.Fatalf("Displace(%v, %d) = %v after %v", quotas, n, got, last)
				}
			}
			if sum != min(n, total) {
				t.Fatalf("Displace(%v, %d) = %v, which are %d", quotas, n, got, sum)
			}
			last = got
		}
	}
	if got := Displace([]int{50, 30, 20}, 10); !slices.Equal(got, []int{5, 3, 2}) {
		t.Errorf("Displace = %v", got)
	}
	if got := Displace([]int{5}, -3); got[0] != 0 {
		t.Errorf("a dose below 0 displaces %v", got)
	}
}

func TestStartsAreWherePartsBegin(t *testing.T) {
	if got := Starts([]int{3, 0, 4}); !slices.Equal(got, []int{0, 3, 3, 7}) {
		t.Errorf("got %v", got)
	}
}

func BenchmarkDisplace(b *testing.B) {
	for range b.N {
		Displace([]int{400_000, 300_000, 200_000, 100_000}, 100_000)
	}
}
