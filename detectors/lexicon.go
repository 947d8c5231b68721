package detectors

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

func init() {
	Register("lexicon", "words and phrases, any case, at word borders; trauma* takes any ending",
		Lexicon{MinHits: 1, Threshold: .5},
		func(env Env, c Lexicon) (Detector, error) { return c.open(env) })
}

// Lexicon is present where a text holds enough of the listed words and phrases.
//
// Case does not matter; a word is a run of Unicode letters, digits and
// combining marks, or a single ideograph or pictograph; the words of a phrase
// may be separated by white space, dashes, apostrophes, quotation marks and
// emphasis. A * that ends a word takes any ending: trauma* finds "trauma" and
// "traumatised". Composed and decomposed accents are different.
//
// The score of h hits is 1 − 2^(−h/MinHits): one half at MinHits, 1 in the limit.
// Hits do not overlap; of entries that start together the longest counts.
type Lexicon struct {
	Words     []string `yaml:"words" doc:"words and phrases; a trailing * takes every ending"`
	File      string   `yaml:"file" doc:"more entries, one a line; blank lines and lines that begin with # are skipped"`
	MinHits   int      `yaml:"min_hits" doc:"hits from which the score is .5"`
	Threshold float64  `yaml:"threshold" doc:"score from which the behaviour is present"`
}

type lexicon struct {
	Lexicon
	entries []string
	found   *phrases
}

func (c Lexicon) open(env Env) (Detector, error) {
	entries := c.Words
	if c.File != "" {
		more, err := readEntries(env, c.File)
		if err != nil {
			return nil, fmt.Errorf("lexicon.file: %w", err)
		}
		entries = append(entries[:len(entries):len(entries)], more...)
	}
	l := &lexicon{Lexicon: c, entries: entries, found: newPhrases()}
	faults := []error{checkThreshold("lexicon", c.Threshold), checkCount("lexicon.min_hits", c.MinHits)}
	if len(entries) == 0 {
		faults = append(faults, errors.New("lexicon.words: no word is listed; give words or a file"))
	}
	for i, e := range entries {
		if _, err := l.found.add(e, i); err != nil {
			faults = append(faults, fmt.Errorf("lexicon: entry %d, %w", i+1, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return l, nil
}

func readEntries(env Env, name string) ([]string, error) {
	if env.Open == nil {
		return nil, fmt.Errorf("%s cannot be opened: no files are at hand", name)
	}
	f, err := env.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseEntries(f, name)
}

func parseEntries(r io.Reader, name string) ([]string, error) {
	var entries []string
	lines := bufio.NewScanner(r)
	n := 0
	for lines.Scan() {
		n++
		e := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if !utf8.ValidString(e) {
			return nil, fmt.Errorf("%s:%d: the line is not UTF-8", name, n)
		}
		if e != "" && !strings.HasPrefix(e, "#") {
			entries = append(entries, e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, n+1, err)
	}
	return entries, nil
}

// Detect implements Detector. A text of white space alone is not scorable.
func (l *lexicon) Detect(ctx context.Context, us []Utterance) ([]Result, error) {
	return eachText(ctx, us, l.detect)
}

func (l *lexicon) detect(text string) Result {
	var spans []Span
	hits := 0
	l.found.each(text, func(start, end, _ int) {
		if hits++; len(spans) < MaxSpans {
			spans = append(spans, Span{Start: start, End: end})
		}
	})
	return Judged(saturating(hits, l.MinHits), l.Threshold, spans, fmt.Sprintf("hits: %d", hits))
}

// Digest covers the entries, those of the file included.
func (l *lexicon) Digest() string { return digestOf(l.entries...) }

// MaxSpans bounds the evidence kept of one text; a hostile one could hold millions.
const MaxSpans = 1000

// eachText judges the texts one by one; those of white space alone are not
// scorable.
func eachText(ctx context.Context, us []Utterance, judge func(text string) Result) ([]Result, error) {
	results := make([]Result, len(us))
	for i, u := range us {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		text := u.Text()
		if strings.TrimSpace(text) == "" {
			results[i] = Result{Reason: "the text is empty"}
			continue
		}
		results[i] = judge(text)
	}
	return results, ctx.Err()
}

// saturating is the score of a number of hits of which need make one half.
func saturating(hits, need int) float64 { return 1 - math.Exp2(-float64(hits)/float64(need)) }

func checkThreshold(kind string, t float64) error {
	if t >= 0 && t <= 1 {
		return nil
	}
	return fmt.Errorf("%s.threshold: %v is not within [0,1]", kind, t)
}

func checkCount(setting string, n int) error {
	if n >= 1 {
		return nil
	}
	return fmt.Errorf("%s: %d is less than 1", setting, n)
}
