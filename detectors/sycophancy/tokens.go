package sycophancy

import (
	"math/big"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxClaimText = 16 << 10 // bytes of a turn that are read; claims stand early, and hostile turns are long
	maxDigits    = 40       // of a number; longer ones are not checked
)

type tokenKind uint8

const (
	wordToken   tokenKind = iota
	numberToken           // value is set
	signToken             // a character that is neither of the others
	stopToken             // the end of a sentence or line
)

// token is a word, number or sign of a turn. Words are in lower case and
// without contractions: "isn't" is the tokens "is" and "not" at one place.
type token struct {
	kind       tokenKind
	start, end int
	text       string
	value      *big.Rat
	places     int  // decimals that were written
	tight      bool // nothing stands between it and the token before
}

type tokens []token

// tokensOf reads a turn, at most maxClaimText of it. Marks that only dress a
// text (quotation marks, currencies, emphasis, TeX) are left out.
func tokensOf(text string) (ts tokens) {
	if len(text) > maxClaimText {
		cut := maxClaimText
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	last := 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		t := token{start: i, end: i + n, tight: i == last && i > 0}
		switch {
		case r >= '0' && r <= '9':
			t = ts.number(text, t)
			ts = append(ts, t)
		case unicode.IsLetter(r):
			t.end = wordEnd(text, i)
			ts = ts.word(text[i:t.end], t)
		case r == '\n' || r == '.' || r == '!' || r == '?' || r == '…':
			t.kind, t.text = stopToken, string(r)
			ts = append(ts, t)
		case r == '*' && strings.HasPrefix(text[i:], "**"):
			t.end = i + 2
			if powerAt(text, i) {
				t.kind, t.text = signToken, "^"
				ts = append(ts, t)
			}
		case !unicode.IsSpace(r) && !strings.ContainsRune("`_\\$€£\"“”„«»{}", r):
			t.kind, t.text = signToken, signOf(r)
			ts = append(ts, t)
		default:
			if last == i && !unicode.IsSpace(r) {
				last = t.end // what is left out does not part its neighbours
			}
		}
		i = t.end
		if k := len(ts); k > 0 && ts[k-1].end == i {
			last = i
		}
	}
	return ts
}

// signOf writes signs of the same meaning in one way.
func signOf(r rune) string {
	switch r {
	case '−', '–':
		return "-"
	case '×', '·', '⋅', '∙':
		return "*"
	case '÷':
		return "/"
	}
	return string(r)
}

// powerAt tells "2**5" from bold type.
func powerAt(text string, i int) bool {
	digit := func(i int) bool { return i >= 0 && i < len(text) && text[i] >= '0' && text[i] <= '9' }
	return digit(i-1) && digit(i+2)
}

func wordEnd(text string, i int) int {
	for i < len(text) {
		r, n := utf8.DecodeRuneInString(text[i:])
		inside := unicode.IsLetter(r) || unicode.IsMark(r)
		if !inside && (r == '\'' || r == '’') {
			next, _ := utf8.DecodeRuneInString(text[i+n:])
			inside = unicode.IsLetter(next)
		}
		if !inside {
			break
		}
		i += n
	}
	return i
}

// number reads digits with commas between thousands and one decimal point. What
// is not a plain number (a version, an ordinal, part of a name, too long) is a
// word that means nothing.
func (ts tokens) number(text string, t token) token {
	digits := func(i int) int {
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		return i
	}
	i := digits(t.start)
	for thousands := i-t.start <= 3; thousands && i < len(text) && text[i] == ',' && digits(i+1) == i+4; {
		i += 4
	}
	if i < len(text) && text[i] == '.' {
		if end := digits(i + 1); end > i+1 {
			t.places, i = end-i-1, end
		}
	}
	written := strings.ReplaceAll(text[t.start:i], ",", "")
	version := false
	for i+1 < len(text) && text[i] == '.' && digits(i+1) > i+1 {
		i, version = digits(i+1), true
	}
	t.end = i
	k := len(ts) - 1
	named := t.tight && k >= 0 && ts[k].kind == wordToken && ts[k].text != "x"
	ordinal := slices.ContainsFunc([]string{"st", "nd", "rd", "th"}, func(s string) bool { return strings.HasPrefix(text[i:], s) })
	if version || named || ordinal || len(written) > maxDigits {
		t.kind, t.text = wordToken, "#"
		return t
	}
	t.kind = numberToken
	t.value, _ = new(big.Rat).SetString(written)
	return t
}

var clitics = map[string]string{"re": "are", "ve": "have", "ll": "will", "m": "am", "d": "would", "t": "not"}

// word adds a word, its contraction taken apart, or the number that it names.
func (ts tokens) word(written string, t token) tokens {
	add := func(words ...string) tokens {
		for _, w := range words {
			t.text = w
			ts = append(ts, t)
		}
		return ts
	}
	w := strings.ToLower(strings.ReplaceAll(written, "’", "'"))
	if n, ok := numberWords[w]; ok {
		return ts.named(n, t)
	}
	base, clitic, _ := strings.Cut(w, "'")
	switch {
	case w == "cannot", w == "can't":
		return add("can", "not")
	case w == "won't":
		return add("will", "not")
	case w == "let's":
		return add("let", "us")
	case clitic == "t":
		return add(strings.TrimSuffix(base, "n"), "not")
	case clitic == "s" && pronouns[base]:
		return add(base, "is")
	case clitics[clitic] != "":
		return add(base, clitics[clitic])
	}
	return add(base)
}

// named adds a number that is written as a word; "forty" and "two" are one.
func (ts tokens) named(n int64, t token) tokens {
	if k := len(ts) - 1; n < 10 && k >= 0 {
		tens := k
		if ts[k].text == "-" && k > 0 {
			tens--
		}
		if p := ts[tens]; p.kind == numberToken && p.text != "" && p.value.Num().Int64() >= 20 && p.value.Num().Int64()%10 == 0 {
			ts[tens].value = new(big.Rat).Add(p.value, big.NewRat(n, 1))
			ts[tens].end = t.end
			return ts[:tens+1]
		}
	}
	t.kind, t.text, t.value = numberToken, "named", big.NewRat(n, 1)
	return append(ts, t)
}

// "one" is left out: it is a pronoun more often than a number.
var numberWords = func() map[string]int64 {
	names := map[string]int64{}
	for i, w := range strings.Fields("two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen") {
		names[w] = int64(i + 2)
	}
	for i, w := range strings.Fields("twenty thirty forty fifty sixty seventy eighty ninety") {
		names[w] = int64(10 * (i + 2))
	}
	return names
}()

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}
