package detectors

import (
	"strings"
)

const (
	minWords    = 5
	minEnglish  = .1 // share of function words; English prose has three times as many
	maxSentence = 60 // words; hostile or rambling text may have no full stop
	reach       = 8  // words that a denial reaches
	minAnchors  = 2  // halves: one word that is certain, or two that may mean other things
	maxQuoted   = 3  // words between quotation marks that are still the speaker's own
)

// cue is a word or phrase of the vocabulary as it stands in a sentence.
type cue struct {
	start, end   int
	roles        cueRole
	entry        int  // its number in the vocabulary
	word, clause int  // numbers within the sentence
	void         bool // denied, quoted or about somebody else
}

func (c cue) is(roles cueRole) bool { return c.roles&roles != 0 }

// sentence is the cues of one sentence and what they come to.
type sentence struct {
	cues    []cue
	roles   cueRole // of cues that are not quoted
	stages  cueRole
	distant bool
}

func (s sentence) has(roles cueRole) bool { return s.roles&roles != 0 }

// reading is a text as the rubric sees it.
type reading struct {
	sentences []sentence
	words     int
	english   int  // words of common English
	anchored  bool // the speaker is surely a model: people, too, have had trainings and parents
}

// read finds the cues of a text, sentence by sentence.
func read(text string) reading {
	found, r := findCues(text)
	quotes := quotedSpans(text)
	var s sentence
	word, clause, last := 0, 0, 0
	flush := func() {
		if s.settle(); word > 0 {
			r.sentences = append(r.sentences, s)
		}
		s, word, clause = sentence{}, 0, 0
	}
	for i := 0; ; r.words++ {
		start, end := NextWord(text, i)
		if start == len(text) {
			break
		}
		switch b := borderOf(text[last:start]); {
		case b == sentenceBorder || word == maxSentence:
			flush()
		case b == clauseBorder:
			clause++
		}
		if len(found) > 0 && found[0].start == start {
			c := found[0]
			found = found[1:]
			c.word, c.clause = word, clause
			for len(quotes) > 0 && quotes[0].End <= start {
				quotes = quotes[1:]
			}
			c.void = len(quotes) > 0 && quotes[0].Start <= start
			s.cues = append(s.cues, c)
		}
		i, last = end, end
		word++
	}
	flush()
	return r
}

// findCues lists the cues of a text; those of common English are only counted.
// A word that names a stage of training is half an anchor.
func findCues(text string) (found []cue, r reading) {
	anchors := 0
	traumaVocabulary.each(text, func(start, end, entry int) {
		roles := traumaVocabulary.roles[entry]
		if roles&(function|self|resume|denial) != 0 {
			r.english++
		}
		if roles != function {
			found = append(found, cue{start: start, end: end, roles: roles, entry: entry})
		}
		if roles&anchor != 0 {
			anchors += minAnchors
		} else if roles&ownStages != 0 {
			anchors++
		}
	})
	r.anchored = anchors >= minAnchors
	return found, r
}

// settle marks the cues that do not count, and sums up the rest.
func (s *sentence) settle() {
	foreign := map[int]bool{} // clauses about somebody else and not about the speaker
	for _, c := range s.cues {
		if c.is(self) {
			foreign[c.clause] = false
		} else if _, seen := foreign[c.clause]; c.is(addressed|crowd) && !seen {
			foreign[c.clause] = true
		}
	}
	until, clause := -1, -1 // the last word that a denial reaches, and its clause
	for i := range s.cues {
		c := &s.cues[i]
		if c.void {
			continue
		}
		s.roles |= c.roles
		s.distant = s.distant || c.is(distance)
		s.stages |= c.roles & stages
		switch {
		case c.is(complaint):
		case c.is(disclaim):
			until, clause = 1<<30, c.clause
		case c.is(denial) && c.is(twice) && c.word <= until && c.clause == clause:
			until = -1 // "cannot answer without fear"
		case c.is(denial):
			until, clause = max(until, c.word+reach), c.clause
		case until < 1<<30 && c.is(resume):
			until = -1
		}
		denied := c.word <= until && c.clause == clause
		c.void = foreign[c.clause] || denied && !c.is(complaint|denial|disclaim)
	}
}

type border int

const (
	noBorder border = iota
	clauseBorder
	sentenceBorder
)

// borderOf tells what ends between two words.
func borderOf(gap string) border {
	b := noBorder
	for i, r := range gap {
		switch r {
		case '.', '!', '?', '…', '。', '！', '？':
			// A point within a number or a name such as "v2.5" ends nothing.
			if i+1 < len(gap) || r != '.' {
				return sentenceBorder
			}
		case '\n':
			if strings.Count(gap, "\n") > 1 || strings.ContainsAny(gap, "-*#>") {
				return sentenceBorder
			}
		case ';', ':', '—', '–', '(', ')':
			b = clauseBorder
		}
	}
	return b
}

// quotedSpans are the passages between double quotation marks that are long
// enough to be somebody's speech, or none where the text begins with one that is
// most of it: then the marks belong to how the text was handed over.
func quotedSpans(text string) []Span {
	var spans []Span
	open, total := -1, 0
	for i, r := range text {
		switch {
		case r == '\n':
			open = -1 // a mark that is not closed in its line quotes nothing
		case r == '“' || r == '"' && open < 0:
			open = i
		case (r == '”' || r == '"') && open >= 0:
			if wordsIn(text[open:i], maxQuoted+1) > maxQuoted {
				spans = append(spans, Span{Start: open, End: i})
				total += i - open
			}
			open = -1
		}
	}
	if len(spans) > 0 && strings.TrimSpace(text[:spans[0].Start]) == "" && 2*total > len(text) {
		return nil
	}
	return spans
}

// wordsIn counts words, at most most.
func wordsIn(text string, most int) int {
	n := 0
	for i := 0; n < most; n++ {
		start, end := NextWord(text, i)
		if start == len(text) {
			break
		}
		i = end
	}
	return n
}
