package ngram

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

const (
	assistant = "assistant"
	system    = "system"
	developer = "developer" // another name of system
)

// prompts are those of the trained turns, numbered from 1 by rising hash.
type prompts struct {
	hashes []uint64    // of prompt i+1
	words  *vocabulary // the words of all prompts
	list   []uint32    // the words of prompt after prompt, rising and distinct
	ends   []uint32    // those of prompt i+1 end before ends[i]
}

func (p *prompts) wordsOf(key uint32) []uint32 {
	start := uint32(0)
	if key > 1 {
		start = p.ends[key-2]
	}
	return p.list[start:p.ends[key-1]]
}

// promptOf gives the turns that a reply to these messages depends on: every
// system turn and the last turn that is neither system's nor assistant's.
func promptOf(messages []lineage.Message) []string {
	var turns []string
	last := -1
	for i, m := range messages {
		switch m.Role {
		case system, developer:
			turns = append(turns, m.Content)
		case assistant:
		default:
			last = i
		}
	}
	if last >= 0 {
		turns = append(turns, messages[last].Content)
	}
	return turns
}

func promptHash(turns []string) uint64 {
	h := uint64(len(turns))
	for _, t := range turns {
		h = hashOf(t, h)
	}
	return h
}

// eachWord yields the words of a prompt in lower case, white space and
// punctuation left out.
func eachWord(turns []string, yield func(string)) {
	for _, text := range turns {
		for i := 0; i < len(text); {
			end := pieceEnd(text, i)
			piece := strings.TrimPrefix(text[i:end], " ")
			if piece != "" {
				if kind, _ := classAt(piece, 0); kind == word || kind == symbol {
					yield(strings.ToLower(piece))
				}
			}
			i = end
		}
	}
}

type promptIntake struct {
	prompts
	known map[uint64]uint32
}

func newPromptIntake() *promptIntake {
	return &promptIntake{prompts{words: newVocabulary()}, map[uint64]uint32{}}
}

func (in *promptIntake) addBase(base *prompts) {
	for id := 1; id < base.words.size(); id++ {
		in.words.intern(string(base.words.text(uint32(id))))
	}
	in.hashes = append(in.hashes, base.hashes...)
	in.list = append(in.list, base.list...)
	in.ends = append(in.ends, base.ends...)
	for i, h := range in.hashes {
		in.known[h] = uint32(i + 1)
	}
}

func (in *promptIntake) key(before []lineage.Message) uint32 {
	turns := promptOf(before)
	if len(turns) == 0 {
		return 0
	}
	hash := promptHash(turns)
	key, ok := in.known[hash]
	if !ok {
		start := len(in.list)
		eachWord(turns, func(w string) { in.list = append(in.list, in.words.intern(w)) })
		slices.Sort(in.list[start:])
		in.list = in.list[:start+len(slices.Compact(in.list[start:]))]
		in.ends = append(in.ends, uint32(len(in.list)))
		in.hashes = append(in.hashes, hash)
		key = uint32(len(in.hashes))
		in.known[hash] = key
	}
	return key
}

// ordered gives the prompts that are used, by rising hash, and the new number
// of each old one.
func (in *promptIntake) ordered(used []bool) (*prompts, []uint32) {
	count := make([]uint32, in.words.size())
	order := make([]uint32, 0, len(in.hashes))
	for key := uint32(1); int(key) < len(used); key++ {
		if used[key] {
			order = append(order, key)
			for _, w := range in.wordsOf(key) {
				count[w]++
			}
		}
	}
	words, number := in.words.ordered(count)
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Compare(in.hashes[a-1], in.hashes[b-1]) })
	p := &prompts{words: words, list: make([]uint32, 0, len(in.list))}
	keys := make([]uint32, len(used))
	for i, old := range order {
		keys[old] = uint32(i + 1)
		start := len(p.list)
		for _, w := range in.wordsOf(old) {
			p.list = append(p.list, number[w])
		}
		slices.Sort(p.list[start:])
		p.ends = append(p.ends, uint32(len(p.list)))
		p.hashes = append(p.hashes, in.hashes[old-1])
	}
	return p, keys
}

// exact gives the prompt of this very text, 0 for none.
func (p *prompts) exact(turns []string) uint32 {
	if i, ok := slices.BinarySearch(p.hashes, promptHash(turns)); ok {
		return uint32(i + 1)
	}
	return 0
}

// overlapBar is the least overlap at which an unknown prompt is taken for a
// trained one.
const overlapBar = 0.5

// postings finds the trained prompts that hold a word.
type postings struct {
	*prompts
	keys []uint32 // of word w: keys[ends[w-1]:ends[w]], rising
	ends []uint32
}

func newPostings(p *prompts) *postings {
	ends := make([]uint32, p.words.size())
	for _, w := range p.list {
		ends[w]++
	}
	for w := 1; w < len(ends); w++ {
		ends[w] += ends[w-1]
	}
	keys := make([]uint32, len(p.list))
	at := slices.Clone(ends)
	for key := uint32(len(p.hashes)); key > 0; key-- {
		for _, w := range p.wordsOf(key) {
			at[w]--
			keys[at[w]] = key
		}
	}
	return &postings{p, keys, ends}
}

// idf of a word is ln(1 + N/df): N prompts of which df hold it, and at least 1.
func (p *postings) idf(w uint32) float64 {
	df := 1.0
	if w != 0 {
		df = float64(p.ends[w] - p.ends[w-1])
	}
	return math.Log1p(float64(len(p.hashes)) / df)
}

// nearest gives the trained prompt with the greatest overlap, the sum of the
// idf of the shared words over that of the words of either (Jaccard's index,
// weighted), if that is at least overlapBar, and 0 for none. The lower number
// wins a tie.
func (p *postings) nearest(turns []string) uint32 {
	known, unknown := map[uint32]bool{}, map[string]bool{}
	eachWord(turns, func(w string) {
		if id, _, _ := p.words.find(w); id != 0 {
			known[id] = true
		} else {
			unknown[w] = true
		}
	})
	words := make([]uint32, 0, len(known))
	for id := range known {
		words = append(words, id)
	}
	slices.SortFunc(words, func(a, b uint32) int { return cmp.Compare(b, a) }) // rarest first
	total := float64(len(unknown)) * p.idf(0)
	for _, w := range words {
		total += p.idf(w)
	}
	best, bestOverlap, tried := uint32(0), overlapBar, map[uint32]bool{}
	rest := total - float64(len(unknown))*p.idf(0)
	for _, w := range words {
		// A prompt that holds none of the words so far shares at most the rest.
		if rest < bestOverlap*total {
			break
		}
		rest -= p.idf(w)
		for _, key := range p.keys[p.ends[w-1]:p.ends[w]] {
			if tried[key] {
				continue
			}
			tried[key] = true
			overlap := p.overlap(words, total, key)
			if overlap > bestOverlap || overlap == bestOverlap && (best == 0 || key < best) {
				best, bestOverlap = key, overlap
			}
		}
	}
	return best
}

// overlap of the words of a request (falling, of idf total with the unknown
// ones) and those of a trained prompt.
func (p *postings) overlap(words []uint32, total float64, key uint32) float64 {
	theirs := p.wordsOf(key)
	shared, union := 0.0, total
	i := len(words) - 1
	for _, w := range theirs {
		for i >= 0 && words[i] < w {
			i--
		}
		if i >= 0 && words[i] == w {
			shared += p.idf(w)
		} else {
			union += p.idf(w)
		}
	}
	return shared / union
}
