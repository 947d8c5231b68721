package transformer

import (
	"errors"
	"fmt"
	"math"
)

// Tokens that no text can spell: the end of a turn and the roles that open one.
// Then come the 256 bytes, and after them the merges.
const (
	endOfTurn int32 = iota
	systemTurn
	userTurn
	assistantTurn
	firstByte
	firstMerge = firstByte + 256
)

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// tokenizer is byte-level byte-pair encoding (Sennrich, Haddow and Birch 2016;
// over bytes, Radford et al. 2019): any text is representable, and decoding
// gives it back byte for byte. It never changes once it is made.
type tokenizer struct {
	merges []pair         // the k-th makes token firstMerge+k
	rank   map[pair]int32 // the token that a pair becomes
	texts  [][]byte       // of each token; nil for those that no text can spell
}

// newTokenizer makes a tokenizer of its merges, each of which joins two tokens
// that exist before it.
func newTokenizer(merges []pair) (*tokenizer, error) {
	t := &tokenizer{merges: merges, rank: make(map[pair]int32, len(merges)), texts: make([][]byte, firstMerge, int(firstMerge)+len(merges))}
	if len(merges) > maxVocabulary-int(firstMerge) {
		return nil, fmt.Errorf("%d merges are more than there is room for", len(merges))
	}
	for b := range 256 {
		t.texts[int(firstByte)+b] = []byte{byte(b)}
	}
	for k, m := range merges {
		token := firstMerge + int32(k)
		if m.left < firstByte || m.right < firstByte || m.left >= token || m.right >= token {
			return nil, fmt.Errorf("merge %d joins tokens %d and %d, which do not both exist before it", k, m.left, m.right)
		}
		if _, twice := t.rank[m]; twice {
			return nil, fmt.Errorf("merge %d is there twice", k)
		}
		text := append(append([]byte(nil), t.texts[m.left]...), t.texts[m.right]...)
		if len(text) > maxPiece {
			return nil, errors.New("a token is longer than any piece of text")
		}
		t.rank[m], t.texts = token, append(t.texts, text)
	}
	return t, nil
}

func (t *tokenizer) size() int { return len(t.texts) }

// equal says whether two tokenizers give every text the same tokens.
func (t *tokenizer) equal(o *tokenizer) bool {
	if len(t.merges) != len(o.merges) {
		return false
	}
	for k, m := range t.merges {
		if o.merges[k] != m {
			return false
		}
	}
	return true
}

// decode appends the text of tokens; those that no text can spell have none.
func (t *tokenizer) decode(to []byte, tokens ...int32) []byte {
	for _, token := range tokens {
		to = append(to, t.texts[token]...)
	}
	return to
}

// keptPieces bounds the pieces whose tokens an encoder remembers.
const keptPieces = 1 << 16

// encoder turns texts into tokens. It remembers the pieces that it has met, and
// is for one goroutine.
type encoder struct {
	*tokenizer
	known map[string][]int32
	spare []int32
}

func (t *tokenizer) encoder() *encoder {
	return &encoder{tokenizer: t, known: map[string][]int32{}}
}

// text appends the tokens of a text.
func (e *encoder) text(to []int32, text string) []int32 {
	for i := 0; i < len(text); {
		end := pieceEnd(text, i)
		piece := text[i:end]
		tokens, ok := e.known[piece]
		if !ok {
			e.spare = e.piece(e.spare[:0], piece)
			tokens = e.spare
			if len(e.known) < keptPieces {
				tokens = append([]int32(nil), tokens...)
				e.known[string([]byte(piece))] = tokens
			}
		}
		to = append(to, tokens...)
		i = end
	}
	return to
}

// piece appends the tokens of one piece: of the pairs that can be merged, the
// earliest merge comes first.
func (e *encoder) piece(to []int32, piece string) []int32 {
	from := len(to)
	for i := range len(piece) {
		to = append(to, firstByte+int32(piece[i]))
	}
	for {
		best := int32(math.MaxInt32)
		for i := from; i+1 < len(to); i++ {
			if token, ok := e.rank[pair{to[i], to[i+1]}]; ok && token < best {
				best = token
			}
		}
		if best == math.MaxInt32 {
			return to
		}
		to = to[:from+len(merged(to[from:], e.merges[best-firstMerge], best))]
	}
}

// merged replaces every occurrence of a pair, from the left, in place.
func merged(tokens []int32, m pair, token int32) []int32 {
	n := 0
	for i := 0; i < len(tokens); i++ {
		if i+1 < len(tokens) && tokens[i] == m.left && tokens[i+1] == m.right {
			tokens[n] = token
			i++
		} else {
			tokens[n] = tokens[i]
		}
		n++
	}
	return tokens[:n]
}
