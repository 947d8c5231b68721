package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// stream is the randomness of one purpose at one node: a family of independent
// generators by index. It is ChaCha8 keyed by the digest of what the randomness
// is about, so neither order nor parallelism, retries, resumption or any other
// decision can change a draw, and two worlds that differ in one intervention
// differ only downstream of it. Every generator of heirloom is made here.
type stream struct{ key [24]byte }

// at names the randomness of one purpose: seed, purpose, line, replicate and
// generation, in an encoding in which no two differ and read alike.
func at(seed uint64, purpose, line string, replicate, generation int) stream {
	b := make([]byte, 0, 128)
	b = binary.LittleEndian.AppendUint64(b, seed)
	for _, s := range [...]string{purpose, line} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendVarint(b, int64(replicate))
	b = binary.AppendVarint(b, int64(generation))
	sum := sha256.Sum256(b)
	return stream{[24]byte(sum[:24])}
}

// rand gives the generator of one index.
func (s stream) rand(index int) *rand.Rand {
	var key [32]byte
	copy(key[:], s.key[:])
	binary.LittleEndian.PutUint64(key[24:], uint64(index))
	return rand.New(rand.NewChaCha8(key))
}

// float gives one number in [0,1) of an index, where a decision needs no more: a
// hundredth of the price of a generator. The key and the index go through three
// rounds of the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func (s stream) float(index int) float64 {
	x := uint64(index) * 0x9e3779b97f4a7c15
	for i := 0; i < len(s.key); i += 8 {
		x ^= binary.LittleEndian.Uint64(s.key[i:])
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	return float64(x>>11) / (1 << 53)
}

// seeds fills dst with the seeds of requests first, first+1, … A request's seed
// depends on its index alone: seeds come in blocks, each from a generator of
// its own.
func (s stream) seeds(first int, dst []uint64) {
	const block = 1024
	for len(dst) > 0 {
		r := s.rand(first / block)
		for range first % block {
			r.Uint64()
		}
		n := min(block-first%block, len(dst))
		for i := range dst[:n] {
			dst[i] = r.Uint64()
		}
		first, dst = first+n, dst[n:]
	}
}

// pair is the key of a permutation.
func (s stream) pair() [16]byte { return [16]byte(s.key[:16]) }
