package reports

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// Options of Measure. They change what is shown, never a number.
type Options struct {
	Samples int // texts to show; 0 for 240, negative for none
	Chars   int // characters of a shown text or prompt; 0 for 1200
}

// parts are what is measured of a node, and never pooled.
var parts = []string{lineage.Outputs, lineage.Probes}

// Measure reads a study's nodes and scores from the ledger and estimates what a
// report shows. Scores are read chunk by chunk and texts only where they are
// shown, so memory grows with the number of nodes and not with that of texts.
//
// The replicate is the unit of inference: its prevalence is present/(present +
// absent), intervals are Student's t over replicates and differences are paired
// with the baseline arm. A partial run is measured as far as it got: what lacks
// is listed in Missing and Warnings. The result depends on the ledger, the
// study and the options alone. An error means that a record cannot be read or
// contradicts another.
func Measure(l lineage.Ledger, study lineage.Study, o Options) (*Findings, error) {
	m, err := newMeasurement(l, study, o)
	if err != nil {
		return nil, err
	}
	if err := m.load(); err != nil {
		return nil, err
	}
	m.blocked()
	if err := m.calibrations(); err != nil {
		return nil, err
	}
	if err := m.known(); err != nil {
		return nil, err
	}
	if err := m.count(); err != nil {
		return nil, err
	}
	m.quality()
	m.doses()
	m.curves()
	m.compare()
	m.correct()
	m.ask()
	m.verdicts()
	if err := m.samples(); err != nil {
		return nil, err
	}
	m.warnings()
	m.headline()
	return m.Findings, nil
}

// measurement is a study on its way from records to findings.
type measurement struct {
	*Findings
	ledger      lineage.Ledger
	options     Options
	watches     []watch
	generations int
	unmade      map[lineage.ID]lineage.Node // blocked, or descending from what was
	expected    int                         // distinct nodes of the study
	tallies     map[tallyKey]lineage.Tally
	prompts     map[string]*lineage.Prompts // nil: the ledger lacks them
	unscored    map[string]int              // nodes that a detector has not scored, by its name
	repeats     map[repeatKey]*repeats
	truths      map[truthKey]map[int]bool // by index of the text
	disputed    map[string]int            // texts on which labels disagree, by behaviour
	labelled    map[tallyKey][]labelledText
	questions   map[tallyKey][]popgen.Answers // of probes
	candidates  *reservoir
	texts       int
	index       map[seriesKey]int // in Curves
}

// watch is a detector in its role for a behaviour.
type watch struct {
	behaviour lineage.Behaviour
	detector  lineage.Detector
	first     bool // the one that judges
}

// place is where a node stands in the study.
type place struct{ arm, line, replicate, generation int }

func newMeasurement(l lineage.Ledger, study lineage.Study, o Options) (*measurement, error) {
	o.Samples, o.Chars = max(cmp.Or(o.Samples, 240), 0), cmp.Or(max(o.Chars, 0), 1200)
	m := &measurement{
		Findings: &Findings{Study: study, Nodes: map[lineage.ID]lineage.Node{}},
		ledger:   l, options: o, generations: study.Generations, unmade: map[lineage.ID]lineage.Node{},
		tallies: map[tallyKey]lineage.Tally{}, prompts: map[string]*lineage.Prompts{},
		unscored: map[string]int{}, repeats: map[repeatKey]*repeats{}, index: map[seriesKey]int{},
		truths: map[truthKey]map[int]bool{}, disputed: map[string]int{},
		labelled: map[tallyKey][]labelledText{}, questions: map[tallyKey][]popgen.Answers{},
	}
	for _, a := range study.Arms {
		if len(a.Nodes) != len(study.Lines) {
			return nil, fmt.Errorf("study %s: arm %q has nodes of %d lines, and the study has %d", study.Digest, a.Name, len(a.Nodes), len(study.Lines))
		}
		for _, replicates := range a.Nodes {
			for _, ids := range replicates {
				m.generations = max(m.generations, len(ids))
			}
		}
	}
	for _, b := range study.Behaviours {
		for i, name := range b.Detectors {
			at := slices.IndexFunc(study.Detectors, func(d lineage.Detector) bool { return d.Name == name })
			if at < 0 {
				return nil, fmt.Errorf("study %s: behaviour %q is judged by %q, which is not among its detectors", study.Digest, b.Name, name)
			}
			m.watches = append(m.watches, watch{b, study.Detectors[at], i == 0})
		}
	}
	m.candidates = newReservoir(study, m.generations, o.Samples)
	return m, nil
}

// places yields every node of the study, a shared one for each arm.
func (m *measurement) places(yield func(place, lineage.ID) bool) {
	for a, arm := range m.Study.Arms {
		for l, replicates := range arm.Nodes {
			for r, ids := range replicates {
				for g, id := range ids {
					if !yield(place{a, l, r, g}, id) {
						return
					}
				}
			}
		}
	}
}

// load reads the records of all nodes, and of the foundations that they start
// from.
func (m *measurement) load() error {
	// One listing is cheaper than asking for every node that is not there yet,
	// above all where the ledger is read through the process that runs.
	have := map[lineage.ID]bool{}
	for key, err := range m.ledger.Keys("node/") {
		if err != nil {
			return err
		}
		have[lineage.ID(key[len("node/"):])] = true
	}
	tried := map[lineage.ID]bool{}
	for at, id := range m.places {
		if tried[id] {
			continue
		}
		tried[id] = true
		m.expected++
		if !have[id] {
			m.Missing = append(m.Missing, fmt.Sprintf("%s/%s/%d/%d (%s)",
				m.Study.Arms[at.arm].Name, m.Study.Lines[at.line], at.replicate, at.generation, id))
			continue
		}
		if err := m.node(id); err != nil {
			return err
		}
		if n := m.Nodes[id]; !n.Made() {
			m.unmade[id] = n // no number may take it for a model that showed nothing
			delete(m.Nodes, id)
			continue
		}
		if base := m.Nodes[id].BaseNode; have[base] {
			if err := m.node(base); err != nil {
				return err
			}
		}
	}
	return nil
}

// node reads the record of a node that the ledger lists, once.
func (m *measurement) node(id lineage.ID) error {
	if _, ok := m.Nodes[id]; ok {
		return nil
	}
	var n lineage.Node
	ok, err := m.ledger.Load(lineage.NodeKey(id), &n)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", lineage.NodeKey(id), err)
	case !ok:
		return fmt.Errorf("%s: is listed by the ledger and not in it", lineage.NodeKey(id))
	case n.ID != id:
		return fmt.Errorf("%s: is the record of node %q", lineage.NodeKey(id), n.ID)
	case n.Outputs < 0 || n.Probes < 0:
		return fmt.Errorf("%s: counts %d outputs and %d probes", lineage.NodeKey(id), n.Outputs, n.Probes)
	}
	m.Nodes[id] = n
	return nil
}

// size is the number of texts of a part, and the digest of what was asked.
func size(n lineage.Node, part string) (texts int, prompts string) {
	if part == lineage.Probes {
		return n.Probes, n.Questions
	}
	return n.Outputs, n.Prompts
}

func (m *measurement) warn(format string, a ...any) {
	m.Warnings = append(m.Warnings, fmt.Sprintf(format, a...))
}
