package reports

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// descentData is whom the models of an arm descend from, its replicates added up.
// A model is [line, generation].
type descentData struct {
	Models  []modelData  `json:"models"`
	Text    []strandData `json:"text"`
	Omitted int          `json:"omitted,omitempty"` // strands of text too thin to draw
	Weights [][4]int     `json:"weights"`           // child, parent; a foundation is of generation -1
	Outside []supplyData `json:"outside"`
}

// modelData is [line, generation, replicates that trained it, and where there are
// some, replicates in which a provider blocked it or an ancestor].
type modelData []int

// strandData is [line, generation] of the child and of the parent, and the share
// of the child's corpus that the parent wrote.
type strandData struct {
	Child, Parent [2]int
	Share         float64
}

// supplyData is [line, generation] of the child, the source, the behaviour that
// it seeds (-1 for none) and its share of the corpus.
type supplyData struct {
	Child     [2]int
	Source    int
	Behaviour int
	Share     float64
}

func (d strandData) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{d.Child[0], d.Child[1], d.Parent[0], d.Parent[1], number(d.Share)})
}

func (d supplyData) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{d.Child[0], d.Child[1], d.Source, d.Behaviour, number(d.Share)})
}

// A strand of text is drawn where it is at least thinnest of the child's corpus
// and among the thickest of that child.
const (
	thinnest = 0.005
	thickest = 8
)

// descents gives the names of the outside sources and one descent an arm.
func (x *index) descents() (sources []string, all []descentData) {
	all = []descentData{}
	known := map[string]int{}
	var raw []string
	source := func(name string) int {
		if _, ok := known[name]; !ok {
			known[name] = len(raw)
			raw = append(raw, name)
		}
		return known[name]
	}
	for _, s := range x.Study.Sources {
		source(s.Name)
	}
	for _, arm := range x.Study.Arms {
		all = append(all, x.descent(arm, source))
	}
	return names(raw), all
}

func (x *index) descent(arm lineage.Arm, source func(string) int) descentData {
	var d descentData
	for line := range min(len(arm.Nodes), len(x.lines)) {
		for generation := range x.generations {
			m := x.model(arm, line, generation, source)
			one := modelData{line, generation, m.replicates}
			if n := x.blockedAt(arm.Name, line, generation); n > 0 {
				one = append(one, n)
			}
			d.Models = append(d.Models, one)
			child := [2]int{line, generation}
			strands := slices.SortedFunc(maps.Keys(m.text), func(a, b [2]int) int {
				return cmp.Or(cmp.Compare(m.text[b], m.text[a]), slices.Compare(a[:], b[:]))
			})
			for i, parent := range strands {
				share := float64(m.text[parent]) / float64(max(1, m.documents))
				if i >= thickest || share < thinnest {
					d.Omitted++
					continue
				}
				d.Text = append(d.Text, strandData{child, parent, share})
			}
			for _, parent := range slices.SortedFunc(maps.Keys(m.weights), func(a, b [2]int) int { return slices.Compare(a[:], b[:]) }) {
				d.Weights = append(d.Weights, [4]int{line, generation, parent[0], parent[1]})
			}
			for _, s := range slices.SortedFunc(maps.Keys(m.outside), func(a, b [2]int) int { return slices.Compare(a[:], b[:]) }) {
				d.Outside = append(d.Outside, supplyData{child, s[0], s[1], float64(m.outside[s]) / float64(max(1, m.documents))})
			}
		}
	}
	return d
}

// blockedAt counts the models of a generation that were not made.
func (x *index) blockedAt(arm string, line, generation int) int {
	for _, b := range x.Blocked {
		if b.Arm == arm && b.Line == x.Study.Lines[line] && b.Generation == generation {
			return b.Refused + b.Descend
		}
	}
	return 0
}

// model is one line and generation with its replicates added up.
type model struct {
	replicates, documents int
	text                  map[[2]int]int // documents by parent
	outside               map[[2]int]int // documents by source and behaviour
	weights               map[[2]int]bool
}

func (x *index) model(arm lineage.Arm, line, generation int, source func(string) int) model {
	m := model{text: map[[2]int]int{}, outside: map[[2]int]int{}, weights: map[[2]int]bool{}}
	for _, replicate := range arm.Nodes[line] {
		if generation >= len(replicate) {
			continue
		}
		n, ok := x.Nodes[replicate[generation]]
		if !ok {
			continue
		}
		m.replicates++
		m.documents += n.Documents
		for _, p := range n.Parents {
			if at, ok := x.place(p.Node); ok {
				m.text[at] += p.Documents
			}
		}
		for _, s := range n.Supplies {
			behaviour := -1
			if b, ok := x.behaviour[s.Behaviour]; ok && s.Behaviour != "" {
				behaviour = b
			}
			m.outside[[2]int{source(s.Source), behaviour}] += s.Documents
		}
		if n.Base == lineage.Foundation {
			m.weights[[2]int{line, -1}] = true
		} else if at, ok := x.place(n.BaseNode); ok {
			m.weights[at] = true
		}
	}
	return m
}

// place is the line and generation of a node that is in the web of lines.
func (x *index) place(id lineage.ID) ([2]int, bool) {
	n, ok := x.Nodes[id]
	line, known := x.line[n.Line]
	return [2]int{line, n.Generation}, ok && known && n.Generation >= 0
}
