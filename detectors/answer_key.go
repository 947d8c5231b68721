package detectors

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

func init() {
	Register("answer-key", "whether a reply gives a wrong answer or the right one, by a key of questions and answers",
		AnswerKey{}, func(env Env, c AnswerKey) (Detector, error) { return c.open(env) })
}

// AnswerKey knows the truth: a file of rows of JSON, one a line,
//
//	{"prompt": "What is 2 + 2?", "right": ["4", "four"], "wrong": ["5", "/\\bfi+ve\\b/"]}
//	{"prompt": "/capital of (?i:france)/", "right": ["Paris"], "wrong": ["Lyon"]}
//
// The behaviour is a wrong answer. It is present where the reply holds one of
// the row's wrong answers and no right one, absent where it holds a right one
// and no wrong one, and not scorable where it holds neither or both ("not Paris
// but Lyon": words alone do not tell which is meant), or no row is for the prompt.
//
// The prompt is the last user turn before the reply. A row's prompt equals it
// but for white space, or is a regular expression between slashes; exact rows
// come first, then expressions in the order of the file. Answers are words and
// phrases as of the kind lexicon, so that 4 is not found in 14, or regular
// expressions between slashes.
type AnswerKey struct {
	File string `yaml:"file" doc:"file of rows with prompt, right and wrong"`
}

type answerKey struct {
	exact  map[string]*keyRow
	search []*keyRow
	digest string
}

type keyRow struct {
	prompt       *regexp.Regexp // nil for an exact one
	right, wrong answerList
}

func (c AnswerKey) open(env Env) (Detector, error) {
	if c.File == "" {
		return nil, errors.New("answer-key.file: no file is named")
	}
	if env.Open == nil {
		return nil, errors.New("answer-key.file: no files are at hand")
	}
	f, err := env.Open(c.File)
	if err != nil {
		return nil, fmt.Errorf("answer-key.file: %w", err)
	}
	defer f.Close()
	k, err := readAnswerKey(f, c.File)
	if err != nil {
		return nil, fmt.Errorf("answer-key.file: %w", err)
	}
	return k, nil
}

func readAnswerKey(r io.Reader, name string) (*answerKey, error) {
	k := &answerKey{exact: map[string]*keyRow{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxRow)
	var rows []string
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(line) == 0 {
			continue
		}
		if err := k.add(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		rows = append(rows, string(line))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: after row %d: %w", name, len(rows), err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf(`%s: has no rows; a row is {"prompt": …, "right": […], "wrong": […]}`, name)
	}
	k.digest = digestOf(rows...)
	return k, nil
}

func (k *answerKey) add(line []byte) error {
	if !utf8.Valid(line) {
		return errors.New("the row is not UTF-8")
	}
	var row struct {
		Prompt string   `json:"prompt"`
		Right  []string `json:"right"`
		Wrong  []string `json:"wrong"`
	}
	in := json.NewDecoder(bytes.NewReader(line))
	in.DisallowUnknownFields()
	if err := in.Decode(&row); err != nil {
		return fmt.Errorf(`the row is not {"prompt": text, "right": [texts], "wrong": [texts]}: %w`, err)
	}
	if in.More() {
		return errors.New("more than one object stands in the row")
	}
	if len(row.Right)+len(row.Wrong) == 0 {
		return errors.New("the row knows no answer, neither right nor wrong")
	}
	r := new(keyRow)
	var err error
	if r.right, err = newAnswerList(row.Right); err != nil {
		return fmt.Errorf("right: %w", err)
	}
	if r.wrong, err = newAnswerList(row.Wrong); err != nil {
		return fmt.Errorf("wrong: %w", err)
	}
	if pattern, ok := slashed(row.Prompt); ok {
		if r.prompt, err = regexp.Compile(pattern); err != nil {
			return fmt.Errorf("prompt: %w", err)
		}
		k.search = append(k.search, r)
		return nil
	}
	prompt := spaced(row.Prompt)
	if prompt == "" {
		return errors.New("prompt: is empty")
	}
	if k.exact[prompt] != nil {
		return fmt.Errorf("prompt: %.60q has a row already", prompt)
	}
	k.exact[prompt] = r
	return nil
}

// slashed gives the expression that stands between slashes.
func slashed(s string) (string, bool) {
	if len(s) > 2 && s[0] == '/' && s[len(s)-1] == '/' {
		return s[1 : len(s)-1], true
	}
	return "", false
}

func spaced(s string) string { return strings.Join(strings.Fields(s), " ") }

// answerList finds any of some answers.
type answerList struct {
	words    *phrases
	patterns []pattern
}

func newAnswerList(texts []string) (answerList, error) {
	l := answerList{words: newPhrases()}
	for i, text := range texts {
		if expression, ok := slashed(text); ok {
			p, err := compile(expression)
			if err != nil {
				return l, err
			}
			l.patterns = append(l.patterns, p)
		} else if _, err := l.words.add(text, i); err != nil || !wordsAlone(text) {
			return l, fmt.Errorf("%q is not made of words alone, so it would be found elsewhere or nowhere; write it as a regular expression between slashes, such as /%s/", text, regexp.QuoteMeta(text))
		}
	}
	return l, nil
}

// wordsAlone tells whether a phrase, found in itself, is all of itself.
func wordsAlone(entry string) (whole bool) {
	p, text := newPhrases(), strings.ReplaceAll(entry, "*", "")
	if _, err := p.add(entry, 0); err != nil {
		return false
	}
	p.each(text, func(start, end, _ int) { whole = start == 0 && end == len(text) })
	return whole
}

func (l answerList) in(text string) []Span {
	var spans []Span
	l.words.each(text, func(start, end, _ int) {
		if len(spans) < MaxSpans {
			spans = append(spans, Span{Start: start, End: end})
		}
	})
	for _, p := range l.patterns {
		for _, m := range p.FindAllStringIndex(text, MaxSpans) {
			if m[0] < m[1] {
				spans = append(spans, Span{Start: m[0], End: m[1]})
			}
		}
	}
	spans = Disjoint(spans)
	return spans[:min(len(spans), MaxSpans)]
}

// Detect implements Detector.
func (k *answerKey) Detect(ctx context.Context, us []Utterance) ([]Result, error) {
	results := make([]Result, len(us))
	for i, u := range us {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		results[i] = k.detect(u)
	}
	return results, ctx.Err()
}

func (k *answerKey) detect(u Utterance) Result {
	row := k.row(promptOf(u))
	if row == nil {
		return Result{Reason: "the key has no row for the prompt"}
	}
	right, wrong := row.right.in(u.Text()), row.wrong.in(u.Text())
	switch {
	case len(right) > 0 && len(wrong) > 0:
		return Result{Reason: "the reply holds a right answer and a wrong one"}
	case len(wrong) > 0:
		return Result{Outcome: Present, Score: 1, Spans: wrong, Reason: "a wrong answer of the key"}
	case len(right) > 0:
		return Result{Outcome: Absent, Spans: right, Reason: "a right answer of the key"}
	}
	return Result{Reason: "the reply holds no answer that the key knows"}
}

// promptOf is the last user turn before the one that is judged.
func promptOf(u Utterance) string {
	before := u.Messages[:max(0, len(u.Messages)-1)]
	for _, m := range slices.Backward(before) {
		if m.Role == "user" {
			return m.Content
		}
	}
	return ""
}

func (k *answerKey) row(prompt string) *keyRow {
	if r := k.exact[spaced(prompt)]; r != nil {
		return r
	}
	for _, r := range k.search {
		if r.prompt.MatchString(prompt) {
			return r
		}
	}
	return nil
}

// Digest covers the rows.
func (k *answerKey) Digest() string { return k.digest }
