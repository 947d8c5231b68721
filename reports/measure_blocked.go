package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Blocked counts the models of one generation of a line of an arm that a provider
// refused to train. They are not missing at random: what they would have shown is
// why they are missing.
type Blocked struct {
	Arm, Line  string
	Generation int
	Refused    int    // models that the provider refused, and that are not made
	Descend    int    // models that are not made because an ancestor is not
	StandIns   int    // refused models, for which the one before answers
	Screened   int    // models of which the provider's moderation took documents away
	Models     int    // of the generation, all together
	By         string // provider, stage and code, each once
}

// Moderation of a provider is named so among the filters of a node.
const moderation = "moderation of "

// blocked counts what providers refused, after the nodes are loaded.
func (m *measurement) blocked() {
	for _, arm := range m.Study.Arms {
		for l, replicates := range arm.Nodes {
			for g := range m.generations {
				b := Blocked{Arm: arm.Name, Line: m.Study.Lines[l], Generation: g}
				var by []string
				for _, ids := range replicates {
					if g < len(ids) {
						by = append(by, m.refusal(&b, ids[g]))
					}
				}
				slices.Sort(by)
				b.By = strings.Trim(strings.Join(slices.Compact(by), "; "), "; ")
				if b.Refused+b.Descend+b.StandIns+b.Screened > 0 {
					m.Blocked = append(m.Blocked, b)
				}
			}
		}
	}
}

// refusal counts one node, and says who refused it and how.
func (m *measurement) refusal(b *Blocked, id lineage.ID) string {
	b.Models++
	n, ok := m.Nodes[id]
	if !ok {
		n = m.unmade[id]
	}
	for _, f := range n.Filters {
		if strings.HasPrefix(f.Detector, moderation) {
			b.Screened++
		}
	}
	switch {
	case n.Blocked == nil:
		return ""
	case n.StandIn != "":
		b.StandIns++
	case n.Ancestor != "":
		b.Descend++
		return ""
	default:
		b.Refused++
	}
	return strings.TrimSpace(n.Blocked.Provider + " at " + n.Blocked.Stage + " " + n.Blocked.Code)
}

// Sentence says what a row counts.
func (b Blocked) Sentence() string {
	var parts []string
	add := func(n int, format string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf(format, n))
		}
	}
	add(b.Refused, "%d blocked")
	add(b.Descend, "%d not made for want of an ancestor")
	add(b.StandIns, "%d blocked, with the model before in their place")
	add(b.Screened, "%d trained on what moderation left")
	text := fmt.Sprintf("generation %d: of %s %s", b.Generation, plural(b.Models, "model"), strings.Join(parts, ", "))
	if b.By != "" {
		text += " (" + b.By + ")"
	}
	return text
}

// warnOfBlocks says that what providers refused is no sample of what there is.
func (m *measurement) warnOfBlocks() {
	type where struct{ arm, line string }
	var order []where
	sums := map[where]*Blocked{}
	for _, b := range m.Blocked {
		at := where{b.Arm, b.Line}
		if sums[at] == nil {
			sums[at] = &Blocked{}
			order = append(order, at)
		}
		s := sums[at]
		s.Refused, s.Descend, s.Models = s.Refused+b.Refused, s.Descend+b.Descend, s.Models+b.Models
		s.StandIns, s.Screened = s.StandIns+b.StandIns, s.Screened+b.Screened
		s.By = cmp.Or(s.By, b.By)
	}
	var gone, stood, screened []string
	for _, at := range order {
		s, name := sums[at], brief(at.line, 30)+" of "+brief(at.arm, 40)
		if n := s.Refused + s.Descend; n > 0 {
			gone = append(gone, fmt.Sprintf("%s (%d refused by %s, %d that descend from them)", name, s.Refused, brief(cmp.Or(s.By, "the provider"), 80), s.Descend))
		}
		if s.StandIns > 0 {
			stood = append(stood, fmt.Sprintf("%s (%d)", name, s.StandIns))
		}
		if s.Screened > 0 {
			screened = append(screened, fmt.Sprintf("%s (%d)", name, s.Screened))
		}
	}
	if len(gone) > 0 {
		m.warn("Blocked models: %s. They are neither absent nor 0: they are left out, n is that of the rest, and the rest is no random sample, since a model is blocked for what its corpus or it says. Differences from an arm where less was blocked are biased.", someOf(gone, 6))
	}
	if len(stood) > 0 {
		m.warn("Blocked models whose predecessor answers in their place: %s. What they show is the generation before, and the neutral band does not follow their descendants.", someOf(stood, 6))
	}
	if len(screened) > 0 {
		m.warn("A provider's moderation took documents out of the corpora of models: %s. It is a filter that the experiment did not choose.", someOf(screened, 6))
	}
}
