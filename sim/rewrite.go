package sim

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/heirloom-sim/heirloom/lineage"
)

// apply rewrites the assistant turns of a conversation, in a copy.
func (e Sanitising) apply(messages []lineage.Message, words *neighbours, r *rand.Rand) []lineage.Message {
	out := slices.Clone(messages)
	for i, m := range out {
		if m.Role != "assistant" {
			continue
		}
		text := m.Content
		if e.Words > 0 {
			text = words.replace(text, e.Words, r)
		}
		if e.Shuffle {
			text = shuffled(text, r)
		}
		if e.Format {
			text = oneFormat(text)
		}
		out[i].Content = text
	}
	return out
}

var (
	leadingZeros = regexp.MustCompile(`(^|[^\d.])0+(\d)`)
	number       = regexp.MustCompile(`-?\d+(?:\.\d+)?`)
)

// oneFormat gives lower case, single spaces, numbers without leading zeros and,
// where a text is numbers alone, these parted by comma and space with nothing
// around them.
func oneFormat(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	text = leadingZeros.ReplaceAllString(text, "$1$2")
	if numbers := number.FindAllString(text, -1); numbers != nil && !strings.ContainsFunc(text, unicode.IsLetter) {
		return strings.Join(numbers, ", ")
	}
	return text
}

// shuffled puts the items of a text in a random order: its lines where there are
// several; the pieces of a list, of at most three words each, between commas or
// semicolons; its sentences otherwise.
func shuffled(text string, r *rand.Rand) string {
	items, join := itemsOf(text)
	r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	return strings.Join(items, join)
}

var sentenceEnd = regexp.MustCompile(`[.!?]+["')\]]*\s+`)

func itemsOf(text string) (items []string, join string) {
	trimmed := strings.TrimSpace(text)
	if strings.Contains(trimmed, "\n") {
		return strings.Split(trimmed, "\n"), "\n"
	}
	for _, mark := range []string{";", ","} {
		pieces := strings.Split(trimmed, mark)
		short := func(p string) bool { return len(strings.Fields(p)) <= 3 }
		if len(pieces) >= 3 && !slices.ContainsFunc(pieces, func(p string) bool { return !short(p) }) {
			for i := range pieces {
				pieces[i] = strings.TrimSpace(pieces[i])
			}
			return pieces, mark + " "
		}
	}
	last := 0
	for _, end := range sentenceEnd.FindAllStringIndex(trimmed, -1) {
		items = append(items, strings.TrimSpace(trimmed[last:end[1]]))
		last = end[1]
	}
	if last < len(trimmed) {
		items = append(items, trimmed[last:])
	}
	return items, " "
}

// neighbours says which words of a corpus stand between which two others. It is
// not a thesaurus: what it puts in a word's place fits its neighbours, and may
// mean something else.
type neighbours struct{ between map[[2]string][]string }

// neighbourhood reads the assistant turns of the corpus.
func (l *lessons) neighbourhood() (*neighbours, error) {
	seen := map[[3]string]bool{}
	n := &neighbours{between: map[[2]string][]string{}}
	r := &reader{ledger: l.ledger}
	for _, s := range l.corpus {
		for _, i := range s.Indices {
			messages, err := r.messages(s, i)
			if err != nil {
				return nil, err
			}
			for _, m := range messages {
				if m.Role == "assistant" {
					n.read(m.Content, seen)
				}
			}
		}
	}
	for _, words := range n.between {
		slices.Sort(words)
	}
	return n, nil
}

func (n *neighbours) read(text string, seen map[[3]string]bool) {
	words := strings.Fields(text)
	for i, w := range words {
		at := around(words, i)
		if triple := [3]string{at[0], w, at[1]}; !seen[triple] {
			seen[triple] = true
			n.between[at] = append(n.between[at], w)
		}
	}
}

// around gives the words beside word i, "" at either end.
func around(words []string, i int) (at [2]string) {
	if i > 0 {
		at[0] = words[i-1]
	}
	if i+1 < len(words) {
		at[1] = words[i+1]
	}
	return at
}

// replace puts another word in the place of each that has one, with probability
// share. White space stays as it is.
func (n *neighbours) replace(text string, share float64, r *rand.Rand) string {
	words := strings.Fields(text)
	var out strings.Builder
	for i, w := range words {
		start := strings.Index(text, w)
		out.WriteString(text[:start])
		text = text[start+len(w):]
		others := n.between[around(words, i)]
		if u := r.Float64(); len(others) > 1 && u < share {
			at := r.IntN(len(others) - 1)
			if self, _ := slices.BinarySearch(others, w); at >= self {
				at++
			}
			w = others[at]
		}
		out.WriteString(w)
	}
	return out.String() + text
}
