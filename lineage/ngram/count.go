package ngram

import (
	"context"
	"slices"
)

// The corpus is read once for each chunk of its positions, which are a
// chunkShare of it or chunkKeys: smaller chunks take time, larger ones memory.
const (
	chunkKeys  = 1 << 20
	chunkShare = 8
)

// counter builds a trie depth first: the positions that share a context are
// sorted by the piece before it, each run of those is a longer context, and
// when these are done their entries are merged into the context's own. A key is
// a position in its low half and what it is sorted by in its high half.
type counter struct {
	trie
	tokens  []uint32
	digits  int      // of a piece's number, in bits
	plain   bool     // plain counts at every level, not numbers of predecessors
	longest bool     // only the longest contexts get entries
	dense   []uint32 // counts of the pieces in the empty context, unless longest
	spare   []uint64
}

// count builds the trie of a corpus.
func count(ctx context.Context, t *texts, order int, plain bool) (*trie, error) {
	c := &counter{tokens: t.tokens, plain: plain, dense: make([]uint32, t.vocab.size()), digits: t.digits()}
	c.levels, c.scale = make([]level, order), newScale(t)
	c.open(0, 0)
	if order == 1 {
		for p := 1; p < len(c.tokens); p++ {
			c.dense[c.tokens[p]] += c.weight(uint32(p))
		}
	} else if err := c.contexts(ctx); err != nil {
		return nil, err
	}
	total := uint32(0)
	for piece, n := range c.dense {
		if n > 0 {
			total += n
			c.enter(&c.levels[0], uint32(piece), n, total)
		}
	}
	c.seal()
	return &c.trie, nil
}

// seal ends the last context of every level.
func (c *counter) seal() {
	for j := range c.levels {
		l := &c.levels[j]
		l.entry = append(l.entry, uint32(len(l.next)))
		if j+1 < len(c.levels) {
			l.child = append(l.child, uint32(len(c.levels[j+1].piece)))
		}
	}
}

// contexts counts all but the empty context, chunk by chunk.
func (c *counter) contexts(ctx context.Context) error {
	at := make([]int, len(c.dense)) // of each piece: the place of its next key
	for _, h := range c.tokens[:len(c.tokens)-1] {
		at[h]++
	}
	chunk := max(chunkKeys, len(c.tokens)/chunkShare)
	var keys []uint64
	for lo := 0; lo < len(at); {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi, n := lo, 0
		for hi < len(at) && (hi == lo || n+at[hi] <= chunk) {
			at[hi], n = n, n+at[hi]
			hi++
		}
		if cap(keys) < n {
			keys = make([]uint64, n)
		}
		keys = keys[:n]
		before := uint32(0)
		for p, h := range c.tokens[:len(c.tokens)-1] {
			if int(h) >= lo && int(h) < hi {
				keys[at[h]] = uint64(before)<<32 | uint64(p+1)
				at[h]++
			}
			before = h
		}
		start := 0
		for h := lo; h < hi; h++ {
			if at[h] > start {
				c.group(1, uint32(h), keys[start:at[h]])
			}
			start = at[h]
		}
		lo = hi
	}
	return nil
}

func (c *counter) open(j int, piece uint32) {
	l := &c.levels[j]
	l.piece = append(l.piece, piece)
	l.entry = append(l.entry, uint32(len(l.next)))
	if j+1 < len(c.levels) {
		l.child = append(l.child, uint32(len(c.levels[j+1].piece)))
	}
}

func (c *counter) enter(l *level, next, n, sum uint32) {
	l.next = append(l.next, next)
	l.sum = append(l.sum, sum)
	l.tally.add(n, c.shift)
}

// group counts the context of j pieces, the most distant of which is given,
// from the positions that follow it, each with the piece before that context in
// its high half. It overwrites the keys.
func (c *counter) group(j int, piece uint32, keys []uint64) {
	c.open(j, piece)
	if j == len(c.levels)-1 || j > 0 && piece == 0 {
		for i, key := range keys {
			p := uint32(key)
			keys[i] = uint64(c.tokens[p])<<32 | uint64(c.weight(p))
		}
		c.close(j, keys)
		return
	}
	c.sort(keys)
	longer := &c.levels[j+1]
	context, entry := len(longer.piece), len(longer.next)
	for start := 0; start < len(keys); {
		h, end := uint32(keys[start]>>32), start+1
		for end < len(keys) && uint32(keys[end]>>32) == h {
			end++
		}
		if j+2 < len(c.levels) && h != 0 {
			for i, key := range keys[start:end] {
				p := uint32(key)
				keys[start+i] = uint64(c.tokens[int(p)-2-j])<<32 | uint64(p)
			}
		}
		c.group(j+1, h, keys[start:end])
		start = end
	}
	if c.longest {
		return
	}
	// There are at most as many entries as there were positions.
	keys = keys[:len(longer.next)-entry]
	if !c.plain {
		for i := range keys {
			keys[i] = uint64(longer.next[entry+i])<<32 | uint64(1)<<c.shift
		}
		c.close(j, keys)
		return
	}
	for i := range keys {
		n := longer.sum[entry+i]
		if context < len(longer.entry) && int(longer.entry[context]) == entry+i {
			context++
		} else {
			n -= longer.sum[entry+i-1]
		}
		keys[i] = uint64(longer.next[entry+i])<<32 | uint64(n)
	}
	c.close(j, keys)
}

// close writes the entries of the context that was opened last at level j, from
// pairs of a piece and a count.
func (c *counter) close(j int, pairs []uint64) {
	c.sort(pairs)
	l, sum := &c.levels[j], uint32(0)
	for start := 0; start < len(pairs); {
		next, n, end := uint32(pairs[start]>>32), uint32(pairs[start]), start+1
		for end < len(pairs) && uint32(pairs[end]>>32) == next {
			n += uint32(pairs[end])
			end++
		}
		sum += n
		c.enter(l, next, n, sum)
		if j == 1 && c.dense != nil {
			if !c.plain {
				n = 1 << c.shift
			}
			c.dense[next] += n
		}
		start = end
	}
}

// sort orders keys by their high half.
func (c *counter) sort(keys []uint64) {
	switch {
	case len(keys) <= 24:
		for i := 1; i < len(keys); i++ {
			key, k := keys[i], i
			for ; k > 0 && keys[k-1] > key; k-- {
				keys[k] = keys[k-1]
			}
			keys[k] = key
		}
	case len(keys) <= 512:
		slices.Sort(keys)
	default:
		c.radix(keys)
	}
}

// radix sorts by digits of at most eleven bits, the least first.
func (c *counter) radix(keys []uint64) {
	if len(c.spare) < len(keys) {
		c.spare = make([]uint64, len(keys))
	}
	passes := max(1, (c.digits+10)/11)
	width := (c.digits + passes - 1) / passes
	from, to := keys, c.spare[:len(keys)]
	for pass := range passes {
		var at [1 << 11]int
		shift, mask := 32+pass*width, uint64(1)<<width-1
		for _, key := range from {
			at[key>>shift&mask]++
		}
		sum := 0
		for i, n := range at[:mask+1] {
			at[i], sum = sum, sum+n
		}
		for _, key := range from {
			d := key >> shift & mask
			to[at[d]] = key
			at[d]++
		}
		from, to = to, from
	}
	if passes%2 == 1 {
		copy(keys, from)
	}
}
