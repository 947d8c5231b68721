package ngram

// trie holds the counts. Level j has the contexts of j pieces, or fewer where
// the turn begins within them, ordered by their pieces read backwards: the
// contexts that prolong one into the past stand together.
type trie struct {
	levels []level
	scale
}

// level is slices of numbers and no pointers: the collector does not scan it.
type level struct {
	piece []uint32  // of context i: its most distant piece
	child []uint32  // it is prolonged by contexts child[i] to child[i+1] of the next level
	entry []uint32  // its entries are entry[i] to entry[i+1]
	gamma []float32 // the mass that its discounts free
	next  []uint32  // of an entry: the piece that follows, rising within a context
	sum   []uint32  // the counts of this entry and of those before it in the context
	rule  rule
	tally tally
}

// entries gives the pieces that follow context i and their running counts.
func (l *level) entries(i uint32) (next, sum []uint32) {
	lo, hi := l.entry[i], l.entry[i+1]
	return l.next[lo:hi:hi], l.sum[lo:hi:hi]
}

// reset empties a level and keeps its memory and its tally.
func (l *level) reset() {
	l.piece, l.child, l.entry, l.gamma = l.piece[:0], l.child[:0], l.entry[:0], l.gamma[:0]
	l.next, l.sum = l.next[:0], l.sum[:0]
}

// countAt is the count of the entry at place i of running counts.
func countAt(sum []uint32, i int) uint32 {
	if i == 0 {
		return sum[0]
	}
	return sum[i] - sum[i-1]
}

// search gives the first place whose number is at least x.
func search(a []uint32, x uint32) int {
	lo, n := 0, len(a)
	for n > 0 {
		half := n / 2
		if a[lo+half] < x {
			lo += half + 1
			n -= half + 1
		} else {
			n = half
		}
	}
	return lo
}

// path finds the contexts of a history, the longest last: at[j] is the context
// of level j for j up to the depth that is returned. The history begins with 0;
// its pieces need not be known.
func (t *trie) path(history []uint32, at *[maxOrder]uint32) int {
	at[0] = 0
	i, deepest := uint32(0), min(len(t.levels)-1, len(history))
	for j := range deepest {
		child := t.levels[j].child[i : i+2]
		pieces := t.levels[j+1].piece[child[0]:child[1]]
		h := history[len(history)-1-j]
		// In a whole corpus every piece is followed by something: level 1 has all.
		k := int(min(h, uint32(len(pieces))))
		if k == len(pieces) || pieces[k] != h {
			if k = search(pieces, h); k == len(pieces) || pieces[k] != h {
				return j
			}
		}
		i = child[0] + uint32(k)
		at[j+1] = i
	}
	return deepest
}

// tally counts the entries of a level by their count: tally[k] of count k,
// rounded and at least 1, the last of everything above.
type tally [6]int

func (n *tally) add(count uint32, shift uint) {
	k := (uint64(count) + 1<<shift>>1) >> shift
	n[min(max(k, 1), uint64(len(n)-1))]++
}

// rule is the discount of a count of 0, 1, 2 and at least 3 documents.
type rule [4]float64

// rule estimates the discounts; the package comment has the formulas.
func (n tally) rule() rule {
	n1, n2, n3, n4 := float64(n[1]), float64(n[2]), float64(n[3]), float64(n[4])
	if n1 == 0 || n2 == 0 {
		return rule{0, 0.5, 1, 1.5}
	}
	y := n1 / (n1 + 2*n2)
	if n3 > 0 && n4 > 0 {
		r := rule{0, 1 - 2*y*n2/n1, 2 - 3*y*n3/n2, 3 - 4*y*n4/n3}
		if 0 < r[1] && 0 < r[2] && r[2] <= 2 && 0 < r[3] && r[3] <= 3 {
			return r
		}
	}
	return rule{0, y, y, y}
}

// of is the discount, in steps, of a count in steps; between whole documents it
// is interpolated.
func (r *rule) of(count uint32, shift uint) float64 {
	k := count >> shift
	if k >= 3 {
		return r[3] * float64(uint32(1)<<shift)
	}
	rest := float64(count & (1<<shift - 1))
	return r[k]*(float64(uint32(1)<<shift)-rest) + r[k+1]*rest
}
