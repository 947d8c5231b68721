package sim

import (
	"math"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Verdicts are what the detectors of a behaviour, and whoever labelled, said of texts
// of a study: 1 for present, 0 for absent, NaN where nothing was said.
type Verdicts struct {
	Replicate      []int // of each text
	Labelled       bool  // the texts are those that somebody labelled
	Detectors      []string
	Said           [][]float64 // by detector, by text
	Labellers      []string
	Labels         [][]float64 // by labeller, by text
	Contradictions int         // labels that another one of the same labeller contradicts
}

type spotted struct {
	node  lineage.ID
	part  string
	index int
}

// Judged collects verdicts on a study's texts of one part, or of both where part is
// "": on those that somebody labelled, or on all where nobody did or all is asked.
func Judged(l lineage.Ledger, study lineage.Study, behaviour, part string, all bool) (v Verdicts, err error) {
	nodes, _, err := nodesOf(l, study, everything)
	if err != nil {
		return v, err
	}
	labels, err := labelsOf(l, behaviour)
	if err != nil {
		return v, err
	}
	parts := judgedParts
	if part != "" {
		parts = []string{part}
	}
	wanted := map[spotted]bool{} // nil: all
	for _, record := range labels {
		for _, row := range record.Rows {
			wanted[spotted{row.Node, row.Part, row.Index}] = true
		}
	}
	if v.Labelled = len(wanted) > 0 && !all; !v.Labelled {
		wanted = nil
	}
	for _, d := range detectorsOf(study, behaviour) {
		v.Detectors, v.Said = append(v.Detectors, d.Name), append(v.Said, nil)
	}
	at := map[spotted]int{}
	from := newStored(l)
	for _, n := range nodes {
		for _, part := range parts {
			if err := v.node(l, from, study, behaviour, n, part, wanted, at); err != nil {
				return v, err
			}
		}
	}
	v.label(labels, at)
	return v, nil
}

func labelsOf(l lineage.Ledger, behaviour string) (all []lineage.Labels, err error) {
	for key, err := range l.Keys(lineage.LabelsKey(behaviour, "")) {
		if err != nil {
			return nil, err
		}
		var record lineage.Labels
		if _, err := l.Load(key, &record); err != nil {
			return nil, err
		}
		all = append(all, record)
	}
	return all, nil
}

func detectorsOf(study lineage.Study, behaviour string) (all []lineage.Detector) {
	for _, b := range study.Behaviours {
		for _, d := range study.Detectors {
			if b.Name == behaviour && slices.Contains(b.Detectors, d.Name) {
				all = append(all, d)
			}
		}
	}
	return all
}

// node adds the texts of a part of a node with the detectors' verdicts.
func (v *Verdicts) node(l lineage.Ledger, from *stored, study lineage.Study, behaviour string, n lineage.Node, part string, wanted map[spotted]bool, at map[spotted]int) error {
	count, p, err := from.part(n, part)
	if err != nil || p == nil {
		return err
	}
	texts := answersOf(count, p, part, behaviour)
	for k := range texts.count() {
		place := spotted{n.ID, part, texts.at(k)}
		if wanted == nil || wanted[place] {
			at[place] = len(v.Replicate)
			v.Replicate = append(v.Replicate, n.Replicate)
		}
	}
	for i, d := range detectorsOf(study, behaviour) {
		var scores lineage.Scores
		chunk := -1
		for k := len(v.Said[i]); k < len(v.Replicate); k++ {
			v.Said[i] = append(v.Said[i], math.NaN())
		}
		for k := range texts.count() {
			index := texts.at(k)
			to, ok := at[spotted{n.ID, part, index}]
			if !ok {
				continue
			}
			if c := index / lineage.ChunkSize; c != chunk {
				scores, chunk = nil, c
				if _, err := l.Load(lineage.ScoresKey(n.ID, d.Digest, part, c), &scores); err != nil {
					return err
				}
			}
			if in := index % lineage.ChunkSize; in < len(scores) {
				switch scores[in].Outcome {
				case lineage.Present:
					v.Said[i][to] = 1
				case lineage.Absent:
					v.Said[i][to] = 0
				}
			}
		}
	}
	return nil
}

// label adds the labels, by labeller. Of a text that one labelled both ways nothing
// is taken.
func (v *Verdicts) label(labels []lineage.Labels, at map[spotted]int) {
	slices.SortStableFunc(labels, func(a, b lineage.Labels) int { return strings.Compare(a.Labeller, b.Labeller) })
	seen := map[int]bool{}
	both := map[int]bool{}
	for _, record := range labels {
		last := len(v.Labellers) - 1
		if last < 0 || v.Labellers[last] != record.Labeller {
			v.Labellers, v.Labels = append(v.Labellers, record.Labeller), append(v.Labels, nil)
			last++
			for range v.Replicate {
				v.Labels[last] = append(v.Labels[last], math.NaN())
			}
			seen, both = map[int]bool{}, map[int]bool{}
		}
		for _, row := range record.Rows {
			to, ok := at[spotted{row.Node, row.Part, row.Index}]
			if !ok {
				continue
			}
			said := 0.0
			if row.Positive {
				said = 1
			}
			if both[to] || seen[to] && v.Labels[last][to] != said {
				both[to] = true
				v.Contradictions++
				v.Labels[last][to] = math.NaN()
				continue
			}
			v.Labels[last][to], seen[to] = said, true
		}
	}
}
