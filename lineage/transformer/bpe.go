package transformer

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
)

// maxVocabulary is the largest number of tokens.
const maxVocabulary = 1 << 16

// lexicon counts the distinct pieces of a corpus.
type lexicon map[string]int

func (l lexicon) add(text string) {
	for i := 0; i < len(text); {
		end := pieceEnd(text, i)
		l[text[i:end]]++
		i = end
	}
}

// merger makes merges one after the other. The counts of pairs are kept up to
// date word by word, and only words that hold the merged pair are looked at.
type merger struct {
	words  [][]int32
	times  []int // of each word
	counts map[pair]int
	where  map[pair][]int32 // words that held the pair at some time
	queue  candidates
}

// candidate is a pair with the count that it had when it was queued.
type candidate struct {
	pair
	count int
}

// candidates is a heap: the most frequent pair first, of equals the one with the
// lowest tokens, so that a corpus has one tokenizer.
type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(c[j].count, c[i].count), cmp.Compare(c[i].left, c[j].left), cmp.Compare(c[i].right, c[j].right)) < 0
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// learnMerges gives the merges of a tokenizer of at most size tokens: again and
// again the most frequent pair becomes a token, until no pair occurs twice.
func learnMerges(ctx context.Context, l lexicon, size int) ([]pair, error) {
	m := &merger{counts: map[pair]int{}, where: map[pair][]int32{}}
	pieces := make([]string, 0, len(l))
	for piece := range l {
		pieces = append(pieces, piece)
	}
	slices.Sort(pieces)
	for w, piece := range pieces {
		word := make([]int32, len(piece))
		for i := range word {
			word[i] = firstByte + int32(piece[i])
		}
		m.words, m.times = append(m.words, word), append(m.times, l[piece])
		m.count(int32(w), 1)
	}
	for p, n := range m.counts {
		m.queue = append(m.queue, candidate{p, n})
	}
	heap.Init(&m.queue)
	var merges []pair
	for len(merges) < size-int(firstMerge) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		best, ok := m.best()
		if !ok {
			break
		}
		m.merge(best, firstMerge+int32(len(merges)))
		merges = append(merges, best)
	}
	return merges, nil
}

// count adds the pairs of a word, or with sign -1 takes them away.
func (m *merger) count(w int32, sign int) {
	word := m.words[w]
	for i := range len(word) - 1 {
		p := pair{word[i], word[i+1]}
		m.counts[p] += sign * m.times[w]
		if at := m.where[p]; sign > 0 && (len(at) == 0 || at[len(at)-1] != w) {
			m.where[p] = append(at, w)
		}
	}
}

// best takes the most frequent pair off the queue. A count that has fallen since
// it was queued is queued again as it is now; one that has risen was queued then.
func (m *merger) best() (pair, bool) {
	for len(m.queue) > 0 {
		top := heap.Pop(&m.queue).(candidate)
		now := m.counts[top.pair]
		if now == top.count && now >= 2 {
			return top.pair, true
		}
		if now < top.count && now >= 2 {
			heap.Push(&m.queue, candidate{top.pair, now})
		}
	}
	return pair{}, false
}

func (m *merger) merge(p pair, token int32) {
	grown := map[pair]struct{}{}
	for _, w := range m.where[p] {
		if !holds(m.words[w], p) {
			continue
		}
		m.count(w, -1)
		word := merged(m.words[w], p, token)
		m.words[w] = word
		m.count(w, 1)
		for i, t := range word {
			if t == token && i > 0 {
				grown[pair{word[i-1], t}] = struct{}{}
			}
			if t == token && i+1 < len(word) {
				grown[pair{t, word[i+1]}] = struct{}{}
			}
		}
	}
	for g := range grown {
		heap.Push(&m.queue, candidate{g, m.counts[g]})
	}
	delete(m.where, p)
	delete(m.counts, p)
}

func holds(word []int32, p pair) bool {
	for i := range len(word) - 1 {
		if word[i] == p.left && word[i+1] == p.right {
			return true
		}
	}
	return false
}
