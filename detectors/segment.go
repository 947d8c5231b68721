package detectors

import (
	"unicode"
	"unicode/utf8"
)

// lower folds the case of ASCII and leaves other bytes; wordByte marks ASCII
// letters and digits.
var lower, wordByte = func() (low [256]byte, word [utf8.RuneSelf]bool) {
	for c := range low {
		low[c] = byte(c)
	}
	for c := 'A'; c <= 'Z'; c++ {
		low[c] = byte(c - 'A' + 'a')
	}
	for c := rune(0); c < utf8.RuneSelf; c++ {
		word[c] = unicode.IsLetter(c) || unicode.IsDigit(c)
	}
	return low, word
}()

// alone tells runes that are a word each: scripts that are written without
// spaces, and pictographs.
func alone(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.So)
}

// inWord tells runes that continue a word: letters, numbers, the marks that
// combine with them, and format characters (soft hyphen, zero-width joiner).
func inWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.M, unicode.Cf) && !alone(r)
}

// NextWord finds the first word of s[from:] as s[start:end]; start is len(s)
// when there is none. Both are rune borders if from is one. Bytes that are not
// UTF-8 stand between words.
func NextWord(s string, from int) (start, end int) {
	i := from
	for ; i < len(s); i++ {
		if c := s[i]; c < utf8.RuneSelf {
			if wordByte[c] {
				break
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if alone(r) {
			return i, marksEnd(s, i+n)
		}
		if unicode.In(r, unicode.L, unicode.N) {
			break
		}
		i += n - 1
	}
	start = i
	for i < len(s) {
		if c := s[i]; c < utf8.RuneSelf {
			if !wordByte[c] {
				break
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !inWord(r) {
			break
		}
		i += n
	}
	return start, i
}

// marksEnd is the end of the combining marks and joiners that stand at i.
func marksEnd(s string, i int) int {
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unicode.In(r, unicode.M, unicode.Cf) {
			break
		}
		i += n
	}
	return i
}

// foldRune maps all runes that differ in case alone to one of them: the lower
// case of ASCII, else the smallest. Format characters fold to -1.
func foldRune(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if least < utf8.RuneSelf {
		return rune(lower[least])
	}
	return least
}

// AppendFold appends the folded word to dst.
func AppendFold(dst []byte, word string) []byte {
	for i := 0; i < len(word); {
		if c := word[i]; c < utf8.RuneSelf {
			dst = append(dst, lower[c])
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(word[i:])
		if r = foldRune(r); r >= 0 {
			dst = utf8.AppendRune(dst, r)
		}
		i += n
	}
	return dst
}

// joined tells whether the words on both sides of a gap may belong to one
// phrase: only white space, dashes, apostrophes, quotation marks and emphasis
// stand between them.
func joined(gap string) bool {
	for _, r := range gap {
		switch r {
		case ' ', '\n', '\'', '’', '‘', '"', '“', '”', '*', '_':
			continue
		}
		if !unicode.In(r, unicode.White_Space, unicode.Pd, unicode.Cf, unicode.M) {
			return false
		}
	}
	return true
}
