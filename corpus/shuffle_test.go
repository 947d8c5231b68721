package corpus

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"testing"
)

func keyOf(i int) (key [16]byte) {
	binary.LittleEndian.PutUint64(key[:], uint64(i))
	return key
}

func TestShuffleIsBijective(t *testing.T) {
	for n := range 601 {
		s := NewShuffle(keyOf(n), n)
		seen := make([]bool, n)
		for i := range n {
			at := s.At(i)
			if seen[at] {
				t.Fatalf("n = %d: %d comes twice", n, at)
			}
			seen[at] = true
		}
	}
	for _, n := range []int{1 << 16, 1<<20 + 1, 5_000_011} {
		s := NewShuffle(keyOf(n), n)
		seen := make([]uint64, n/64+1)
		for i := range n {
			at := s.At(i)
			if bit := uint64(1) << (at % 64); seen[at/64]&bit != 0 {
				t.Fatalf("n = %d: %d comes twice", n, at)
			} else {
				seen[at/64] |= bit
			}
		}
	}
	const huge = math.MaxInt
	s := NewShuffle(keyOf(1), huge)
	seen := make(map[int]bool)
	for i := range 10_000 {
		at := s.At(huge - 1 - i*i)
		if at < 0 || at >= huge || seen[at] {
			t.Fatalf("n = %d: %d is out of range or comes twice", huge, at)
		}
		seen[at] = true
	}
}

// chiSquare gives the z-score of the chi-square statistic of equally likely
// cells, by Wilson and Hilferty's cube root.
func chiSquare(counts []int) float64 {
	total := 0
	for _, c := range counts {
		total += c
	}
	expected, x := float64(total)/float64(len(counts)), 0.0
	for _, c := range counts {
		x += (float64(c) - expected) * (float64(c) - expected) / expected
	}
	df := float64(len(counts) - 1)
	v := 2 / (9 * df)
	return (math.Cbrt(x/df) - (1 - v)) / math.Sqrt(v)
}

// Where one position goes, and where two neighbours or two distant positions go
// together, is uniform over keys. 45 chi-square tests at |z| < 4.5: a correct
// permutation fails one of them with probability below 4e-4; the keys are fixed.
func TestShuffleIsUniformOverKeys(t *testing.T) {
	for _, n := range []int{2, 3, 4, 5, 7, 8, 16, 17, 31, 33, 64, 65, 129, 257, 600} {
		cells := min(n, 16)
		size := n / cells // positions beyond the last full cell are left out
		single := make([]int, cells)
		near, far := make([]int, cells*cells), make([]int, cells*cells)
		for k := range 40_000 {
			s := NewShuffle(keyOf(k*7919+n), n)
			i := k % n
			a, b, c := s.At(i)/size, s.At((i+1)%n)/size, s.At((i+n/2)%n)/size
			if a >= cells {
				continue
			}
			single[a]++
			if b < cells {
				near[a*cells+b]++
			}
			if c < cells {
				far[a*cells+c]++
			}
		}
		for name, counts := range map[string][]int{"single": single, "near": pairs(near, cells), "far": pairs(far, cells)} {
			if z := chiSquare(counts); math.Abs(z) > 4.5 {
				t.Errorf("n = %d: %s positions are not uniform: z = %.1f", n, name, z)
			}
		}
	}
}

// pairs leaves out the diagonal, which a permutation fills less.
func pairs(counts []int, cells int) []int {
	var out []int
	for i, c := range counts {
		if i/cells != i%cells {
			out = append(out, c)
		}
	}
	return out
}

// Neighbouring keys give unrelated permutations: the number of fixed points of
// one against the other has mean and variance 1. |z| < 4.5 fails with
// probability 7e-6.
func TestNeighbouringKeysShuffleIndependently(t *testing.T) {
	const n, keys = 997, 2000
	fixed := 0
	for k := range keys {
		a, b := NewShuffle(keyOf(k), n), NewShuffle(keyOf(k+1), n)
		for i := range n {
			if a.At(i) == b.At(i) {
				fixed++
			}
		}
	}
	if z := float64(fixed-keys) / math.Sqrt(keys); math.Abs(z) > 4.5 {
		t.Errorf("%d agreements in %d permutations of %d: z = %.1f", fixed, keys, n, z)
	}
}

func TestDrawRepeatsNoDocumentWithinThePool(t *testing.T) {
	const n = 37
	s := NewShuffle(keyOf(3), n)
	for offset := range 3 * n {
		var drawn []int
		for i := range n {
			drawn = append(drawn, s.Draw(offset+i))
		}
		slices.Sort(drawn)
		if len(slices.Compact(drawn)) != n {
			t.Fatalf("positions %d to %d repeat a document", offset, offset+n-1)
		}
	}
}

// The permutation is part of what a seed means: a change of it is a breaking
// change.
func TestShuffleIsPinned(t *testing.T) {
	s := NewShuffle([16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, 1_000_003)
	got := []int{s.At(0), s.At(1), s.At(2), s.At(1_000_002)}
	if want := []int{656021, 201712, 91103, 340635}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func BenchmarkShuffle(b *testing.B) {
	for _, n := range []int{1 << 10, 1<<10 + 1, 1_000_000, 1<<30 + 1} {
		s := NewShuffle(keyOf(1), n)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for i := range b.N {
				sink += s.At(i % n)
			}
		})
	}
}

var sink int
