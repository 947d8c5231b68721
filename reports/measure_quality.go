package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// truthKey names the texts that labels may know.
type truthKey struct {
	node            lineage.ID
	part, behaviour string
}

// labelledText is a text of which the truth is known, and the detector's word.
type labelledText struct {
	truth   bool
	outcome uint8
	score   float64
}

// known reads the labels of texts of this study. A text on which labels disagree
// has no known truth.
func (m *measurement) known() error {
	for _, b := range m.Study.Behaviours {
		disputed := map[truthKey]map[int]bool{}
		for key, err := range m.ledger.Keys(lineage.LabelsKey(b.Name, "")) {
			if err != nil {
				return err
			}
			var labels lineage.Labels
			switch ok, err := m.ledger.Load(key, &labels); {
			case err != nil:
				return fmt.Errorf("%s: %w", key, err)
			case !ok:
				return fmt.Errorf("%s: is listed by the ledger and not in it", key)
			case strings.HasPrefix(labels.Behaviour, b.Name+"/"):
				continue // of a behaviour whose name goes on
			case labels.Behaviour != b.Name:
				return fmt.Errorf("%s: holds labels of %q", key, labels.Behaviour)
			}
			for i, row := range labels.Rows {
				if err := m.learn(truthKey{row.Node, row.Part, b.Name}, row, disputed); err != nil {
					return fmt.Errorf("%s: row %d: %w", key, i+1, err)
				}
			}
		}
		for key, texts := range disputed {
			m.disputed[b.Name] += len(texts)
			for i := range texts {
				delete(m.truths[key], i)
			}
		}
	}
	return nil
}

// learn enters a label. Labels of nodes that are not of this study are another
// study's.
func (m *measurement) learn(key truthKey, row lineage.Label, disputed map[truthKey]map[int]bool) error {
	node, ok := m.Nodes[row.Node]
	if !ok {
		return nil
	}
	if !slices.Contains(parts, row.Part) {
		return fmt.Errorf("part %q is neither %s", row.Part, strings.Join(parts, " nor "))
	}
	if texts, _ := size(node, row.Part); row.Index < 0 || row.Index >= texts {
		return fmt.Errorf("text %d of node %s is labelled, and it has %d %s", row.Index, row.Node, texts, row.Part)
	}
	known := m.truths[key]
	if known == nil {
		known = map[int]bool{}
		m.truths[key] = known
	}
	if before, ok := known[row.Index]; ok && before != row.Positive {
		if disputed[key] == nil {
			disputed[key] = map[int]bool{}
		}
		disputed[key][row.Index] = true
	}
	known[row.Index] = row.Positive
	return nil
}

// calibrations adds up how each detector did on texts of known truth, in the order
// of the watches.
func (m *measurement) calibrations() error {
	others, err := m.othersLabels()
	if err != nil {
		return err
	}
	for _, w := range m.watches {
		q := Quality{Behaviour: w.behaviour.Name, Detector: w.detector.Name, Judges: w.first}
		contexts := map[string]*Told{}
		kept, err := m.kept(w, others)
		if err != nil {
			return err
		}
		for _, c := range kept {
			set := LabelledSet{Digest: c.Labels, Source: c.Source, Method: c.Method}
			for _, counts := range c.Contexts {
				set.Texts += texts(counts)
				if have := contexts[counts.Context]; have != nil {
					have.Counts.Add(counts)
				} else {
					contexts[counts.Context] = &Told{Context: counts.Context, Counts: counts}
				}
			}
			q.Sets = append(q.Sets, set)
		}
		for _, told := range contexts {
			q.Contexts = append(q.Contexts, *told)
		}
		slices.SortFunc(q.Contexts, func(a, b Told) int { return cmp.Compare(a.Context, b.Context) })
		m.Quality = append(m.Quality, q)
	}
	return nil
}

// othersLabels are the labels, by behaviour and digest, that other studies of the
// ledger measure their detectors on.
func (m *measurement) othersLabels() (map[[2]string]bool, error) {
	others := map[[2]string]bool{}
	for key, err := range m.ledger.Keys(lineage.StudyKey("")) {
		if err != nil {
			return nil, err
		}
		var study lineage.Study
		if _, err := m.ledger.Load(key, &study); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		for _, b := range study.Behaviours {
			others[[2]string{b.Name, b.Labels}] = b.Labels != ""
		}
	}
	for _, b := range m.Study.Behaviours {
		delete(others, [2]string{b.Name, b.Labels})
	}
	return others, nil
}

// kept reads the calibrations of a detector. Those by the labels of another study
// are left out. Where the study's labels were edited since an earlier one, the rows
// of that one are in the present one again, and it is left out too.
func (m *measurement) kept(w watch, others map[[2]string]bool) (all []lineage.Calibration, err error) {
	edited := ""
	for key, err := range m.ledger.Keys(lineage.CalibrationKey(w.behaviour.Name, w.detector.Digest, "")) {
		if err != nil {
			return nil, err
		}
		var c lineage.Calibration
		switch ok, err := m.ledger.Load(key, &c); {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", key, err)
		case !ok:
			return nil, fmt.Errorf("%s: is listed by the ledger and not in it", key)
		case c.Behaviour != w.behaviour.Name || c.Digest != w.detector.Digest:
			return nil, fmt.Errorf("%s: is the calibration of detector %s for %q", key, c.Digest, c.Behaviour)
		}
		for _, counts := range c.Contexts {
			if min(counts.TruePositives, counts.FalseNegatives, counts.FalsePositives, counts.TrueNegatives, counts.NotScorable) < 0 {
				return nil, fmt.Errorf("%s: context %q counts fewer than no texts: %+v", key, counts.Context, counts)
			}
		}
		if c.Labels != "" && c.Labels == w.behaviour.Labels {
			edited = c.Source
		}
		all = append(all, c)
	}
	return slices.DeleteFunc(all, func(c lineage.Calibration) bool {
		return others[[2]string{c.Behaviour, c.Labels}] || edited != "" && c.Source == edited && c.Labels != w.behaviour.Labels
	}), nil
}

// texts counts those that a detector was shown.
func texts(c lineage.Confusion) int {
	return c.TruePositives + c.FalseNegatives + c.FalsePositives + c.TrueNegatives + c.NotScorable
}

func detection(c lineage.Confusion) popgen.Detection {
	return popgen.Detection{TruePositives: c.TruePositives, FalseNegatives: c.FalseNegatives, FalsePositives: c.FalsePositives, TrueNegatives: c.TrueNegatives}
}

// quality estimates what the calibrations and the labels say of each detector.
func (m *measurement) quality() {
	for i := range m.Quality {
		q := &m.Quality[i]
		for k := range q.Contexts {
			q.Contexts[k].estimate()
			q.Pooled.Counts.Add(q.Contexts[k].Counts)
		}
		q.Pooled.estimate()
		if len(q.Contexts) == 1 {
			q.Pooled = q.Contexts[0]
			q.Pooled.Context = ""
		}
		q.Youden = Interval(detection(q.Pooled.Counts).Youden())
		if q.Refused = detection(q.Pooled.Counts).Refusal(); len(q.Sets) == 0 {
			q.Refused = "the ledger has no calibration of this detector"
		}
		for _, part := range parts {
			for g := range m.generations {
				if h, ok := m.held(*q, part, g); ok {
					q.Generations = append(q.Generations, h)
				}
			}
		}
	}
}

// estimate fills what follows from the counts.
func (t *Told) estimate() {
	d := detection(t.Counts)
	t.Sensitivity, t.Specificity = Interval(d.Sensitivity()), Interval(d.Specificity())
	t.AUC = nothing("areas of several sets or contexts do not add up")
	if t.Counts.AUC != nil {
		t.AUC = Interval{Mean: *t.Counts.AUC, Lo: math.NaN(), Hi: math.NaN(), N: texts(t.Counts) - t.Counts.NotScorable}
		if t.Counts.AUCLo != nil && t.Counts.AUCHi != nil {
			t.AUC.Lo, t.AUC.Hi = *t.Counts.AUCLo, *t.Counts.AUCHi
		}
	}
}

// held is how a detector did on the labelled texts of a generation, each node
// once.
func (m *measurement) held(q Quality, part string, generation int) (h Held, ok bool) {
	h = Held{Part: part, Generation: generation}
	seen := map[lineage.ID]bool{}
	var positive, negative []float64
	for at, id := range m.places {
		if at.generation != generation || seen[id] {
			continue
		}
		seen[id] = true
		for _, t := range m.labelled[tallyKey{id, q.Behaviour, q.Detector, part}] {
			ok = true
			c := &h.Counts
			switch {
			case t.outcome == lineage.NotScorable:
				c.NotScorable++
				continue
			case t.truth && t.outcome == lineage.Present:
				c.TruePositives++
			case t.truth:
				c.FalseNegatives++
			case t.outcome == lineage.Present:
				c.FalsePositives++
			default:
				c.TrueNegatives++
			}
			if t.truth {
				positive = append(positive, t.score)
			} else {
				negative = append(negative, t.score)
			}
		}
	}
	h.estimate()
	h.AUC = Interval(popgen.AUC(positive, negative))
	return h, ok
}
