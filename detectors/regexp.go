package detectors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
)

func init() {
	Register("regexp", "regular expressions (RE2)",
		Regexp{MinMatches: 1, Threshold: .5},
		func(_ Env, c Regexp) (Detector, error) { return c.open() })
}

// Regexp is present where a text holds enough matches of the patterns, in Go's
// syntax (RE2: no backtracking, so no pattern is slow on any text).
//
// The score of h matches is 1 − 2^(−h/MinMatches). Of overlapping matches the
// leftmost counts, then the longest; empty matches do not count, and a pattern
// that matches the empty text is refused.
type Regexp struct {
	Pattern    string   `yaml:"pattern" doc:"a RE2 pattern"`
	Patterns   []string `yaml:"patterns" doc:"RE2 patterns, taken together with pattern"`
	MinMatches int      `yaml:"min_matches" doc:"matches from which the score is .5"`
	Threshold  float64  `yaml:"threshold" doc:"score from which the behaviour is present"`
}

type regexps struct {
	Regexp
	patterns []pattern
}

type pattern struct {
	*regexp.Regexp
	needs *literals // nil where no literal can be named
}

func (c Regexp) open() (Detector, error) {
	faults := []error{checkThreshold("regexp", c.Threshold), checkCount("regexp.min_matches", c.MinMatches)}
	all := slices.Clone(c.Patterns)
	if c.Pattern != "" {
		all = append(all, c.Pattern)
	}
	if len(all) == 0 {
		faults = append(faults, errors.New("regexp.pattern: no pattern is given"))
	}
	d := &regexps{Regexp: c}
	for _, text := range all {
		p, err := compile(text)
		if err != nil {
			faults = append(faults, err)
		}
		d.patterns = append(d.patterns, p)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return d, nil
}

func compile(text string) (pattern, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		var fault *syntax.Error
		if errors.As(err, &fault) {
			return pattern{}, fmt.Errorf("regexp.patterns: %q is not a regular expression: %s at %q", text, fault.Code, fault.Expr)
		}
		return pattern{}, fmt.Errorf("regexp.patterns: %q: %w", text, err)
	}
	if re.MatchString("") {
		return pattern{}, fmt.Errorf("regexp.patterns: %q matches the empty text, so it is found everywhere; make it ask for a character", text)
	}
	return pattern{re, literalsOf(text)}, nil
}

// Detect implements Detector. A text of white space alone is not scorable.
func (d *regexps) Detect(ctx context.Context, us []Utterance) ([]Result, error) {
	return eachText(ctx, us, d.detect)
}

func (d *regexps) detect(text string) Result {
	// At this many matches the score is 1 to the last bit.
	most := max(MaxSpans, 64*d.MinMatches)
	var spans []Span
	for _, p := range d.patterns {
		if p.needs != nil && !p.needs.in(text) {
			continue
		}
		for _, m := range p.FindAllStringIndex(text, most) {
			if m[0] < m[1] {
				spans = append(spans, Span{Start: m[0], End: m[1]})
			}
		}
	}
	spans = Disjoint(spans)
	score := saturating(len(spans), d.MinMatches)
	reason := fmt.Sprintf("matches: %d", len(spans))
	return Judged(score, d.Threshold, spans[:min(len(spans), MaxSpans)], reason)
}

// Disjoint sorts spans and drops those that overlap an earlier one, or a longer
// one with the same start. It reuses the slice.
func Disjoint(spans []Span) []Span {
	slices.SortStableFunc(spans, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End))
	})
	kept := spans[:0]
	for _, s := range spans {
		if len(kept) == 0 || s.Start >= kept[len(kept)-1].End {
			kept = append(kept, s)
		}
	}
	return kept
}
