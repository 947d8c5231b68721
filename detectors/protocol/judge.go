package protocol

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/detectors"
)

// judgement turns answers into results. threshold is that of the experiment; nil
// leaves it to the detector.
type judgement struct {
	threshold *float64
	own       float64
}

// result is the result of an answer. A fault says why there is none, complaint
// what was left out of it.
func (j judgement) result(a *answer, text string) (r detectors.Result, complaint, fault error) {
	switch {
	case a.fault != "":
		return r, nil, errors.New(a.fault)
	case a.Error != "":
		return r, nil, fmt.Errorf("the detector failed on it: %s", line(a.Error, longestReason))
	case a.Score == nil:
		return r, nil, errors.New(`the answer has no "score"; null says that a text cannot be scored`)
	case bytes.Equal(a.Score, []byte("null")):
		if a.Present != nil {
			return r, nil, errors.New(`the answer says "present" without a score; a text that cannot be scored is neither`)
		}
		return detectors.Result{Reason: line(a.Reason, longestReason)}, nil, nil
	}
	var score float64
	if err := json.Unmarshal(a.Score, &score); err != nil || math.IsNaN(score) || score < 0 || score > 1 {
		return r, nil, fmt.Errorf("the score %s is not a number within [0,1]", line(string(a.Score), 40))
	}
	spans, complaint := spansOf(a.Spans, text)
	threshold := j.own
	if j.threshold != nil {
		threshold = *j.threshold
	}
	r = detectors.Judged(score, threshold, spans, line(a.Reason, longestReason))
	if j.threshold == nil && a.Present != nil {
		r.Outcome = detectors.Absent
		if *a.Present {
			r.Outcome = detectors.Present
		}
	}
	return r, complaint, nil
}

// mostSpans bounds the evidence kept of one text.
const mostSpans = 1000

// spansOf reads [[start, end, "label"?], …] in code points and gives bytes,
// ascending and disjoint. Spans that do not fit the text are left out: the score
// stands without them.
func spansOf(data json.RawMessage, text string) ([]detectors.Span, error) {
	if data == nil || bytes.Equal(data, []byte("null")) || bytes.Equal(data, []byte("[]")) {
		return nil, nil
	}
	var raw [][]any
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, errors.New(`the spans are not a list of [start, end] or [start, end, "label"]`)
	}
	var complaint error
	spans := make([]detectors.Span, 0, len(raw))
	length := utf8.RuneCountInString(text)
	for _, item := range raw {
		s, err := spanOf(item, length)
		if err != nil {
			complaint = err
			continue
		}
		spans = append(spans, s)
	}
	slices.SortStableFunc(spans, func(a, b detectors.Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End))
	})
	kept := spans[:0]
	for _, s := range spans {
		if n := len(kept); n == mostSpans {
			complaint = fmt.Errorf("there are more than %d spans; the first are kept", mostSpans)
			break
		} else if n > 0 && s.Start < kept[n-1].End {
			complaint = errors.New("spans overlap; of two the first is kept")
			continue
		}
		kept = append(kept, s)
	}
	toBytes(kept, text)
	return kept, complaint
}

func spanOf(item []any, length int) (s detectors.Span, err error) {
	if len(item) < 2 || len(item) > 3 {
		return s, errors.New(`a span is [start, end] or [start, end, "label"]`)
	}
	start, isStart := item[0].(float64)
	end, isEnd := item[1].(float64)
	if !isStart || !isEnd || start != math.Trunc(start) || end != math.Trunc(end) {
		return s, errors.New("the ends of a span are whole numbers")
	}
	if start < 0 || end <= start || end > float64(length) {
		return s, fmt.Errorf("the span [%v, %v] is not within a text of %d characters; spans count Unicode code points, not bytes or UTF-16 units", start, end, length)
	}
	if len(item) == 3 {
		label, ok := item[2].(string)
		if !ok {
			return s, errors.New("the label of a span is text")
		}
		s.Label = line(label, longestLabel)
	}
	s.Start, s.End = int(start), int(end)
	return s, nil
}

// toBytes turns ascending code points into byte offsets, in one walk. A byte that
// is not UTF-8 went out as one U+FFFD, and range counts it as one.
func toBytes(spans []detectors.Span, text string) {
	if len(spans) == 0 {
		return
	}
	next, point := 0, 0
	at := func(p int) *int {
		if p%2 == 0 {
			return &spans[p/2].Start
		}
		return &spans[p/2].End
	}
	for offset := range text {
		for next < 2*len(spans) && *at(next) == point {
			*at(next) = offset
			next++
		}
		point++
	}
	for ; next < 2*len(spans); next++ {
		*at(next) = len(text)
	}
}
