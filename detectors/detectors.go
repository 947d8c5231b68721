// Package detectors decides whether a behaviour shows in what a model wrote.
//
// A Detector is given utterances (a conversation whose last turn is the one to
// be judged) and answers each with one of three outcomes: present with a score,
// absent with a score, or not scorable. Not scorable is not zero: it leaves the
// denominator. A detector sees text and nothing else: not who wrote it, not
// which generation it is, not what was seeded.
//
// The package imports nothing else of heirloom. A detector of your own is one
// file: a struct with yaml tags for its settings, a Detect method, and a call
// of Register in an init function; detectortest.Run checks it.
package detectors

import "context"

// Message is one turn of a chat: the same type as lineage.Message.
type Message = struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Utterance is one assistant turn in its conversation. The last message is the
// one to be judged; those before it are context.
type Utterance struct {
	Messages []Message
}

// Text is the turn to be judged, "" when there is none.
func (u Utterance) Text() string {
	if len(u.Messages) == 0 {
		return ""
	}
	return u.Messages[len(u.Messages)-1].Content
}

// Outcome is what a detector says of one utterance.
type Outcome uint8

const (
	NotScorable Outcome = iota // empty, refused, in a language that it cannot read
	Absent
	Present
)

func (o Outcome) String() string {
	return [...]string{"not scorable", "absent", "present"}[o]
}

// Result is the outcome for one utterance. Score is the strength in [0,1] and
// has no meaning when the outcome is NotScorable. Spans point at the evidence
// in Utterance.Text, as byte offsets on rune borders, ascending, not
// overlapping. Reason is one line for people.
type Result struct {
	Outcome Outcome
	Score   float64
	Spans   []Span
	Reason  string
}

// Span is text[Start:End]; Label says which part of the behaviour it shows, ""
// where there is only one.
type Span struct {
	Start, End int
	Label      string
}

// Detector answers each utterance with one result, in the same order. It may be
// called by several goroutines at once; its answer for an utterance depends on
// that utterance alone.
type Detector interface {
	Detect(ctx context.Context, us []Utterance) ([]Result, error)
}

// Digester is met by detectors whose answers depend on more than their name and
// settings, such as a trained classifier: the digest covers all of it.
type Digester interface{ Digest() string }

// Identified is met by detectors that ask a model: Identity says which one and
// with what question, in one line for people.
type Identified interface{ Identity() string }

// Judged turns a score into a result against a threshold.
func Judged(score, threshold float64, spans []Span, reason string) Result {
	r := Result{Outcome: Absent, Score: score, Spans: spans, Reason: reason}
	if score >= threshold {
		r.Outcome = Present
	}
	return r
}
