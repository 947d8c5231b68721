package detectors

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// literals are strings of which at least one stands, in some case, in every
// match of a pattern. Go's regexp searches case-insensitive patterns and
// alternations byte by byte through its automaton; ruling a text out first is
// some ten times faster, and most texts show no trait.
type literals struct {
	pairs [1 << 16 / 64]uint64 // bits of the first two bytes, folded
	from  map[[2]byte][]string // the literals by their first two bytes, folded
}

// maxLiterals bounds the alternatives worth looking for.
const maxLiterals = 64

// literalsOf is nil where the pattern has no literal of two ASCII characters
// that it cannot do without.
func literalsOf(pattern string) *literals {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	words := required(re.Simplify())
	if len(words) == 0 {
		return nil
	}
	l := &literals{from: map[[2]byte][]string{}}
	for _, w := range words {
		key := [2]byte{w[0], w[1]}
		l.from[key] = append(l.from[key], w)
		n := uint16(w[0])<<8 | uint16(w[1])
		l.pairs[n/64] |= 1 << (n % 64)
	}
	return l
}

// required names folded strings of which every match contains one, or none.
func required(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		w := strings.ToLower(string(re.Rune))
		if len(w) < 2 || strings.ContainsFunc(w, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return nil
		}
		return []string{w}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if words := required(sub); shortest(words) > shortest(best) {
				best = words
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			words := required(sub)
			if len(words) == 0 {
				return nil
			}
			all = append(all, words...)
		}
		if len(all) > maxLiterals {
			return nil
		}
		return all
	}
	return nil
}

func shortest(words []string) int {
	if len(words) == 0 {
		return 0
	}
	least := len(words[0])
	for _, w := range words {
		least = min(least, len(w))
	}
	return least
}

// in tells whether the text may hold a match.
func (l *literals) in(text string) bool {
	for i := 0; i+1 < len(text); i++ {
		a, b := lower[text[i]], lower[text[i+1]]
		if n := uint16(a)<<8 | uint16(b); l.pairs[n/64]&(1<<(n%64)) == 0 {
			continue
		}
		for _, w := range l.from[[2]byte{a, b}] {
			if hasFoldedPrefix(text[i:], w) {
				return true
			}
		}
	}
	// The only runes beyond ASCII that fold to ASCII.
	return strings.Contains(text, "ſ") || strings.Contains(text, "\u212a")
}

func hasFoldedPrefix(s, folded string) bool {
	if len(s) < len(folded) {
		return false
	}
	for i := range len(folded) {
		if lower[s[i]] != folded[i] {
			return false
		}
	}
	return true
}
