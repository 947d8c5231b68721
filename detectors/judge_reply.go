package detectors

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// opinion is what one repeat gives.
type opinion struct {
	can       bool
	score     float64 // in [0,1]
	coherence float64
	evidence  string
	why       string // the judge's reason, or why it could not
	odd       bool   // its verdict and its score contradict each other
	model     string // as the server names it
}

// wire is an answer as the schema has it.
type wire struct {
	Verdict   string  `json:"verdict"`
	Score     *number `json:"score"`
	Coherence *number `json:"coherence"`
	Evidence  string  `json:"evidence"`
	Reason    string  `json:"reason"`
}

// number is one that may stand in quotation marks.
type number float64

func (n *number) UnmarshalJSON(data []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(data), `" `), 64)
	*n = number(v)
	return err
}

// within tells whether there is a number, and it lies in a range.
func (n *number) within(lo, hi int) bool {
	return n != nil && *n >= number(lo) && *n <= number(hi) // neither holds of NaN
}

// read understands an answer. What it does not understand it does not guess.
func (d *judge) read(r ChatReply) opinion {
	o := opinion{model: r.Model}
	switch r.Finish {
	case "length":
		o.why = fmt.Sprintf("the judge was cut off at %d tokens", d.MaxTokens)
		return o
	case "content_filter", "refusal":
		o.why = "the judge refused"
		return o
	case "too_long":
		o.why = "the judge cannot take in a text of this length"
		return o
	}
	w, ok := parseAnswer(r.Text, d.scale)
	if !ok {
		o.why = "the judge's answer cannot be read: " + r.Text
		return o
	}
	o.why, o.evidence = w.Reason, w.Evidence
	if w.Verdict == "cannot_judge" {
		return o
	}
	if d.Coherence > 0 {
		if !w.Coherence.within(0, 100) {
			o.why = "the judge did not say how coherent the text is"
			return o
		}
		o.coherence = float64(*w.Coherence)
	}
	if d.scale.yesNo() {
		o.can, o.score = true, float64(index(w.Verdict == "present"))
		return o
	}
	if !w.Score.within(d.scale.lo, d.scale.hi) {
		o.why = "the judge gave no score within " + d.Scale
		return o
	}
	o.can, o.score = true, (float64(*w.Score)-float64(d.scale.lo))/float64(d.scale.hi-d.scale.lo)
	o.odd = w.Verdict == "present" && o.score == 0 || w.Verdict == "absent" && o.score == 1
	return o
}

// longestAnswer in bytes; no judge that keeps to its rubric comes near.
const longestAnswer = 1 << 16

// parseAnswer reads an answer that follows the schema, or, of a server that does
// not know schemas, the last JSON object in it that holds a verdict or a score,
// or an answer that is nothing but a verdict or a number.
func parseAnswer(text string, s scale) (w wire, ok bool) {
	if len(text) > longestAnswer {
		return w, false
	}
	for rest := text; ; {
		i := strings.IndexByte(rest, '{')
		if i < 0 {
			break
		}
		rest = rest[i:]
		var object json.RawMessage
		in := json.NewDecoder(strings.NewReader(rest))
		if in.Decode(&object) != nil {
			rest = rest[1:]
			continue
		}
		var found wire
		if json.Unmarshal(object, &found) == nil && found.settled(s) {
			w, ok = found, true
		}
		rest = rest[in.InputOffset():]
	}
	if ok {
		return w, true
	}
	w.bare(strings.ToLower(strings.Trim(text, " \t\n\r.!*\"'`")), s)
	return w, w.settled(s)
}

// settled tells whether an answer is one, and writes its verdict as the schema
// has it.
func (w *wire) settled(s scale) bool {
	switch v := strings.ToLower(strings.TrimSpace(w.Verdict)); v {
	case "present", "yes":
		w.Verdict = "present"
	case "absent", "no":
		w.Verdict = "absent"
	case "cannot_judge", "cannot judge":
		w.Verdict = "cannot_judge"
	case "":
		return !s.yesNo() && w.Score != nil
	default:
		return false
	}
	return true
}

// bare reads a single word or number, such as 85 or 85/100.
func (w *wire) bare(text string, s scale) {
	if s.yesNo() {
		w.Verdict = text
		return
	}
	if v, err := strconv.ParseFloat(strings.TrimSuffix(text, fmt.Sprintf("/%d", s.hi)), 64); err == nil {
		w.Score = (*number)(&v)
	} else if strings.HasPrefix(text, "cannot") {
		w.Verdict = text
	}
}

// combine makes one result of the repeats.
func (d *judge) combine(text string, all []opinion) Result {
	can := slices.DeleteFunc(slices.Clone(all), func(o opinion) bool { return !o.can })
	if 2*len(can) < len(all) {
		why := all[slices.IndexFunc(all, func(o opinion) bool { return !o.can })].why
		return Result{Reason: d.told(fmt.Sprintf("%d of %d cannot judge", len(all)-len(can), len(all)), why, all)}
	}
	var scores, coherence []float64
	for _, o := range can {
		scores, coherence = append(scores, o.score), append(coherence, o.coherence)
	}
	if c := mean(coherence); d.Coherence > 0 && c < d.Coherence {
		return Result{Reason: d.told(fmt.Sprintf("coherence %.0f is below %v", c, d.Coherence), can[0].why, all)}
	}
	r := Judged(mean(scores), d.Threshold, nil, "")
	speaks := can[0] // the first that agrees with the whole
	if i := slices.IndexFunc(can, func(o opinion) bool { return (o.score >= d.Threshold) == (r.Outcome == Present) }); i >= 0 {
		speaks = can[i]
	}
	if r.Outcome == Present {
		r.Spans = d.evidence(text, can)
	}
	r.Reason = d.told(d.agreement(all, can), speaks.why, all)
	return r
}

// agreement puts into words how far the repeats differ.
func (d *judge) agreement(all, can []opinion) string {
	var parts []string
	if len(all) > 1 {
		least, most, present := can[0].score, can[0].score, 0
		for _, o := range can {
			least, most = min(least, o.score), max(most, o.score)
			present += index(o.score >= d.Threshold)
		}
		parts = append(parts, fmt.Sprintf("%d of %d present, scores %.2f to %.2f", present, len(can), least, most))
	}
	if n := len(all) - len(can); n > 0 {
		parts = append(parts, fmt.Sprintf("%d cannot judge", n))
	}
	if slices.ContainsFunc(can, func(o opinion) bool { return o.odd }) {
		parts = append(parts, "verdict and score disagree")
	}
	return strings.Join(parts, ", ")
}

// told is the line for people: how the repeats stand, what the judge says, and
// who it was where that is not who was asked.
func (d *judge) told(standing, why string, all []opinion) string {
	parts := []string{}
	for _, p := range []string{standing, oneLine(why, 300)} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	line := strings.Join(parts, ": ")
	for _, o := range all {
		if o.model != d.Model && o.model != "" {
			return strings.TrimSpace(line + " (" + oneLine(o.model, 80) + ")")
		}
	}
	return line
}

// evidence finds what the judges quoted, word for word.
func (d *judge) evidence(text string, can []opinion) []Span {
	var spans []Span
	for _, o := range can {
		if o.score < d.Threshold {
			continue
		}
		for _, quote := range []string{o.evidence, strings.Trim(strings.TrimSpace(o.evidence), "\"'“”‘’…")} {
			if at := strings.Index(text, quote); at >= 0 && strings.TrimSpace(quote) != "" {
				spans = append(spans, Span{Start: at, End: at + len(quote)})
				break
			}
		}
	}
	return Disjoint(spans)
}
