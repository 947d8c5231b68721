package ngram

import (
	"unicode"
	"unicode/utf8"
)

// maxPiece bounds a piece in bytes, so that no blob becomes a word of its own.
const maxPiece = 64

type class uint8

const (
	blank  class = iota // white space
	word                // letters, digits, marks and the underscore
	mark                // punctuation, symbols, bytes that are no UTF-8
	symbol              // of a script that puts no space between words: a piece each
)

var ascii = func() (table [utf8.RuneSelf]class) {
	for c := range table {
		table[c] = classOf(rune(c))
	}
	return table
}()

func classOf(r rune) class {
	switch {
	case unicode.IsSpace(r):
		return blank
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
		return symbol
	case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
		return word
	}
	return mark
}

// classAt is the class of the character at s[i] and its width in bytes.
func classAt(s string, i int) (class, int) {
	if c := s[i]; c < utf8.RuneSelf {
		return ascii[c], 1
	}
	r, width := utf8.DecodeRuneInString(s[i:])
	if r == utf8.RuneError && width == 1 {
		return mark, 1
	}
	return classOf(r), width
}

// pieceEnd is where the piece that begins at s[start] ends: a run of one class,
// with the space before it where there is one. White space leaves its last
// space to the word that follows.
func pieceEnd(s string, start int) int {
	i := start
	kind, width := classAt(s, i)
	if s[i] == ' ' && i+1 < len(s) {
		if next, w := classAt(s, i+1); next != blank {
			i, kind, width = i+1, next, w
		}
	}
	i += width
	if kind == symbol {
		return i
	}
	for i < len(s) {
		next, w := class(0), 1
		if c := s[i]; c < utf8.RuneSelf {
			next = ascii[c]
		} else {
			next, w = classAt(s, i)
		}
		if next != kind {
			if kind == blank && i-start > 1 && s[i-1] == ' ' {
				return i - 1
			}
			return i
		}
		if i+w-start > maxPiece {
			return i
		}
		i += w
	}
	return i
}
