package popgen

import (
	"math"
	"math/rand/v2"
	"testing"
)

// flips is the test by enumeration.
func flips(d []float64) float64 {
	var observed, size float64
	for _, x := range d {
		observed += x
		size += math.Abs(x)
	}
	far := 0
	for signs := range 1 << len(d) {
		s := 0.0
		for i, x := range d {
			if signs>>i&1 == 1 {
				x = -x
			}
			s += x
		}
		if math.Abs(s) >= math.Abs(observed)-1e-12*size {
			far++
		}
	}
	return float64(far) / float64(int(1)<<len(d))
}

func TestSignFlipEqualsEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := 1; n <= 12; n++ {
		for range 20 {
			d := make([]float64, n)
			for i := range d {
				d[i] = r.NormFloat64() + 0.4
				if r.IntN(3) == 0 {
					d[i] = math.Round(4*d[i]) / 60 // ties and zeros, as counts give them
				}
			}
			near(t, "p", SignFlip(d, nil), flips(d), 1e-12)
		}
	}
}

func TestSignFlipAtItsEnds(t *testing.T) {
	near(t, "p of six alike", SignFlip([]float64{.1, .1, .1, .1, .1, .1}, nil), 2.0/64, 0)
	near(t, "p of no difference", SignFlip([]float64{0, 0, 0}, nil), 1, 0)
	near(t, "p of balance", SignFlip([]float64{1, -1}, nil), 1, 0)
	near(t, "p without a NaN", SignFlip([]float64{1, math.NaN(), 2}, nil), 0.5, 0)
	if p := SignFlip(nil, nil); !math.IsNaN(p) {
		t.Errorf("p of nothing = %g", p)
	}
	all := make([]float64, ExactSigns)
	for i := range all {
		all[i] = 1
	}
	near(t, "p of forty alike", SignFlip(all, nil)/math.Ldexp(2, -ExactSigns), 1, 1e-12)
}

func TestSignFlipBeyondTheTable(t *testing.T) {
	// 60 differences of +1 or -1 whose sum is 16: the exact tail is binomial,
	// .0519. Monte Carlo has SE .0007; four SE, false-alarm rate 6e-5.
	d := make([]float64, 60)
	for i := range d {
		d[i] = 1
		if i < 22 {
			d[i] = -1
		}
	}
	exact := 0.0
	for k := 38; k <= 60; k++ {
		lg := func(x int) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
		exact += 2 * math.Exp(lg(60)-lg(k)-lg(60-k)-60*math.Ln2)
	}
	near(t, "Monte Carlo", SignFlip(d, rand.New(rand.NewPCG(5, 6))), exact, 4*0.0007)
	near(t, "normal", SignFlip(d, nil), exact, 0.015)
}

func TestBenjaminiHochbergOfAWorkedExample(t *testing.T) {
	// Ordered p(i)·m/i with the running minimum from above, by hand.
	got := BenjaminiHochberg([]float64{0.04, 0.01, math.NaN(), 0.03, 0.005, 0.9})
	for i, want := range []float64{0.05, 0.025, math.NaN(), 0.05, 0.025, 0.9} {
		if math.IsNaN(want) != math.IsNaN(got[i]) || math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("q[%d] = %g, want %g", i, got[i], want)
		}
	}
}

// kendall is the test by all orders of the values.
func kendall(xs []float64) float64 {
	score := func(v []float64) (s int) {
		for i := range v {
			for j := range i {
				switch {
				case v[j] < v[i]:
					s++
				case v[j] > v[i]:
					s--
				}
			}
		}
		return s
	}
	far := score(xs)
	if far < 0 {
		far = -far
	}
	total, hit := 0, 0
	var walk func(v []float64, k int)
	walk = func(v []float64, k int) {
		if k == len(v) {
			total++
			if s := score(v); s >= far || -s >= far {
				hit++
			}
			return
		}
		for i := k; i < len(v); i++ {
			v[k], v[i] = v[i], v[k]
			walk(v, k+1)
			v[k], v[i] = v[i], v[k]
		}
	}
	walk(append([]float64(nil), xs...), 0)
	return float64(hit) / float64(total)
}

func TestMannKendallEqualsAllOrders(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for n := 2; n <= 7; n++ {
		for range 15 {
			xs := make([]float64, n)
			for i := range xs {
				xs[i] = float64(r.IntN(4)) // ties
			}
			_, p := MannKendall(xs)
			near(t, "p", p, kendall(xs), 1e-12)
		}
	}
}

func TestMannKendallOfGhostTrace(t *testing.T) {
	tau, p := MannKendall(ghostGaps)
	near(t, "tau", tau, -1, 0)
	near(t, "p", p, 2.0/720, 1e-15)
	near(t, "p as published", p, .002778, 5e-7)
}

func TestMannKendallNormalMeetsExact(t *testing.T) {
	// One more value than the exact table holds must hardly move p.
	r := rand.New(rand.NewPCG(9, 10))
	xs := make([]float64, exactRanks+1)
	for i := range xs {
		xs[i] = r.NormFloat64() + 0.015*float64(i)
	}
	_, normal := MannKendall(xs)
	s, groups := 0, tieSizes(xs)
	for i := range xs {
		for j := range i {
			if xs[j] < xs[i] {
				s++
			} else {
				s--
			}
		}
	}
	if s < 0 {
		s = -s
	}
	exact := 2 * lowerTail(groups, (len(xs)*(len(xs)-1)/2-s)/2)
	near(t, "normal / exact", normal/exact, 1, 0.05)
}

func TestKolmogorovSmirnovIsUniformUnderTheLaw(t *testing.T) {
	// P(p <= .05) over 3000 samples of 80 from the law has SE .004; the bound of
	// four SE plus .005 for the asymptotic law has a false-alarm rate below 6e-5.
	r := rand.New(rand.NewPCG(11, 12))
	small := 0
	const rounds = 3000
	for range rounds {
		values := make([]float64, 80)
		for i := range values {
			values[i] = r.Float64()
		}
		if _, p := KolmogorovSmirnov(values, func(x float64) float64 { return x }); p <= 0.05 {
			small++
		}
	}
	near(t, "P(p <= .05)", float64(small)/rounds, 0.05, 4*0.004+0.005)
	d, p := KolmogorovSmirnov([]float64{.9, .91, .92, .93, .94, .95, .96}, func(x float64) float64 { return x })
	near(t, "distance", d, .9, 1e-12)
	if p > 1e-4 {
		t.Errorf("p = %g for a sample far off", p)
	}
}

func TestFisherTastesTea(t *testing.T) {
	// Fisher 1935: three of four cups told right; two-sided 34/70. Four of four: 2/70.
	near(t, "three of four", Fisher(3, 4, 1, 4), 34./70, 1e-12)
	near(t, "four of four", Fisher(4, 4, 0, 4), 2./70, 1e-12)
	near(t, "no difference", Fisher(10, 20, 100, 200), 1, 1e-9)
	for _, c := range [][4]int{{0, 0, 1, 4}, {5, 4, 1, 4}, {-1, 4, 1, 4}} {
		if p := Fisher(c[0], c[1], c[2], c[3]); !math.IsNaN(p) {
			t.Errorf("%v gives %g", c, p)
		}
	}
}
