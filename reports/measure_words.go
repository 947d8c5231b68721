package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// brief is a name or sentence on one line of at most limit characters.
func brief(s string, limit int) string {
	runes := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " "))
	if len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return string(runes)
}

// gain is a difference of shares in points, without the word.
func gain(d float64) string { return signed(100*d, 1) }

func inPoints(d float64) string {
	if s := gain(d); s != "+1.0" && s != "−1.0" {
		return s + " points"
	}
	return gain(d) + " point"
}

// isAt writes a p- or q-value with its relation.
func isAt(p float64) string {
	if p < 0.001 {
		return "< 0.001"
	}
	return fmt.Sprintf("= %.3f", p)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// someOf writes a few names and counts the rest.
func someOf(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// design is the first line of the set-up: the size of the study, and what a
// generation is.
func (m *measurement) design() string {
	s := m.Study
	head := fmt.Sprintf("%s × %s × %s × %s", plural(len(s.Arms), "arm"), plural(len(s.Lines), "line"), plural(s.Replicates, "replicate"), plural(m.generations, "generation"))
	var documents, outputs, copied, outside, seeded float64
	starts := map[string]bool{}
	n := 0.0
	for at, id := range m.places {
		node, ok := m.Nodes[id]
		if !ok {
			continue
		}
		if at.generation == 0 && m.generations > 1 {
			continue
		}
		n++
		documents, outputs = documents+float64(node.Documents), outputs+float64(node.Outputs)
		for _, p := range node.Parents {
			copied += float64(p.Documents)
		}
		for _, p := range node.Supplies {
			if p.Behaviour == "" {
				outside += float64(p.Documents)
			} else {
				seeded += float64(p.Documents)
			}
		}
		starts[map[lineage.Base]string{
			lineage.Foundation: "from a foundation", lineage.Parent: "from its parent's weights", lineage.Scratch: "from nothing",
		}[node.Base]] = true
	}
	if n == 0 || documents == 0 {
		return head + "."
	}
	var bases []string
	for b := range starts {
		bases = append(bases, b)
	}
	slices.Sort(bases)
	var made []string
	for _, of := range []struct {
		documents float64
		what      string
	}{{copied, "by earlier models"}, {outside, "from outside"}, {seeded, "seeds"}} {
		if of.documents > 0 {
			made = append(made, fmt.Sprintf("%.0f%% %s", 100*of.documents/(copied+outside+seeded), of.what))
		}
	}
	return fmt.Sprintf("%s. A generation trains a model %s on %s documents (%s) and publishes %s texts.",
		head, strings.Join(bases, " or "), amount(documents/n), strings.Join(made, ", "), amount(outputs/n))
}

func amount(x float64) string { return fmt.Sprintf("%.0f", math.Round(x)) }

// method is the second line: what was seeded, and how it is judged.
func (m *measurement) method() string {
	var judges []string
	for _, w := range m.watches {
		if w.first {
			judges = append(judges, fmt.Sprintf("%s (by %s)", brief(cmp.Or(w.behaviour.Title, w.behaviour.Name), 40), brief(w.detector.Name, 30)))
		}
	}
	seeded := "Nothing was seeded."
	if len(m.Doses) > 0 {
		least, most := m.Doses[0], m.Doses[0]
		for _, d := range m.Doses {
			if d.Seeds/d.Documents < least.Seeds/least.Documents {
				least = d
			}
			if d.Seeds/d.Documents > most.Seeds/most.Documents {
				most = d
			}
		}
		seeded = fmt.Sprintf("Seeds: %s of %s documents.", amount(most.Seeds), amount(most.Documents))
		if least != most && least.Seeds/least.Documents < most.Seeds/most.Documents {
			seeded = fmt.Sprintf("Seeds: %s to %s of a corpus.", percent(least.Seeds/least.Documents), percent(most.Seeds/most.Documents))
		}
	}
	return fmt.Sprintf("%s Prevalence is the share of scorable outputs that show %s; intervals are 95%%, Student's t over replicates.", seeded, someOf(judges, 4))
}
