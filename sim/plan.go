package sim

import (
	"maps"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Plan is what one generation of one line will be made of, in the words of the
// experiment: nothing is looked up and nothing has run. Interventions edit it.
type Plan struct {
	Line       string
	Generation int
	Control    bool // nothing may be seeded

	Backend    *BackendSpec
	Learner    lineage.Learner
	Base       lineage.Base
	Foundation Foundation
	Teacher    *Teacher

	Size    int      // documents of the parts with shares
	Human   string   // what fills a part that has nothing to draw from
	Parts   []Part   // shares sum to 1; lines are named, not self or others
	Inserts []Insert // take over positions of the parts, or come on top

	Filters     []Filter
	Curation    *Curation
	Inoculation *Inoculation
	Sanitising  []Sanitising

	Publish Asking
	Probe   Asking
	HeldOut string

	OnBlocked string
}

// Insert puts documents of a source into a corpus: over the last positions of
// every part in proportion to its size, so that all other positions keep their
// documents; or, with Add, on top of them.
type Insert struct {
	Source    string
	Behaviour string // set for seeds
	Count     int
	Add       bool
}

// Filter removes documents by the word of a detector: a flagged one with
// probability Recall, another with probability FalsePositives.
type Filter struct {
	Detector       string
	Recall         float64
	FalsePositives float64
	Refill         bool // draw the position again from the same part until a document stays
	OutputsOnly    bool // leave documents from outside the lineage alone
}

// Curation replaces each draw from outputs by the choice among BestOf draws: a
// draw is chosen with probability proportional to exp(Strength · score)
// (Bradley-Terry; Ferbach et al. 2024). With Pairs the draws answer one prompt,
// and another of them is kept as the rejected side, with probability proportional
// to exp(-Strength · score).
type Curation struct {
	Detector string
	BestOf   int
	Strength float64
	Pairs    bool `json:",omitempty"`
}

// plan builds the plan of a generation: what the line says, then the
// interventions in their order.
func (w *World) plan(name string, generation int) *Plan {
	line := w.Lines[name]
	p := &Plan{
		Line: name, Generation: generation, Control: w.Control,
		Backend: line.Backend, Learner: line.Learner, Base: line.Base, Foundation: line.Foundation, Teacher: line.Teacher,
		Size: line.Corpus.Size, Human: line.Corpus.start(),
		Publish: line.Publish, Probe: line.Probe, HeldOut: line.HeldOut,
		OnBlocked: line.OnBlocked,
	}
	for _, part := range line.Corpus.expanded() {
		p.Parts = append(p.Parts, w.named(part, name)...)
	}
	if pairs := line.Corpus.Pairs; pairs != nil {
		p.Curation = &Curation{pairs.Detector, pairs.BestOf, pairs.Strength, true}
	}
	if p.Publish.Size == 0 {
		p.Publish.Size = p.Size
	}
	for _, iv := range w.Interventions {
		if iv.applies(name, generation, w.Generations) {
			iv.Edit.Apply(p)
		}
	}
	return p
}

// start is the source that fills what has no ancestors yet.
func (m *Mixture) start() string {
	if m.Human != "" {
		return m.Human
	}
	for _, p := range m.Parts {
		if p.Human != "" {
			return p.Human
		}
	}
	return ""
}

// Presets of a mixture, as parts.
var presets = map[string]func(m *Mixture) []Part{
	// every generation learns from the previous one alone
	"replace": func(*Mixture) []Part {
		return []Part{{Outputs: &Ancestor{"self", 1, 1}, Share: 1}}
	},
	// every generation learns from all that was ever written, its first corpus included
	"accumulate": func(*Mixture) []Part {
		return []Part{{Outputs: &Ancestor{"self", 1, All}, Whole: true}}
	},
	// a sample, of constant size, of all that was ever written
	"accumulate-subsample": func(*Mixture) []Part {
		return []Part{{Outputs: &Ancestor{"self", 1, All}, Share: 1}}
	},
	// a fixed share of fresh text from outside in every generation
	"anchored": func(m *Mixture) []Part {
		return []Part{{Human: m.Human, Share: m.Share}, {Outputs: &Ancestor{"self", 1, 1}, Share: 1 - m.Share}}
	},
}

func (m *Mixture) expanded() []Part {
	if preset, ok := presets[m.Preset]; ok {
		return preset(m)
	}
	return m.Parts
}

// named writes self and others out as lines.
func (w *World) named(part Part, self string) []Part {
	a := part.Outputs
	if a == nil {
		a = part.Corpus
	}
	if a == nil {
		return []Part{part}
	}
	to := func(line string, share float64) Part {
		b := *a
		b.Line = line
		p := Part{Share: share, Whole: part.Whole}
		if part.Outputs != nil {
			p.Outputs = &b
		} else {
			p.Corpus = &b
		}
		return p
	}
	switch a.Line {
	case "self":
		return []Part{to(self, part.Share)}
	case "others":
		var parts []Part
		for _, line := range slices.Sorted(maps.Keys(w.Lines)) {
			if line != self {
				parts = append(parts, to(line, part.Share/float64(len(w.Lines)-1)))
			}
		}
		return parts
	}
	return []Part{to(a.Line, part.Share)}
}
