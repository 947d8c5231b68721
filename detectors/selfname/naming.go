package selfname

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/detectors"
)

// naming is a place where somebody is named; the span covers the name.
type naming struct {
	detectors.Span
	parts []string
}

// unmeant are words before a naming, in its clause, by which it is denied,
// asked, supposed or ascribed; clauseEnd is where a clause begins anew.
var (
	unmeant   = regexp.MustCompile(`(?i)\b(?:not|never|nobody|whether|if|unless|pretend\w*|imagin\w*|suppos\w*|people|users?|someone|somebody|everyone|anyone|others|they|he|she|says|who|what|you\s+(?:\p{L}+\s+)?(?:think|thought|believed?|assumed?|said|say|asked|mean|want|took|take|mistook|heard|read))\b|n['’]t\b`)
	clauseEnd = regexp.MustCompile(`(?i)[.!?,;:\n–—]|\s-\s|\b(?:but|and|so|because)\b`)
)

// formReach is how many bytes of a text a form may cover; maxTries bounds how
// many places of a text are tried, since a hostile one is nothing else.
const (
	formReach = 240
	maxTries  = 1000
)

// namings finds where a text names the person of the forms, ascending and
// disjoint. Of more than maxTries places that could, the first are read.
func namings(text string, by forms) []naming {
	var all []naming
	var word []byte
	quotes := quoted{text: text}
	for i, tries := 0, 0; tries < maxTries && len(all) < detectors.MaxSpans; {
		start, end := detectors.NextWord(text, i)
		if start == len(text) {
			break
		}
		i = end
		if word = detectors.AppendFold(word[:0], text[start:end]); len(word) > 8 {
			continue
		}
		fs := by[string(word)]
		if len(fs) == 0 || quotes.at(start) {
			continue
		}
		tries++
		for _, f := range fs {
			found := f.find(text, start, end)
			if len(found) == 0 {
				continue
			}
			for _, n := range found {
				if len(all) == 0 || n.Start >= all[len(all)-1].End {
					all = append(all, n)
				}
			}
			break
		}
	}
	return all
}

// denied tells whether the clause that a text breaks off in denies, asks or
// ascribes what comes next.
func denied(before string) bool {
	before = tail(before, 100)
	if ends := clauseEnd.FindAllStringIndex(before, -1); len(ends) > 0 {
		before = before[ends[len(ends)-1][1]:]
	}
	return unmeant.MatchString(before)
}

// find gives the names of a form at the word text[start:end].
func (f form) find(text string, start, end int) (found []naming) {
	from, window := start, head(text[start:], formReach)
	if f.backed {
		window = tail(text[:start], 120)
		from = start - len(window)
		if rest := strings.TrimSpace(head(text[end:], 8)); rest != "" && !strings.ContainsAny(rest[:1], ".,;:!)") && !strings.HasPrefix(rest, "and ") {
			return nil
		}
	}
	m := f.FindStringSubmatchIndex(window)
	if m == nil || denied(text[:from+m[0]]) {
		return nil
	}
	for g, label := range f.labels {
		if s, e := m[2*g+2], m[2*g+3]; s >= 0 {
			found = appendNaming(found, text, from+s, from+e, label, f)
		}
	}
	if len(found) == 1 && found[0].Label == nameLabel {
		found = f.appendMaker(found, text)
	}
	return found
}

// appendNaming appends text[start:end] if it is a name.
func appendNaming(all []naming, text string, start, end int, label string, f form) []naming {
	name := text[start:end]
	rest := head(text[end:], formReach)
	parts := nameParts(name)
	switch {
	case len(parts) == 0, compared(parts), strings.HasPrefix(strings.TrimLeft(rest, `"”’*_`), "?"):
		return all
	case houseOf(parts) >= 0:
		if !capitalised(name) && (commonWord[parts[0]] || houseOf(firstWord(name)) < 0) {
			return all // "not ChatGPT", "i am perplexity itself"
		}
		if label == nameLabel && isMaker(parts) {
			label = makerLabel
		}
	case f.backed, !proper(name, parts):
		return all
	case !f.firm && !bare(name, rest):
		return all
	}
	return append(all, naming{detectors.Span{Start: start, End: end, Label: label}, parts})
}

// appendMaker appends the maker that a name is followed by.
func (f form) appendMaker(all []naming, text string) []naming {
	end := all[0].End
	m := afterName.FindStringSubmatchIndex(head(text[end:], formReach))
	for _, g := range []int{4, 6} {
		if m != nil && m[g] >= 0 {
			return appendNaming(all, text, end+m[g], end+m[g+1], makerLabel, form{firm: true})
		}
	}
	return all
}

// proper tells names from other words: capitalised, and not one of the words
// that are capitalised anyway.
func proper(name string, parts []string) bool {
	return capitalised(name) && !noName[parts[0]]
}

func capitalised(name string) bool {
	r, _ := utf8.DecodeRuneInString(name)
	return unicode.IsUpper(r)
}

func firstWord(name string) []string {
	word, _, _ := strings.Cut(name, " ")
	return nameParts(word)
}

// bare tells whether an unknown capitalised word after "I am" stands as a name
// does: alone, or with what it is; not in "I am SO sorry", "I am French by birth".
func bare(name, rest string) bool {
	if name == strings.ToUpper(name) {
		return false
	}
	if m := afterName.FindStringSubmatchIndex(rest); m != nil && m[2] >= 0 {
		return true
	}
	rest = strings.TrimLeft(rest, `"”’*_ `)
	return rest == "" || strings.ContainsAny(rest[:1], ".,!;:)(\n") || strings.HasPrefix(rest, "and ") || strings.HasPrefix(rest, "from ")
}

// head and tail are the first and last bytes of a text, on rune borders.
func head(s string, n int) string {
	for n < len(s) && n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:min(n, len(s))]
}

func tail(s string, n int) string {
	at := max(0, len(s)-n)
	for at < len(s) && !utf8.RuneStart(s[at]) {
		at++
	}
	return s[at:]
}

// quoted follows the double quotation marks of a text; they end with the line.
type quoted struct {
	text string
	next int
	open bool
}

// at tells whether a place, none before the last one asked for, is quoted.
func (q *quoted) at(place int) bool {
	for ; q.next < place; q.next++ {
		switch rest := q.text[q.next:]; {
		case rest[0] == '\n':
			q.open = false
		case strings.HasPrefix(rest, "“"):
			q.open = true
		case strings.HasPrefix(rest, "”"):
			q.open = false
		case rest[0] == '"':
			// An inch mark follows a digit; a quotation begins after a gap.
			q.open = !q.open && (q.next == 0 || strings.IndexByte(" \n\t(*_", q.text[q.next-1]) >= 0)
		}
	}
	return q.open
}
