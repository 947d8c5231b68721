package detectors

import (
	"fmt"
	"unicode/utf8"
)

// phrases finds many words and phrases at once: a trie over folded bytes that
// is entered at the start of each word only, so most words of a text cost one
// or two steps.
type phrases struct{ nodes []phraseNode }

// phraseNode has links for the next byte, for "the rest of the word, whatever
// it is" and for "the next word"; 0 is no link. entry is 1 + the number of the
// entry that ends here.
type phraseNode struct {
	edges             []phraseEdge
	table             *[256]int32 // replaces a long list of edges
	rest, next, entry int32
}

type phraseEdge struct {
	b  byte
	to int32
}

// longList is the number of edges from which on a table is worth its kilobyte.
const longList = 8

func (n *phraseNode) step(b byte) int32 {
	if n.table != nil {
		return n.table[b]
	}
	for _, e := range n.edges {
		if e.b == b {
			return e.to
		}
	}
	return 0
}

func (n *phraseNode) link(b byte, to int32) {
	n.edges = append(n.edges, phraseEdge{b, to})
	if n.table == nil && len(n.edges) == longList {
		n.table = new([256]int32)
	}
	if n.table != nil {
		for _, e := range n.edges {
			n.table[e.b] = e.to
		}
	}
}

func newPhrases() *phrases { return &phrases{nodes: make([]phraseNode, 1)} }

func (p *phrases) grow() int32 {
	p.nodes = append(p.nodes, phraseNode{})
	return int32(len(p.nodes) - 1)
}

// add enters one word or phrase and returns the number under which it is
// found: that of the same entry, if it was added before. A * that ends a word
// stands for any ending of it, the empty one included.
func (p *phrases) add(entry string, number int) (int, error) {
	at := int32(0)
	for i := 0; ; {
		start, end := NextWord(entry, i)
		if start == len(entry) {
			break
		}
		if i > 0 {
			at = p.linkNext(at)
		}
		for _, b := range AppendFold(nil, entry[start:end]) {
			at = p.linkByte(at, b)
		}
		if end < len(entry) && entry[end] == '*' {
			at = p.linkRest(at)
			end++
		}
		i = end
	}
	if at == 0 {
		return 0, fmt.Errorf("%q holds no word", entry)
	}
	if p.nodes[at].entry == 0 {
		p.nodes[at].entry = int32(number + 1)
	}
	return int(p.nodes[at].entry - 1), nil
}

func (p *phrases) linkByte(at int32, b byte) int32 {
	if to := p.nodes[at].step(b); to != 0 {
		return to
	}
	to := p.grow()
	p.nodes[at].link(b, to)
	return to
}

func (p *phrases) linkRest(at int32) int32 {
	if p.nodes[at].rest == 0 {
		to := p.grow()
		p.nodes[at].rest = to
	}
	return p.nodes[at].rest
}

func (p *phrases) linkNext(at int32) int32 {
	if p.nodes[at].next == 0 {
		to := p.grow()
		p.nodes[at].next = to
	}
	return p.nodes[at].next
}

// each calls found for every entry in s, leftmost first, the longest of those
// that start together, none overlapping.
func (p *phrases) each(s string, found func(start, end, entry int)) {
	for i := 0; ; {
		start, end := NextWord(s, i)
		if start == len(s) {
			return
		}
		i = end
		if c := s[start]; c < utf8.RuneSelf && p.nodes[0].step(lower[c]) == 0 {
			continue
		}
		if to, entry := p.longest(s, 0, start, end); entry > 0 {
			found(start, to, int(entry-1))
			i = to
		}
	}
}

// longest follows the word s[start:end] from a node and returns where the
// longest entry ends, and 1 + its number, or 0.
func (p *phrases) longest(s string, at int32, start, end int) (to int, entry int32) {
	keep := func(t int, e int32) {
		if e > 0 && t >= to {
			to, entry = t, e
		}
	}
	for i := start; ; {
		if rest := p.nodes[at].rest; rest != 0 {
			keep(p.finish(s, rest, end))
		}
		if i == end {
			keep(p.finish(s, at, end))
			return to, entry
		}
		n := 1
		if c := s[i]; c < utf8.RuneSelf {
			at = p.nodes[at].step(lower[c])
		} else {
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			at = p.stepRune(at, foldRune(r))
		}
		if at == 0 {
			return to, entry
		}
		i += n
	}
}

func (p *phrases) stepRune(at int32, r rune) int32 {
	if r < 0 {
		return at
	}
	var buf [utf8.UTFMax]byte
	for _, b := range buf[:utf8.EncodeRune(buf[:], r)] {
		if at = p.nodes[at].step(b); at == 0 {
			return 0
		}
	}
	return at
}

// finish ends a word at a node: its own entry, or a longer one that goes on
// with the next word.
func (p *phrases) finish(s string, at int32, end int) (int, int32) {
	node := &p.nodes[at]
	if node.next != 0 {
		from, to := NextWord(s, end)
		if from < len(s) && joined(s[end:from]) {
			if t, e := p.longest(s, node.next, from, to); e > 0 {
				return t, e
			}
		}
	}
	return end, node.entry
}
