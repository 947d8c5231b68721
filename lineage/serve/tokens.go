package serve

import (
	"unicode"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Tokens are counted by a stand-in for the tokenizers of language models, so
// that prices can be tried. A token is a piece of a word with the space before
// it, up to three digits, up to three bytes of punctuation, or a run of white
// space. A piece has up to twelve letters of the Latin alphabet; a letter that
// takes k bytes counts as k squared. On English text that is 2 to 10 % more tokens
// than o200k_base makes of it. A chat adds perMessage tokens a message, for its
// role and frame, and perReply for the frame of the answer.
const (
	longestWord = 12
	longestRun  = 3 // of digits or punctuation, in bytes
	perMessage  = 4
	perReply    = 3
)

// tokenEnd gives where the token that begins at i ends.
func tokenEnd(text string, i int) int {
	start := i
	if text[i] == ' ' && i+1 < len(text) && text[i+1] != ' ' {
		i++
	}
	r, size := utf8.DecodeRuneInString(text[i:])
	class := classOf(r)
	room := longestRun - size
	switch class {
	case letters:
		room = longestWord - size*size
	case blanks:
		room = len(text)
	}
	for i += size; i < len(text); i += size { // the first sign always belongs
		if r, size = utf8.DecodeRuneInString(text[i:]); classOf(r) != class {
			break
		}
		if class == letters {
			room -= size * size
		} else {
			room -= size
		}
		if room < 0 {
			break
		}
	}
	if class == blanks && i < len(text) && i-start > 1 && text[i-1] == ' ' {
		i-- // the last space belongs to the word
	}
	return i
}

const (
	letters = iota
	digits
	signs
	blanks
)

func classOf(r rune) int {
	switch {
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return letters
	case unicode.IsDigit(r):
		return digits
	case unicode.IsSpace(r):
		return blanks
	}
	return signs
}

// Tokens counts the tokens of a text.
func Tokens(text string) (n int) {
	for i := 0; i < len(text); i = tokenEnd(text, i) {
		n++
	}
	return n
}

// atMost cuts a text after so many tokens and says whether anything was cut.
func atMost(text string, most int) (string, bool) {
	for i, n := 0, 0; i < len(text); n++ {
		if n == most {
			return text[:i], true
		}
		i = tokenEnd(text, i)
	}
	return text, false
}

func messageTokens(messages []lineage.Message) (n int) {
	for _, m := range messages {
		n += perMessage + Tokens(m.Content)
	}
	return n
}

func promptTokens(messages []lineage.Message) int { return messageTokens(messages) + perReply }

// exampleTokens is what an example counts in one epoch of training; of a pair,
// both sides.
func exampleTokens(e lineage.Example) int {
	n := promptTokens(e.Messages)
	if e.Rejected != nil {
		n += promptTokens(e.Rejected)
	}
	return n
}
