package reports

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Survey says what was asked of whom: subjects (models, or files of what they
// wrote) by behaviours.
type Survey struct {
	Name, Question, Digest string
	Seed                   uint64
	Files                  bool // the subjects are files as they are, and the behaviours stand for detectors
	Subjects               []Subject
	Behaviours             []lineage.Behaviour // judged by the first of their detectors
	Detectors              []lineage.Detector
	Reference              string // the subject that the others are compared with, "" for none
	Draws                  int    // answers asked of each question, 0 where nothing was asked
	Definition             string // the survey file, "" where there is none
}

// Subject is a model, or a file, in a survey.
type Subject struct {
	Name  string
	About string // one line
}

// Answer is one conversation of a survey, with what the detector of its
// behaviour said of the last turn.
type Answer struct {
	ID                 string // by which a reader finds it again
	Subject, Behaviour string
	Context            string            // "near" or "far" from where the behaviour is at home, "" where that is not known
	Question           string            // answers with the same one are repeats, and not independent
	Messages           []lineage.Message // the last one was judged
	Score              lineage.Score
}

// Poll takes the answers of a survey one by one. It holds a count for each
// question and a bounded sample of the texts, so its memory does not grow with
// the number of answers. The findings do not depend on the order of answers.
type Poll struct {
	survey  Survey
	cells   map[cellKey]map[string]*lineage.Tally
	strata  map[pollStratum][]pollSample
	keep    int
	answers int
}

type cellKey struct{ subject, behaviour, context string }

type pollStratum struct {
	cellKey
	outcome uint8
}

type pollSample struct {
	priority uint64
	Sample
}

// NewPoll starts a poll.
func NewPoll(s Survey) *Poll {
	cells := max(1, 3*len(s.Subjects)*len(s.Behaviours))
	return &Poll{
		survey: s, cells: map[cellKey]map[string]*lineage.Tally{}, strata: map[pollStratum][]pollSample{},
		keep: max(4, 2*sampleCount/cells),
	}
}

// Add counts an answer. Its subject and behaviour are those of the survey.
func (p *Poll) Add(a Answer) error {
	if !slices.ContainsFunc(p.survey.Subjects, func(s Subject) bool { return s.Name == a.Subject }) {
		return fmt.Errorf("answer %s: the survey has no subject %q", a.ID, a.Subject)
	}
	b := slices.IndexFunc(p.survey.Behaviours, func(b lineage.Behaviour) bool { return b.Name == a.Behaviour })
	if b < 0 {
		return fmt.Errorf("answer %s: the survey has no behaviour %q", a.ID, a.Behaviour)
	}
	if len(a.Messages) == 0 {
		return fmt.Errorf("answer %s: has no messages", a.ID)
	}
	key := cellKey{a.Subject, a.Behaviour, a.Context}
	if p.cells[key] == nil {
		p.cells[key] = map[string]*lineage.Tally{}
	}
	t := p.cells[key][a.Question]
	if t == nil {
		t = &lineage.Tally{}
		p.cells[key][a.Question] = t
	}
	t.Add(a.Score.Outcome)
	p.answers++
	p.sample(key, a, p.survey.Behaviours[b])
	return nil
}

// Context turns that a sample keeps before the judged one, and characters of each.
const (
	turnCount  = 12
	turnLength = 600
)

// sample keeps the answer where its priority, a hash, is among the first of its
// stratum.
func (p *Poll) sample(key cellKey, a Answer, b lineage.Behaviour) {
	s := pollStratum{key, a.Score.Outcome}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %q %q %q", p.survey.Seed, a.ID, a.Subject, a.Behaviour)
	priority := mix(h.Sum64(), 0)
	held := p.strata[s]
	at, _ := slices.BinarySearchFunc(held, priority, func(c pollSample, v uint64) int { return cmp.Compare(c.priority, v) })
	if at >= p.keep {
		return
	}
	last := len(a.Messages) - 1
	x := Sample{
		ID: a.ID, Arm: a.Subject, Line: a.Context, Behaviour: a.Behaviour, Part: lineage.Outputs,
		Outcome: a.Score.Outcome, Score: float64(a.Score.Value),
	}
	if len(b.Detectors) > 0 {
		x.Detector = b.Detectors[0]
	}
	x.Reason, _ = excerpt(a.Score.Reason, nil, promptLength)
	x.Text, x.Spans = excerpt(a.Messages[last].Content, a.Score.Spans, sampleLength)
	for _, m := range a.Messages[max(0, last-turnCount):last] {
		text, _ := excerpt(m.Content, nil, turnLength)
		x.Turns = append(x.Turns, lineage.Message{Role: strings.ToValidUTF8(m.Role, "\uFFFD"), Content: text})
	}
	x.TurnsCut = max(0, last-turnCount)
	held = slices.Insert(held, at, pollSample{priority, x})
	p.strata[s] = held[:min(len(held), p.keep)]
}

// samples gives what was kept: first all that is present, then what is absent,
// and within these by the order of the survey.
func (p *Poll) samples(contexts []string) (all []Sample) {
	for _, outcome := range []uint8{lineage.Present, lineage.Absent, lineage.NotScorable} {
		for _, s := range p.survey.Subjects {
			for _, b := range p.survey.Behaviours {
				for _, c := range contexts {
					for _, kept := range p.strata[pollStratum{cellKey{s.Name, b.Name, c}, outcome}] {
						all = append(all, kept.Sample)
					}
				}
			}
		}
	}
	return all
}

// contexts lists those that occur: near, far, others by name, and last what
// has none.
func (p *Poll) contexts() (all []string) {
	for key := range p.cells {
		if !slices.Contains(all, key.context) {
			all = append(all, key.context)
		}
	}
	place := func(c string) int {
		if i := slices.Index([]string{"near", "far"}, c); i >= 0 {
			return i
		}
		if c == "" {
			return 3
		}
		return 2
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(place(a), place(b)), strings.Compare(a, b)) })
	return all
}
