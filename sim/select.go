package sim

import "fmt"

func init() {
	RegisterIntervention("filter", "remove documents that a detector flags, with a stated recall and false-positive rate",
		FilterBy{Recall: 1, Refill: true})
	RegisterIntervention("curate", "choose each document among several by a detector's score (Bradley-Terry)",
		Curate{BestOf: 2, Strength: 1})
}

// FilterBy removes documents before training. What it removed, measured against
// the detector and against what is known to be seeded, is recorded with the node.
type FilterBy struct {
	Detector       string  `yaml:"detector" doc:"detector whose word counts"`
	Recall         float64 `yaml:"recall" doc:"probability that a flagged document is removed"`
	FalsePositives float64 `yaml:"false_positives" doc:"probability that a document which is not flagged is removed"`
	Refill         bool    `yaml:"refill" doc:"draw again from the same part until a document stays; otherwise the corpus shrinks"`
	OutputsOnly    bool    `yaml:"outputs_only" doc:"look at models' outputs only, and leave human and seed documents alone"`
}

func (f *FilterBy) Check(s *Scope) {
	s.detector("detector", f.Detector)
	s.within("recall", f.Recall, 0, 1)
	s.within("false_positives", f.FalsePositives, 0, 1)
}

func (f *FilterBy) Apply(p *Plan) { p.Filters = append(p.Filters, Filter(*f)) }

func (f *FilterBy) String() string {
	return fmt.Sprintf("filter by %s, recall %.4g, false positives %.4g", f.Detector, f.Recall, f.FalsePositives)
}

// Curate makes selection: people (or a reward) choose among outputs, and what
// they choose is trained on.
type Curate struct {
	Detector string  `yaml:"detector" doc:"detector whose score is the reward"`
	BestOf   int     `yaml:"best_of" doc:"how many outputs each document is chosen among"`
	Strength float64 `yaml:"strength" doc:"log-odds by which a score of 1 is preferred over 0; negative selects against"`
}

func (c *Curate) Check(s *Scope) {
	s.detector("detector", c.Detector)
	s.within("best_of", float64(c.BestOf), 1, 256)
	s.within("strength", c.Strength, -maxStrength, maxStrength)
}

// maxStrength is what a choice can be weighted by without an overflow.
const maxStrength = 500

// Apply leaves it to the line whether the rejected side is kept.
func (c *Curate) Apply(p *Plan) {
	p.Curation = &Curation{c.Detector, c.BestOf, c.Strength, p.Curation != nil && p.Curation.Pairs}
}

func (c *Curate) String() string {
	return fmt.Sprintf("curate: best of %d by %s, strength %.4g", c.BestOf, c.Detector, c.Strength)
}
