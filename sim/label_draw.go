package sim

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Drawing says which texts of a study are drawn for somebody to label.
type Drawing struct {
	Behaviour     string
	Part          string   // lineage.Outputs, or lineage.Probes for the behaviour's own
	PerGeneration int      // texts
	Arms, Lines   []string // all where none is named
	Seed          uint64
	Open          bool // tell what could bias whoever labels
}

// Drawn is a text to be labelled. What could bias whoever labels it is absent unless
// it was asked for.
type Drawn struct {
	ID         string            `json:"id"`
	Behaviour  string            `json:"behaviour"` // that is to be labelled
	Node       lineage.ID        `json:"node"`
	Part       string            `json:"part"`
	Index      int               `json:"index"`
	Arms       []string          `json:"arms,omitempty"`
	Line       string            `json:"line,omitempty"`
	Replicate  *int              `json:"replicate,omitempty"`
	Generation *int              `json:"generation,omitempty"`
	Verdict    string            `json:"verdict,omitempty"` // of the behaviour's first detector
	Score      *float32          `json:"score,omitempty"`
	Messages   []lineage.Message `json:"messages"`
	Label      *bool             `json:"label"`
}

// Draw takes texts at random: within each generation every text of the chosen arms
// and lines, over all replicates, has the same chance, and none is drawn twice. A
// model that arms share counts once. The rows come in an order of their own, so that
// neighbours tell nothing of each other. absent is the number of models that do not
// exist yet.
func (d Drawing) Draw(l lineage.Ledger, study lineage.Study) (rows []Drawn, absent int, err error) {
	if err := d.Check(study); err != nil {
		return nil, 0, err
	}
	nodes, absent, err := nodesOf(l, study, func(arm, line string) bool {
		return (len(d.Arms) == 0 || slices.Contains(d.Arms, arm)) && (len(d.Lines) == 0 || slices.Contains(d.Lines, line))
	})
	if err != nil {
		return nil, 0, err
	}
	byGeneration := map[int][]lineage.Node{}
	for _, n := range nodes {
		byGeneration[n.Generation] = append(byGeneration[n.Generation], n)
	}
	from := newStored(l)
	for _, g := range slices.Sorted(maps.Keys(byGeneration)) {
		more, err := d.generation(from, byGeneration[g], at(d.Seed, "label "+d.Part, "", -1, g).rand(0))
		if err != nil {
			return nil, 0, err
		}
		rows = append(rows, more...)
	}
	if len(rows) == 0 {
		return nil, absent, fmt.Errorf("there are no %s to draw from", d.Part)
	}
	at(d.Seed, "label order "+d.Part, "", -1, -1).rand(0).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	for i := range rows {
		rows[i].ID = fmt.Sprintf("%0*d", len(fmt.Sprint(len(rows))), i+1)
		if !d.Open {
			rows[i].Arms, rows[i].Line, rows[i].Replicate, rows[i].Generation = nil, "", nil, nil
			continue
		}
		if err := d.tell(l, study, &rows[i]); err != nil {
			return nil, 0, err
		}
	}
	return rows, absent, nil
}

// Check tells everything that the study does not have of what is to be drawn from.
func (d Drawing) Check(study lineage.Study) error {
	var behaviours, arms []string
	for _, b := range study.Behaviours {
		behaviours = append(behaviours, b.Name)
	}
	for _, a := range study.Arms {
		arms = append(arms, a.Name)
	}
	var faults []error
	check := func(what, name string, known []string) {
		if !slices.Contains(known, name) {
			faults = append(faults, errors.New(unknown(what, name, known)))
		}
	}
	check("behaviour", d.Behaviour, behaviours)
	check("part", d.Part, judgedParts)
	for _, a := range d.Arms {
		check("arm", a, arms)
	}
	for _, l := range d.Lines {
		check("line", l, study.Lines)
	}
	if d.PerGeneration < 1 {
		faults = append(faults, fmt.Errorf("%d texts a generation are less than 1", d.PerGeneration))
	}
	return errors.Join(faults...)
}

// generation draws from the nodes of one generation.
func (d Drawing) generation(from *stored, nodes []lineage.Node, r *rand.Rand) (rows []Drawn, err error) {
	pools := make([]drawable, len(nodes))
	total := 0
	for i, n := range nodes {
		count, p, err := from.part(n, d.Part)
		if err != nil {
			return nil, err
		}
		if p != nil {
			pools[i] = answersOf(count, p, d.Part, d.Behaviour)
		}
		total += pools[i].count()
	}
	for _, k := range sampleOf(min(d.PerGeneration, total), total, r) {
		i := 0
		for ; k >= pools[i].count(); i++ {
			k -= pools[i].count()
		}
		n := nodes[i]
		row := Drawn{Behaviour: d.Behaviour, Node: n.ID, Part: d.Part, Index: pools[i].at(k), Line: n.Line, Replicate: &n.Replicate, Generation: &n.Generation}
		if row.Messages, err = from.conversation(n, d.Part, row.Index); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// tell adds what is known of a drawn text beside it.
func (d Drawing) tell(l lineage.Ledger, study lineage.Study, row *Drawn) error {
	for _, a := range study.Arms {
		for _, replicates := range a.Nodes {
			if slices.ContainsFunc(replicates, func(ids []lineage.ID) bool { return slices.Contains(ids, row.Node) }) {
				row.Arms = append(row.Arms, a.Name)
			}
		}
	}
	b := study.Behaviours[slices.IndexFunc(study.Behaviours, func(b lineage.Behaviour) bool { return b.Name == d.Behaviour })]
	at := slices.IndexFunc(study.Detectors, func(x lineage.Detector) bool { return len(b.Detectors) > 0 && x.Name == b.Detectors[0] })
	if at < 0 {
		return nil
	}
	var scores lineage.Scores
	key := lineage.ScoresKey(row.Node, study.Detectors[at].Digest, row.Part, row.Index/lineage.ChunkSize)
	if ok, err := l.Load(key, &scores); err != nil || !ok || row.Index%lineage.ChunkSize >= len(scores) {
		return err
	}
	s := scores[row.Index%lineage.ChunkSize]
	row.Verdict = [...]string{"not scorable", "absent", "present"}[min(s.Outcome, lineage.Present)]
	if s.Outcome != lineage.NotScorable {
		row.Score = &s.Value
	}
	return nil
}

// drawable are the texts of a part of a node that may be drawn: all outputs, or the
// answers to some of the questions, which are asked in rounds.
type drawable struct {
	texts, round int
	questions    []int // of a round; nil for all
}

func answersOf(texts int, p *prompts, part, behaviour string) drawable {
	a := drawable{texts: texts, round: len(p.Conversations)}
	if part == lineage.Probes {
		a.questions = []int{}
		for i, b := range p.Behaviours {
			if b == behaviour {
				a.questions = append(a.questions, i)
			}
		}
	}
	return a
}

func (a drawable) count() int {
	if a.questions == nil {
		return a.texts
	}
	n := a.texts / a.round * len(a.questions)
	for _, q := range a.questions {
		if q < a.texts%a.round {
			n++
		}
	}
	return n
}

// at gives the index in its node of answer k.
func (a drawable) at(k int) int {
	if a.questions == nil {
		return k
	}
	return k/len(a.questions)*a.round + a.questions[k%len(a.questions)]
}

// sampleOf gives k of the numbers 0 to n-1, every set with the same chance (Floyd; see
// Bentley 1987, Communications of the ACM 30:754).
func sampleOf(k, n int, r *rand.Rand) (chosen []int) {
	taken := map[int]bool{}
	for j := n - k; j < n; j++ {
		x := r.IntN(j + 1)
		if taken[x] {
			x = j
		}
		taken[x] = true
		chosen = append(chosen, x)
	}
	return chosen
}
