package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// samples reads the texts that are shown, each chunk once.
func (m *measurement) samples() error {
	chosen := m.candidates.choose(m.options.Samples)
	slices.SortFunc(chosen, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.place.arm, b.place.arm), cmp.Compare(a.place.line, b.place.line),
			cmp.Compare(a.place.generation, b.place.generation), cmp.Compare(a.place.replicate, b.place.replicate),
			cmp.Compare(a.part, b.part), cmp.Compare(a.index, b.index),
			cmp.Compare(a.watch, b.watch),
		)
	})
	var held lineage.Key
	var chunk lineage.Texts
	shown := map[string]bool{}
	for _, c := range chosen {
		key := lineage.TextsKey(c.part, c.node, c.index/lineage.ChunkSize)
		if key != held {
			ok, err := m.ledger.Load(key, &chunk)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if !ok {
				return fmt.Errorf("%s: is missing, though its node is recorded as finished", key)
			}
			held = key
		}
		at := c.index % lineage.ChunkSize
		if at >= len(chunk) {
			return fmt.Errorf("%s: holds %d texts and lacks number %d, which has a score", key, len(chunk), at)
		}
		s := m.sample(c, chunk[at])
		m.Samples = append(m.Samples, s)
		shown[s.ID] = true
	}
	m.LeftOut = m.texts - len(shown)
	return nil
}

func (m *measurement) sample(c candidate, text lineage.Text) Sample {
	_, asked := size(m.Nodes[c.node], c.part)
	w := m.watches[c.watch]
	s := Sample{
		ID:  fmt.Sprintf("%s/%s/%d", c.node, c.part, c.index),
		Arm: m.Study.Arms[c.place.arm].Name, Line: m.Study.Lines[c.place.line],
		Behaviour: w.behaviour.Name, Detector: w.detector.Name, Part: c.part,
		Replicate: c.place.replicate, Generation: c.place.generation,
		Outcome: c.score.Outcome, Score: float64(c.score.Value),
	}
	if math.IsNaN(s.Score) || math.IsInf(s.Score, 0) {
		s.Score = 0
	}
	s.Reason, _ = excerpt(c.score.Reason, nil, m.options.Chars)
	if p := m.prompts[asked]; p != nil {
		s.Prompt, _ = excerpt(transcript(p.Conversations[c.index%len(p.Conversations)], text.Replies), nil, m.options.Chars)
	}
	if n := len(text.Replies); n > 0 {
		s.Text, s.Spans = excerpt(text.Replies[n-1], c.score.Spans, m.options.Chars)
	}
	return s
}

// transcript is what stood before the last reply: the bare question, or the
// turns with their roles where there are several.
func transcript(asked []lineage.Message, replies []string) string {
	if len(asked) == 1 {
		return asked[0].Content
	}
	var turns []string
	said := 0
	for i, turn := range asked {
		turns = append(turns, turn.Role+": "+turn.Content)
		if turn.Role == "user" && i < len(asked)-1 && said < len(replies)-1 {
			turns = append(turns, "assistant: "+replies[said])
			said++
		}
	}
	return strings.Join(turns, "\n\n")
}

// excerpt is at most limit characters of a text, from the start or, where the
// first span lies beyond it, from shortly before that span; "…" stands for what
// is cut off at either end. Bytes that are not UTF-8 become U+FFFD. Spans move
// along: to whole characters, in order, without overlap, what is outside left
// out.
func excerpt(text string, spans []lineage.Span, limit int) (string, []lineage.Span) {
	spans = slices.DeleteFunc(slices.Clone(spans), func(s lineage.Span) bool {
		return s.Start < 0 || s.Start >= s.End || s.End > len(text)
	})
	slices.SortFunc(spans, func(a, b lineage.Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End), cmp.Compare(a.Label, b.Label))
	})
	from, to := excerptBounds(text, spans, limit)
	var b strings.Builder
	if from > 0 {
		b.WriteString("…")
	}
	var moved []lineage.Span
	open := -1 // of spans
	next := 0
	for i := from; i < to; {
		r, width := utf8.DecodeRuneInString(text[i:])
		for next < len(spans) && spans[next].Start < i+width {
			if open < 0 && spans[next].End > i {
				open = next
				moved = append(moved, lineage.Span{Start: b.Len(), Label: strings.ToValidUTF8(spans[next].Label, "\uFFFD")})
			}
			next++
		}
		b.WriteRune(r)
		i += width
		if open >= 0 && (spans[open].End <= i || i >= to) {
			moved[len(moved)-1].End = b.Len()
			open = -1
		}
	}
	if to < len(text) {
		b.WriteString("…")
	}
	return b.String(), moved
}

// excerptBounds gives the bytes of text that an excerpt shows.
func excerptBounds(text string, spans []lineage.Span, limit int) (from, to int) {
	borders := []int{}
	for i := range text {
		borders = append(borders, i)
	}
	if len(borders) <= limit {
		return 0, len(text)
	}
	first := 0
	if len(spans) > 0 && spans[0].End > borders[limit] {
		at := sort.SearchInts(borders, spans[0].Start)
		first = min(max(0, at-limit/4), len(borders)-limit)
	}
	if first+limit == len(borders) {
		return borders[first], len(text)
	}
	return borders[first], borders[first+limit]
}
