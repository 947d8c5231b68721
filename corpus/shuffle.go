package corpus

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Shuffle is a pseudo-random permutation of [0, n) that is computed where it is
// asked for and holds no table. It is a Feistel network on the smallest
// power-of-two domain that holds n (Luby & Rackoff 1988; the halves differ by a
// bit where the domain's width is odd), from which values beyond n walk on along
// their cycle until they fall within (Black & Rogaway 2002): fewer than two
// passes on average. It may be used by several goroutines at once.
type Shuffle struct {
	n           uint64
	left, right uint // bits of the halves
	passes      int  // pairs of rounds
	keys        [maxPasses]roundKeys
}

// roundKeys are those of two rounds, one for either half.
type roundKeys struct{ left, right [2]uint64 }

// Eight rounds look uniform by chi-square over 400,000 keys from six bits on;
// halves of one or two bits mix slowly and get more.
const (
	passes    = 4
	maxPasses = 16
	fewBits   = 6
)

// NewShuffle gives the permutation of [0, n) that the key names. It panics when
// n is below 0.
func NewShuffle(key [16]byte, n int) Shuffle {
	if n < 0 {
		panic(fmt.Sprintf("corpus: a shuffle of %d documents", n))
	}
	width := max(2, uint(bits.Len64(uint64(max(n, 1)-1))))
	s := Shuffle{n: uint64(n), left: width / 2, right: width - width/2, passes: passes}
	if width < fewBits {
		s.passes = maxPasses
	}
	a, b := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	next := func() uint64 {
		a += 0x9e3779b97f4a7c15
		b = mix(b ^ mix(a))
		return b
	}
	for i := range s.keys[:s.passes] {
		s.keys[i] = roundKeys{left: [2]uint64{next(), next()}, right: [2]uint64{next(), next()}}
	}
	return s
}

// Len is n.
func (s *Shuffle) Len() int { return int(s.n) }

// At is where the permutation puts i. It panics when i is not within [0, n).
func (s *Shuffle) At(i int) int {
	x := uint64(i)
	if x >= s.n {
		panic(fmt.Sprintf("corpus: position %d of a shuffle of %d documents", i, s.n))
	}
	leftMask, rightMask := uint64(1)<<s.left-1, uint64(1)<<s.right-1
	for {
		l, r := x>>s.right, x&rightMask
		for k := range s.keys[:s.passes] {
			key := &s.keys[k]
			l ^= fold(r^key.left[0], key.left[1]) & leftMask
			r ^= fold(l^key.right[0], key.right[1]) & rightMask
		}
		if x = l<<s.right | r; x < s.n {
			return int(x)
		}
	}
}

// Draw is the document for position i of a part: At(i mod n), so that positions
// beyond the pool start over and any n positions in a row hold every document
// once. It panics where the pool is empty or i is below 0.
func (s *Shuffle) Draw(i int) int {
	if s.n == 0 {
		panic("corpus: a draw from no documents")
	}
	return s.At(i % int(s.n))
}

// fold multiplies to 128 bits and folds the halves together: the round function,
// fast and, keyed in both factors, uneven enough.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// mix is the finalizer of SplitMix64 (Steele, Lea & Flood 2014), whose every
// output bit depends on every input bit.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
