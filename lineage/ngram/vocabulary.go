package ngram

import (
	"bytes"
	"cmp"
	"math/bits"
	"slices"
)

// vocabulary numbers strings from 1 in the order in which they come. Number 0
// is the end of a turn where it is predicted, and the beginning of a turn where
// it is a context; it has no text.
type vocabulary struct {
	arena []byte
	ends  []uint32 // text i is arena[ends[i-1]:ends[i]]
	slots []slot   // open addressing, a power of two, at most half full
}

type slot struct{ hash, id uint32 } // id 0: free

func newVocabulary() *vocabulary {
	return &vocabulary{ends: []uint32{0}, slots: make([]slot, 1024)}
}

// size counts number 0.
func (v *vocabulary) size() int { return len(v.ends) }

func (v *vocabulary) text(id uint32) []byte {
	if id == 0 {
		return nil
	}
	return v.arena[v.ends[id-1]:v.ends[id]]
}

const (
	hashA = 0x9e3779b97f4a7c15
	hashB = 0xd1b54a32d192ed03
)

func mix(x uint64) uint64 {
	hi, lo := bits.Mul64(x^hashA, hashB)
	return hi ^ lo
}

func hashOf[S string | []byte](s S, seed uint64) uint64 {
	h := seed ^ uint64(len(s))*hashA
	for len(s) >= 8 {
		h = mix(h ^ (uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56))
		s = s[8:]
	}
	var tail uint64
	for i := 0; i < len(s); i++ {
		tail = tail<<8 | uint64(s[i])
	}
	return mix(h ^ tail)
}

// find gives the number of s, or the free slot where it belongs and number 0.
func (v *vocabulary) find(s string) (id uint32, at int, hash uint32) {
	h := hashOf(s, 0)
	hash = uint32(h >> 32)
	mask := len(v.slots) - 1
	for at = int(h) & mask; ; at = (at + 1) & mask {
		slot := v.slots[at]
		if slot.id == 0 || slot.hash == hash && string(v.text(slot.id)) == s {
			return slot.id, at, hash
		}
	}
}

func (v *vocabulary) intern(s string) uint32 {
	id, at, hash := v.find(s)
	if id != 0 {
		return id
	}
	id = uint32(len(v.ends))
	v.arena = append(v.arena, s...)
	v.ends = append(v.ends, uint32(len(v.arena)))
	v.slots[at] = slot{hash, id}
	if 2*len(v.ends) > len(v.slots) {
		v.grow()
	}
	return id
}

func (v *vocabulary) grow() {
	v.slots = make([]slot, 2*len(v.slots))
	mask := len(v.slots) - 1
	for id := 1; id < len(v.ends); id++ {
		h := hashOf(v.text(uint32(id)), 0)
		at := int(h) & mask
		for v.slots[at].id != 0 {
			at = (at + 1) & mask
		}
		v.slots[at] = slot{uint32(h >> 32), uint32(id)}
	}
}

// ordered gives the same texts by falling count and then by their bytes, so
// that numbers do not depend on the order of reading, without those of count
// zero, and the new number of each old one.
func (v *vocabulary) ordered(count []uint32) (*vocabulary, []uint32) {
	ids := make([]uint32, 0, v.size())
	for id := 1; id < v.size(); id++ {
		if count[id] > 0 {
			ids = append(ids, uint32(id))
		}
	}
	slices.SortFunc(ids, func(a, b uint32) int {
		if count[a] != count[b] {
			return cmp.Compare(count[b], count[a])
		}
		return bytes.Compare(v.text(a), v.text(b))
	})
	sorted := &vocabulary{
		arena: make([]byte, 0, len(v.arena)),
		ends:  make([]uint32, 1, v.size()),
		slots: make([]slot, len(v.slots)/2),
	}
	number := make([]uint32, v.size())
	for i, id := range ids {
		number[id] = uint32(i + 1)
		sorted.arena = append(sorted.arena, v.text(id)...)
		sorted.ends = append(sorted.ends, uint32(len(sorted.arena)))
	}
	sorted.grow()
	return sorted, number
}
