package ngram

import (
	"errors"
	"math/bits"
	"slices"
)

// maxCorpus bounds a corpus, in pieces and in pieces times their weights, so
// that every count fits 32 bits.
const maxCorpus = 1 << 31

var errTooLarge = errors.New("ngram: the corpus has more than 2^31 pieces, or documents times weights do: train on less")

// scale gives the count of a position of the corpus: the weight of its turn in
// steps of 2^-shift, the finest in which every count fits.
type scale struct {
	shift   uint
	ends    []int // of runs of equal weight
	weights []uint32
}

// heaviest is what the corpus weighs, in steps of 1/weightSteps of a piece.
func (t *texts) heaviest() uint64 {
	sum, token := uint64(0), 0
	for _, p := range t.parts {
		sum += uint64(p.end-token) * uint64(p.weight)
		token = p.end
	}
	return max(sum, uint64(len(t.tokens))*weightSteps)
}

func newScale(t *texts) scale {
	whole := bits.Len(weightSteps) - 1
	halvings := whole
	for _, p := range t.parts {
		halvings = min(halvings, bits.TrailingZeros32(p.weight))
	}
	for heaviest := t.heaviest(); heaviest>>halvings > maxCorpus; {
		halvings++
	}
	s := scale{shift: uint(whole - halvings)}
	for _, p := range t.parts {
		s.ends = append(s.ends, p.end)
		s.weights = append(s.weights, max(1, p.weight>>halvings))
	}
	return s
}

func (s *scale) weight(p uint32) uint32 {
	if len(s.weights) == 1 {
		return s.weights[0]
	}
	i, exact := slices.BinarySearch(s.ends, int(p))
	if exact {
		i++
	}
	return s.weights[i]
}
