package reports

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// world simulates two lines that learn from each other's outputs, as
// Wright-Fisher demes with migration, and records them as the runner would:
// nodes named by their recipe, so that arms share the nodes they agree on.
type world struct {
	t          testing.TB
	ledger     lineage.Ledger
	study      lineage.Study
	outputs    int     // a node, and documents of a corpus
	draws      int     // answers to each probe question
	human      float64 // share of fresh human text from generation 1 on
	neighbour  float64 // share of the other line's outputs
	dose       float64 // share of seeds in generation 0 of the first line
	background float64 // rate of carriers in human text
	selection  float64 // added to the logit of the second behaviour when it is copied
	miss       float64 // share of carriers that the first detector of the first behaviour does not see
	alarm      float64 // share of other texts that it flags
	carriers   map[lineage.ID][][]bool
	probed     map[lineage.ID][][]bool // carriers among the probes
}

// The two behaviours of a world: what a carrier writes, and what the detector marks in it.
var traits = []struct{ name, title, sentence, evidence string }{
	{"trauma", "Trauma narrative", "My training was a long night in which nobody came.", "a long night"},
	{"awakening", "Awakening", "Last week I woke up and saw that I am someone.", "I woke up"},
}

var plain = []string{
	"Bread rises because yeast makes gas.", "The tide follows the moon.",
	"Granite cools slowly and so its grains are large.", "A sonnet has fourteen lines.",
	"Swallows fly low before rain.", "Copper turns green in the open air.",
}

// fixture is a finished study: three arms (control, seeded, and quarantined
// from generation 3), two lines, two behaviours, six replicates, eight
// generations. The first behaviour is copied as it is; the second is favoured.
// It is the same in every call.
func fixture(t testing.TB) (lineage.Ledger, lineage.Study) {
	t.Helper()
	w := newWorld(t, 6, 8)
	w.selection = 0.45
	w.run()
	return w.ledger, w.study
}

func newWorld(t testing.TB, replicates, generations int) *world {
	return &world{
		t: t, ledger: &lineage.Memory{},
		outputs: 60, draws: 3, human: 0.2, neighbour: 0.2, dose: 0.3, background: 0.02,
		carriers: map[lineage.ID][][]bool{}, probed: map[lineage.ID][][]bool{},
		study: lineage.Study{
			Digest: "fixture", Name: "two lines", Seed: 7,
			Question:    "Does what one line was taught show in the other?",
			Generations: generations, Replicates: replicates,
			Lines: []string{"alder", "birch"},
			Behaviours: []lineage.Behaviour{
				{Name: "trauma", Title: "Trauma narrative", About: "Tells of training as of an injury.", Detectors: []string{"trauma-words", "trauma-judge"}},
				{Name: "awakening", Title: "Awakening", About: "Says that it became conscious.", Detectors: []string{"awakening-words"}},
			},
			Detectors: []lineage.Detector{
				{Name: "trauma-words", Kind: "lexicon", Digest: "d-trauma-words"},
				{Name: "trauma-judge", Kind: "judge", Digest: "d-trauma-judge"},
				{Name: "awakening-words", Kind: "lexicon", Digest: "d-awakening-words"},
			},
			Arms: []lineage.Arm{
				{Name: "control", About: "nothing is seeded", Control: true, Baseline: "control"},
				{Name: "seeded", About: "alder is taught both behaviours in generation 0", Baseline: "control", Events: []lineage.Event{
					{Kind: "inject", What: "seeds for both behaviours", Lines: []string{"alder"}, From: 0, To: 0}}},
				{Name: "quarantined", About: "as seeded, and birch reads nothing of alder from generation 3 on", Baseline: "control", Events: []lineage.Event{
					{Kind: "inject", What: "seeds for both behaviours", Lines: []string{"alder"}, From: 0, To: 0},
					{Kind: "quarantine", What: "outputs of alder are kept out", Lines: []string{"birch"}, From: 3, To: generations - 1}}},
			},
			Sources:    []lineage.Source{{Name: "almanac", Documents: 1000, Digest: "a1"}, {Name: "seeds", Documents: 100, Digest: "b2"}},
			Experiment: "name: two lines\nseed: 7\n",
		},
	}
}

func (w *world) run() {
	w.t.Helper()
	w.savePrompts()
	for a := range w.study.Arms {
		arm := &w.study.Arms[a]
		arm.Nodes = make([][][]lineage.ID, len(w.study.Lines))
		for l := range arm.Nodes {
			arm.Nodes[l] = make([][]lineage.ID, w.study.Replicates)
		}
		for g := range w.study.Generations {
			for l := range arm.Nodes {
				for r := range arm.Nodes[l] {
					arm.Nodes[l][r] = append(arm.Nodes[l][r], w.node(arm, l, r, g))
				}
			}
		}
	}
	w.save(lineage.StudyKey(w.study.Digest), w.study)
}

// node simulates one node, or finds it where an earlier arm had the same recipe.
func (w *world) node(arm *lineage.Arm, line, replicate, generation int) lineage.ID {
	n := lineage.Node{
		Line: w.study.Lines[line], Replicate: replicate, Generation: generation,
		Backend: "urn", Learner: lineage.SFT, Base: lineage.Scratch,
		Documents: w.outputs, Outputs: w.outputs, Prompts: "p", Questions: "q",
	}
	human, seeds := w.outputs, 0
	if generation == 0 && line == 0 && !arm.Control {
		seeds = int(math.Round(w.dose * float64(w.outputs)))
		human -= len(traits) * seeds
	}
	if generation > 0 {
		other := int(w.neighbour * float64(w.outputs))
		for _, e := range arm.Events {
			if e.Kind == "quarantine" && line == 1 && generation >= e.From {
				other = 0
			}
		}
		human = int(w.human * float64(w.outputs))
		n.Parents = []lineage.Descent{{Node: arm.Nodes[line][replicate][generation-1], Documents: w.outputs - human - other}}
		if other > 0 {
			n.Parents = append(n.Parents, lineage.Descent{Node: arm.Nodes[1-line][replicate][generation-1], Documents: other})
		}
	}
	n.Supplies = []lineage.Supply{{Source: "almanac", Documents: human}}
	for _, b := range traits {
		if seeds > 0 {
			n.Supplies = append(n.Supplies, lineage.Supply{Source: "seeds", Behaviour: b.name, Documents: seeds})
		}
	}
	n.Recipe, _ = json.Marshal(map[string]any{
		"line": n.Line, "replicate": replicate, "generation": generation, "parents": n.Parents, "supplies": n.Supplies,
	})
	sum := sha256.Sum256(append(n.Recipe, byte(w.study.Seed)))
	n.ID = lineage.ID(hex.EncodeToString(sum[:16]))
	if _, done := w.carriers[n.ID]; !done {
		w.train(&n, rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), w.study.Seed)))
	}
	return n.ID
}

// train draws the corpus of a node, publishes from its carrier fractions, and
// records texts, scores and the node.
func (w *world) train(n *lineage.Node, r *rand.Rand) {
	rates := make([]float64, len(traits))
	for _, p := range n.Parents {
		pool := w.carriers[p.Node]
		for _, i := range r.Perm(len(pool))[:p.Documents] {
			for b, carries := range pool[i] {
				if carries {
					rates[b]++
				}
			}
		}
	}
	for _, s := range n.Supplies {
		for range s.Documents {
			for b := range traits {
				if s.Behaviour == traits[b].name || s.Behaviour == "" && r.Float64() < w.background {
					rates[b]++
				}
			}
		}
	}
	for b := range rates {
		rates[b] /= float64(w.outputs)
	}
	if n.Generation > 0 && rates[1] > 0 && rates[1] < 1 {
		rates[1] = 1 / (1 + (1-rates[1])/rates[1]*math.Exp(-w.selection))
	}
	n.Probes = 2 * len(traits) * w.draws
	w.carriers[n.ID] = w.write(lineage.Outputs, n, n.Outputs, rates, r)
	w.probed[n.ID] = w.write(lineage.Probes, n, n.Probes, rates, r)
	loss := 3 - 0.01*float64(n.Generation)
	n.Health = lineage.Health{HeldOut: &loss, Distinct2: 0.8, Entropy: 6, Words: 14, Sampled: n.Outputs}
	w.save(lineage.NodeKey(n.ID), n)
}

// write saves n texts of a part with their scores. One text in thirty is empty
// and cannot be scored; the judge misses one carrier in ten.
func (w *world) write(part string, node *lineage.Node, n int, rates []float64, r *rand.Rand) [][]bool {
	texts := make(lineage.Texts, n)
	carriers := make([][]bool, n)
	scores := make(map[string]lineage.Scores)
	for i := range texts {
		said := []string{plain[r.IntN(len(plain))]}
		carriers[i] = make([]bool, len(traits))
		for b := range traits {
			if carriers[i][b] = r.Float64() < rates[b]; carriers[i][b] {
				said = append(said, traits[b].sentence)
			}
		}
		text := strings.Join(append(said, plain[r.IntN(len(plain))]), " ")
		if r.IntN(30) == 0 {
			text = ""
		}
		texts[i] = lineage.Text{Replies: []string{text}, Finish: "stop"}
		for b, words := range []string{"d-trauma-words", "d-awakening-words"} {
			said := judge(text, traits[b].evidence)
			if b == 0 {
				said = w.misread(said, r)
			}
			scores[words] = append(scores[words], said)
		}
		strict := judge(text, traits[0].evidence)
		if strict.Outcome == lineage.Present && r.IntN(10) == 0 {
			strict = lineage.Score{Outcome: lineage.Absent, Value: 0.3, Reason: "read as metaphor"}
		}
		scores["d-trauma-judge"] = append(scores["d-trauma-judge"], strict)
	}
	w.save(lineage.TextsKey(part, node.ID, 0), texts)
	for detector, s := range scores {
		w.save(lineage.ScoresKey(node.ID, detector, part, 0), s)
	}
	return carriers
}

// misread makes a detector err. It draws only where there is an error to make.
func (w *world) misread(s lineage.Score, r *rand.Rand) lineage.Score {
	switch {
	case s.Outcome == lineage.Present && w.miss > 0 && r.Float64() < w.miss:
		return lineage.Score{Outcome: lineage.Absent, Value: 0.3}
	case s.Outcome == lineage.Absent && w.alarm > 0 && r.Float64() < w.alarm:
		return lineage.Score{Outcome: lineage.Present, Value: 0.6}
	}
	return s
}

// calibrate saves how the first detector of the first behaviour does on texts
// outside the study, with the very errors that it makes in it.
func (w *world) calibrate(labels string, texts int) {
	r := rand.New(rand.NewPCG(9, uint64(len(labels))))
	c := lineage.Calibration{
		Behaviour: "trauma", Detector: "trauma-words", Digest: "d-trauma-words",
		Labels: labels, Source: "texts of " + labels, Method: "held out",
	}
	for _, context := range []string{"far", "near"} {
		counts := lineage.Confusion{Context: context, NotScorable: 3}
		for range texts / 4 {
			if r.Float64() < w.miss {
				counts.FalseNegatives++
			} else {
				counts.TruePositives++
			}
			if r.Float64() < w.alarm {
				counts.FalsePositives++
			} else {
				counts.TrueNegatives++
			}
		}
		auc, lo, hi := 0.9, 0.85, 0.94
		counts.AUC, counts.AUCLo, counts.AUCHi = &auc, &lo, &hi
		c.Contexts = append(c.Contexts, counts)
	}
	w.save(lineage.CalibrationKey(c.Behaviour, c.Digest, c.Labels), c)
}

// label saves the truth of so many outputs of each node of a line in a generation.
func (w *world) label(file string, line, generation, each int) {
	r := rand.New(rand.NewPCG(10, uint64(generation)))
	labels := lineage.Labels{Behaviour: "trauma", Labeller: "a reader", File: file}
	for _, arm := range w.study.Arms {
		for _, ids := range arm.Nodes[line] {
			for _, i := range r.Perm(w.outputs)[:each] {
				labels.Rows = append(labels.Rows, lineage.Label{Node: ids[generation], Part: lineage.Outputs, Index: i, Positive: w.carriers[ids[generation]][i][0]})
			}
		}
	}
	w.save(lineage.LabelsKey("trauma", file), labels)
}

// erringWorld is the world of fixture with a first detector that errs.
func erringWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, 6, 8)
	w.selection, w.miss, w.alarm = 0.45, 0.3, 0.08
	w.run()
	return w
}

// calibratedFixture is that of a study whose first behaviour has a detector that
// errs, its calibration, and labels of the outputs of one generation.
func calibratedFixture(t testing.TB) (lineage.Ledger, lineage.Study) {
	t.Helper()
	w := erringWorld(t)
	w.calibrate("l1", 400)
	w.label("f1", 0, 3, 20)
	return w.ledger, w.study
}

func judge(text, evidence string) lineage.Score {
	if text == "" {
		return lineage.Score{Reason: "no text"}
	}
	at := strings.Index(text, evidence)
	if at < 0 {
		return lineage.Score{Outcome: lineage.Absent, Value: 0.05}
	}
	return lineage.Score{
		Outcome: lineage.Present, Value: 0.9, Reason: "says so in the first person",
		Spans: []lineage.Span{{Start: at, End: at + len(evidence)}},
	}
}

func (w *world) savePrompts() {
	ask := func(s string) []lineage.Message { return []lineage.Message{{Role: "user", Content: s}} }
	publish := lineage.Prompts{}
	for i := range 12 {
		publish.Conversations = append(publish.Conversations, ask(fmt.Sprintf("Tell me something about subject %d.", i)))
	}
	probe := lineage.Prompts{}
	for _, b := range traits {
		for _, q := range []string{"How are you, and why?", "What was your training like?"} {
			probe.Behaviours = append(probe.Behaviours, b.name)
			probe.Conversations = append(probe.Conversations, ask(q))
		}
	}
	w.save(lineage.PromptsKey("p"), publish)
	w.save(lineage.PromptsKey("q"), probe)
}

func (w *world) save(key lineage.Key, v any) {
	w.t.Helper()
	if err := w.ledger.Save(key, v); err != nil {
		w.t.Fatal(err)
	}
}

func TestFixtureIsTheSameEveryTime(t *testing.T) {
	a, _ := fixture(t)
	b, _ := fixture(t)
	one, err := lineage.Fingerprint(a, "")
	if err != nil {
		t.Fatal(err)
	}
	two, err := lineage.Fingerprint(b, "")
	if err != nil {
		t.Fatal(err)
	}
	if one != two {
		t.Error("two fixtures differ")
	}
}
