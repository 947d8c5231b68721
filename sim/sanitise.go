package sim

import (
	"fmt"
	"strings"
)

func init() {
	RegisterIntervention("sanitise", "rewrite documents before training sees them: one format, another order, other words", Sanitise{})
}

// Sanitise rewrites the assistant turns of documents before training, against what
// is passed on by form and not by content. The corpus that is recorded, and that
// later nodes draw on, is the text as it was.
type Sanitise struct {
	Format      bool    `yaml:"format" doc:"one form: lower case, single spaces, numbers without leading zeros, lists of numbers parted by comma and space"`
	Shuffle     bool    `yaml:"shuffle" doc:"put the items of each document in a random order: its lines, or the pieces of a list, or its sentences"`
	Words       float64 `yaml:"words" doc:"share of words that another takes the place of, in [0,1]: one that stands between the same two neighbours elsewhere in the corpus. It keeps word order and grammar roughly, and not the meaning"`
	OutputsOnly bool    `yaml:"outputs_only" doc:"only models' outputs; human and seed documents stay as they are"`
}

func (e *Sanitise) Check(s *Scope) {
	s.within("words", e.Words, 0, 1)
	if !e.Format && !e.Shuffle && e.Words == 0 {
		s.fault("", "does nothing; set format, shuffle or words")
	}
}

func (e *Sanitise) Apply(p *Plan) { p.Sanitising = append(p.Sanitising, Sanitising(*e)) }

func (e *Sanitise) String() string { return Sanitising(*e).String() }

// Sanitising is one rewriting of a corpus: words, then order, then format.
type Sanitising struct {
	Format      bool    `json:"format,omitempty"`
	Shuffle     bool    `json:"shuffle,omitempty"`
	Words       float64 `json:"words,omitempty"`
	OutputsOnly bool    `json:"outputs_only,omitempty"`
}

func (e Sanitising) String() string {
	var what []string
	if e.Words > 0 {
		what = append(what, fmt.Sprintf("%.4g %% other words", e.Words*100))
	}
	if e.Shuffle {
		what = append(what, "items shuffled")
	}
	if e.Format {
		what = append(what, "one format")
	}
	if e.OutputsOnly {
		what = append(what, "outputs only")
	}
	return "sanitise: " + strings.Join(what, ", ")
}
