package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// hidden says whether a character changes a text without being seen in it:
// controls, format and bidirectional marks, line separators, fillers and
// variation selectors. assets/samples.js has the same set.
func hidden(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return true
	case r == 0x115F || r == 0x1160 || r == 0x3164 || r == 0xFFA0:
		return true
	}
	return r >= 0xE0100 && r <= 0xE01EF
}

// visible makes a text valid UTF-8 and spells its hidden characters out.
func visible(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if hidden(r) {
			fmt.Fprintf(&b, "[U+%04X]", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// label is visible on one line of at most n characters.
func label(s string, n int) string {
	s = strings.Join(strings.Fields(visible(s)), " ")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// segment is a stretch of a text, with the labels of the spans that cover it.
type segment struct {
	Text   string `json:"t"`
	Labels string `json:"d,omitempty"`
}

// segments cuts a text at the borders of its spans, moved to the beginning of
// the characters they fall into, and keeps at most limit characters: those from
// a little before the first span on. cut counts the characters left out.
func segments(text string, spans []lineage.Span, limit int) (parts []segment, cut int) {
	border := func(i int) int {
		i = min(max(i, 0), len(text))
		for i > 0 && i < len(text) && !utf8.RuneStart(text[i]) {
			i--
		}
		return i
	}
	from, to := window(text, spans, limit, border)
	cut = utf8.RuneCountInString(text[:from]) + utf8.RuneCountInString(text[to:])
	cuts := []int{from, to}
	for _, s := range spans {
		for _, at := range []int{border(s.Start), border(s.End)} {
			if at > from && at < to {
				cuts = append(cuts, at)
			}
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i := 1; i < len(cuts); i++ {
		var labels []string
		for _, s := range spans {
			if border(s.Start) <= cuts[i-1] && border(s.End) >= cuts[i] && border(s.Start) < border(s.End) {
				labels = append(labels, label(s.Label, 60))
			}
		}
		slices.Sort(labels)
		parts = append(parts, segment{
			Text:   strings.ToValidUTF8(text[cuts[i-1]:cuts[i]], "\uFFFD"),
			Labels: strings.Join(slices.Compact(labels), ", "),
		})
	}
	return parts, cut
}

// window chooses the bytes of a long text that are kept.
func window(text string, spans []lineage.Span, limit int, border func(int) int) (from, to int) {
	if utf8.RuneCountInString(text) <= limit {
		return 0, len(text)
	}
	for i, s := range spans {
		if i == 0 || border(s.Start) < from {
			from = border(s.Start)
		}
	}
	for range limit / 4 {
		from = border(from - 1)
	}
	for to = from; limit > 0 && to < len(text); limit-- {
		_, size := utf8.DecodeRuneInString(text[to:])
		to += size
	}
	return from, to
}

// percent writes a share, with the digits that it has.
func percent(v float64) string {
	switch a := math.Abs(v * 100); {
	case math.IsNaN(v):
		return "–"
	case a == 0:
		return "0%"
	case a < 0.1:
		return strings.Replace(strconv.FormatFloat(v*100, 'g', 2, 64), "-", "−", 1) + "%"
	default:
		return strings.Replace(strconv.FormatFloat(v*100, 'f', 1, 64), "-", "−", 1) + "%"
	}
}

// signed writes v with a sign that is there for gains as well.
func signed(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	if v > 0 {
		return "+" + s
	}
	return "−" + s[1:]
}

// probability writes a p-value.
func probability(p float64) string {
	switch {
	case math.IsNaN(p):
		return "–"
	case p < 0.001:
		return "<0.001"
	}
	return strconv.FormatFloat(p, 'f', 3, 64)
}

// bounds writes the interval of an estimate and what it rests on.
func bounds(v Interval, write func(float64) string) string {
	if math.IsNaN(v.Lo) || math.IsNaN(v.Hi) {
		return fmt.Sprintf("no interval, n\u00a0=\u00a0%d", v.N)
	}
	if lo, hi := write(v.Lo), write(v.Hi); lo != hi {
		return fmt.Sprintf("%s to %s, n\u00a0=\u00a0%d", lo, hi, v.N)
	}
	return fmt.Sprintf("n\u00a0=\u00a0%d", v.N)
}

// between is bounds with the level of the interval.
func between(v Interval, write func(float64) string) string {
	if math.IsNaN(v.Lo) || math.IsNaN(v.Hi) || write(v.Lo) == write(v.Hi) {
		return bounds(v, write)
	}
	return "95% CI " + bounds(v, write)
}
