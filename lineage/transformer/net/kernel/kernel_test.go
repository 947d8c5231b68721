package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// arena hands out slices that end at a word which nothing may write to.
type arena struct {
	t      *testing.T
	chance *rand.Rand
	given  [][]float32
}

const canary = 0x7fc0dead

func newArena(t *testing.T, seed uint64) *arena {
	return &arena{t: t, chance: rand.New(rand.NewPCG(seed, 1))}
}

func (a *arena) slice(n int) []float32 {
	s := make([]float32, n+2*Lanes)
	for i := range s {
		s[i] = math.Float32frombits(canary)
		if i >= Lanes && i < Lanes+n {
			s[i] = float32(a.chance.NormFloat64())
		}
	}
	a.given = append(a.given, s)
	return s[Lanes : Lanes+n : Lanes+n]
}

func (a *arena) check(what string) {
	a.t.Helper()
	for _, s := range a.given {
		for i, x := range s {
			if inside := i >= Lanes && i < len(s)-Lanes; !inside && math.Float32bits(x) != canary {
				a.t.Fatalf("%s wrote outside of a slice of %d at %d", what, len(s)-2*Lanes, i-Lanes)
			}
		}
	}
}

// under runs f with every set of kernels on equal memory and holds the results of
// each against those of plain Go, and those of sets of one arithmetic against each
// other, bit by bit.
func under(t *testing.T, what string, seed uint64, tolerance float64, f func(a *arena) [][]float32) {
	t.Helper()
	before := Name()
	defer Use(before)
	results := map[string][][]float32{}
	arithmetic := map[string]string{}
	for _, name := range Names() {
		if err := Use(name); err != nil {
			t.Fatal(err)
		}
		a := newArena(t, seed)
		results[name] = f(a)
		a.check(name + ": " + what)
		arithmetic[name] = Arithmetic()
	}
	for name, got := range results {
		for i, part := range got {
			for j, x := range part {
				want := results["go"][i][j]
				if off := math.Abs(float64(x) - float64(want)); !(off <= tolerance*(1+math.Abs(float64(want)))) {
					t.Fatalf("%s: %s: result %d has %v at %d, plain Go has %v", name, what, i, x, j, want)
				}
			}
		}
		for other := range results {
			if arithmetic[other] == arithmetic[name] && !slices.EqualFunc(got, results[other], sameBits) {
				t.Errorf("%s: %s and %s differ", what, name, other)
			}
		}
	}
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

func TestProductsAgree(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for trial := range 300 {
		m, n, k := 1+chance.IntN(30), 1+chance.IntN(70), 1+chance.IntN(40)
		transposeA, transposeB, add := trial%2 == 1, trial/2%2 == 1, trial/4%2 == 1
		what := fmt.Sprintf("product %d×%d×%d, transposed %v %v, added %v", m, n, k, transposeA, transposeB, add)
		gap := chance.IntN(3)
		under(t, what, uint64(trial), 1e-5, func(a *arena) [][]float32 {
			left := Matrix{a.slice((m-1)*(k+gap) + k), k + gap, 1}
			if transposeA {
				left = Matrix{a.slice((k-1)*(m+gap) + m), 1, m + gap}
			}
			right := Matrix{a.slice((k-1)*(n+gap) + n), n + gap, 1}
			if transposeB {
				right = Matrix{a.slice((n-1)*(k+gap) + k), 1, k + gap}
			}
			c := a.slice((m-1)*(n+gap) + n)
			before := slices.Clone(c)
			var p Packed
			p.Pack(right, k, n)
			Mul(c, n+gap, left, m, p, add)
			for i := range m {
				for j := range n {
					want := 0.0
					if add {
						want = float64(before[i*(n+gap)+j])
					}
					for l := range k {
						want += float64(left.Data[i*left.Row+l*left.Col]) * float64(right.Data[l*right.Row+j*right.Col])
					}
					if got := float64(c[i*(n+gap)+j]); math.Abs(got-want) > 2e-5*(1+math.Abs(want)) {
						t.Fatalf("%s: %s: (%d, %d) is %v, not %v", Name(), what, i, j, got, want)
					}
				}
				if i < m-1 && !sameBits(c[i*(n+gap)+n:][:gap], before[i*(n+gap)+n:][:gap]) {
					t.Fatalf("%s: %s: wrote between rows", Name(), what)
				}
			}
			return [][]float32{c}
		})
	}
}

func TestPackedMatricesCanBeFilledAndCut(t *testing.T) {
	under(t, "a packed matrix filled by rows and by columns", 3, 1e-6, func(a *arena) [][]float32 {
		const k, n = 9, 71
		b := Matrix{a.slice(k * n), n, 1}
		var whole Packed
		whole.Pack(b, k, n)
		rows, columns := NewPacked(k, n, nil), NewPacked(k, n, nil)
		for i := range k {
			rows.SetRow(i, b.Data[i*n:][:n])
		}
		for j := range n {
			var column []float32
			for i := range k {
				column = append(column, b.Data[i*n+j])
			}
			columns.SetColumn(j, column)
		}
		if !sameBits(rows.data, whole.data) || !sameBits(columns.data, whole.data) {
			t.Fatal("it is not what Pack makes")
		}
		x := Matrix{a.slice(k), k, 1}
		c, part := a.slice(n), a.slice(n)
		Mul(c, n, x, 1, whole.Rows(5), false)
		cut := whole.Rows(5).Columns(33)
		Mul(part, n, x, 1, cut, false)
		if !sameBits(c[:cut.N], part[:cut.N]) {
			t.Fatal("a cut changes the product")
		}
		return [][]float32{c}
	})
}

func TestRowsAgree(t *testing.T) {
	for n := 1; n < 70; n++ {
		for name, f := range map[string]func(a *arena) [][]float32{
			"softmax": func(a *arena) [][]float32 {
				x := a.slice(n)
				top, sum := Softmax(x, 1.7)
				return [][]float32{x, {top, sum}}
			},
			"softmaxGrad": func(a *arena) [][]float32 {
				p, dx := a.slice(n), a.slice(n)
				Softmax(p, 1)
				SoftmaxGrad(dx, p, .3)
				return [][]float32{dx}
			},
			"norm": func(a *arena) [][]float32 {
				y, x, gain, bias := a.slice(n), a.slice(n), a.slice(n), a.slice(n)
				x[0] += 3
				mean, scale := Norm(y, x, gain, bias)
				if n == 1 {
					return [][]float32{{mean}} // no spread
				}
				return [][]float32{y, {mean, scale}}
			},
			"normGrad": func(a *arena) [][]float32 {
				dx, dy, x, gain, dgain, dbias := a.slice(n), a.slice(n), a.slice(n), a.slice(n), a.slice(n), a.slice(n)
				NormGrad(dx, dy, x, gain, dgain, dbias, .2, 1.3)
				return [][]float32{dx, dgain, dbias}
			},
			"gelu": func(a *arena) [][]float32 {
				y, x, dx := a.slice(n), a.slice(n), a.slice(n)
				for i := range x {
					x[i] *= 4
				}
				GELU(y, x)
				GELUGrad(dx, x)
				return [][]float32{y, dx}
			},
			"add and scale": func(a *arena) [][]float32 {
				y, x := a.slice(n), a.slice(n)
				Add(y, x)
				Scale(y, -.7)
				return [][]float32{y}
			},
			"squares": func(a *arena) [][]float32 {
				return [][]float32{{float32(Squares(a.slice(n)))}}
			},
			"adam": func(a *arena) [][]float32 {
				p, g, m, v := a.slice(n), a.slice(n), a.slice(n), a.slice(n)
				for i := range v {
					v[i] *= v[i]
				}
				AdamW(p, g, m, v, Adam{Clip: .5, Beta1: .9, Beta2: .95, Epsilon: 1e-8, Keep: .99, Step: .01, Root: 2})
				return [][]float32{p, m, v}
			},
		} {
			under(t, fmt.Sprintf("%s of %d", name, n), uint64(n), 2e-5, f)
		}
	}
}

func TestExtremesStayWhatTheyAre(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	before := Name()
	defer Use(before)
	for _, name := range Names() {
		if err := Use(name); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{3, 16, 21, 40} {
			for at := range n {
				x := make([]float32, n)
				x[at] = nan
				if _, sum := Softmax(x, 1); sum == sum {
					t.Errorf("%s: a NaN at %d of %d is lost: %v", name, at, n, sum)
				}
				x = make([]float32, n)
				for i := range x {
					x[i] = -1e30
				}
				x[at] = 1e4
				if top, sum := Softmax(x, 1); x[at] != 1 || top != 1e4 || sum != 1 || x[(at+1)%n] != 0 {
					t.Errorf("%s: the softmax of one large element of %d is %v, its sum %v", name, n, x[at], sum)
				}
			}
			y, x := make([]float32, n), make([]float32, n)
			for i := range x {
				x[i] = []float32{nan, 1e20, -1e20, 100, -100, 0, inf}[i%7]
			}
			GELU(y, x)
			for i, want := range []float32{nan, 1e20, 0, 100, 0, 0, inf} {
				if i < n && (y[i] == y[i] || want == want) && math.Abs(float64(y[i]-want)) > 1e-10 && y[i] != want {
					t.Errorf("%s: GELU(%v) is %v", name, x[i], y[i])
				}
			}
		}
	}
}

func TestUnknownKernelsAreRefused(t *testing.T) {
	if _, err := choose("sse"); err == nil || !slices.Contains(Names(), "go") {
		t.Errorf("%v; there are %v", err, Names())
	}
}

func BenchmarkMul(b *testing.B) {
	for _, c := range []struct {
		m, n, k   int
		transpose bool
	}{
		{256, 384, 128, false}, {256, 512, 128, false}, {256, 128, 512, false}, {128, 512, 256, true}, {512, 128, 256, true},
		{32, 128, 32, false}, {64, 1024, 128, false},
	} {
		for _, name := range Names()[:len(Names())-1] {
			b.Run(fmt.Sprintf("%s/%dx%dx%d/%v", name, c.m, c.n, c.k, c.transpose), func(b *testing.B) {
				before := Name()
				defer Use(before)
				if err := Use(name); err != nil {
					b.Fatal(err)
				}
				left := Matrix{make([]float32, c.m*c.k), c.k, 1}
				if c.transpose {
					left = Matrix{left.Data, 1, c.m}
				}
				var p Packed
				p.Pack(Matrix{make([]float32, c.k*c.n), c.n, 1}, c.k, c.n)
				out := make([]float32, c.m*c.n)
				for b.Loop() {
					Mul(out, c.n, left, c.m, p, false)
				}
				b.ReportMetric(2*float64(c.m*c.n*c.k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
