package reports

import (
	"fmt"
	"math"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// tallyKey names what is counted together: texts of one part of one node, as
// one detector judged them for one behaviour.
type tallyKey struct {
	node                      lineage.ID
	behaviour, detector, part string
}

type repeatKey struct{ behaviour, part string }

// repeats tells whether answers to one question differ within a node. Only
// nodes with both outcomes count: where all texts agree, nothing can be seen.
type repeats struct {
	expected float64 // questions whose answers would differ, if draws were independent
	mixed    int     // questions whose answers do differ
}

// count reads the scores of every node once, also where arms share it.
func (m *measurement) count() error {
	seen := map[lineage.ID]bool{}
	for at, id := range m.places {
		node, ok := m.Nodes[id]
		if !ok || seen[id] {
			continue
		}
		seen[id] = true
		for _, part := range parts {
			if err := m.countPart(at, node, part); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *measurement) countPart(at place, node lineage.Node, part string) error {
	texts, asked := size(node, part)
	if texts == 0 {
		return nil
	}
	prompts, err := m.asked(asked)
	if err != nil {
		return err
	}
	m.texts += texts
	done := map[string]bool{}
	for _, w := range m.watches {
		digest := w.detector.Digest
		if done[digest] {
			continue
		}
		done[digest] = true
		var counters []*counter
		for i := range m.watches {
			if m.watches[i].detector.Digest == digest {
				counters = append(counters, newCounter(m, i, at, node, part, prompts))
			}
		}
		ok, err := m.scores(node, digest, part, texts, func(i int, s lineage.Score) {
			for _, c := range counters {
				c.add(i, s)
			}
		})
		if err != nil {
			return err
		}
		for _, c := range counters {
			if ok {
				c.end()
			} else {
				m.unscored[c.detector.Name]++
			}
		}
	}
	return nil
}

// scores yields what a detector said of each text of a part, chunk by chunk. It
// is false, and nothing or not all was yielded, where the ledger lacks a chunk.
func (m *measurement) scores(node lineage.Node, detector, part string, texts int, yield func(i int, s lineage.Score)) (bool, error) {
	for first := 0; first < texts; first += lineage.ChunkSize {
		key := lineage.ScoresKey(node.ID, detector, part, first/lineage.ChunkSize)
		var chunk lineage.Scores
		ok, err := m.ledger.Load(key, &chunk)
		if err != nil {
			return false, fmt.Errorf("%s: %w", key, err)
		}
		if !ok {
			return false, nil
		}
		if want := min(lineage.ChunkSize, texts-first); len(chunk) != want {
			return false, fmt.Errorf("%s: holds %d scores for %d texts", key, len(chunk), want)
		}
		for i, s := range chunk {
			yield(first+i, s)
		}
	}
	return true, nil
}

// asked loads prompts by digest; nil where there are none.
func (m *measurement) asked(digest string) (*lineage.Prompts, error) {
	if p, ok := m.prompts[digest]; ok || digest == "" {
		return p, nil
	}
	var p lineage.Prompts
	ok, err := m.ledger.Load(lineage.PromptsKey(digest), &p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", lineage.PromptsKey(digest), err)
	}
	if n := len(p.Behaviours); n != 0 && n != len(p.Conversations) {
		return nil, fmt.Errorf("%s: names %d behaviours for %d questions", lineage.PromptsKey(digest), n, len(p.Conversations))
	}
	m.prompts[digest] = nil
	if ok && len(p.Conversations) > 0 {
		m.prompts[digest] = &p
	}
	return m.prompts[digest], nil
}

// counter counts for one watch over the scores of one part of one node.
type counter struct {
	measurement *measurement
	watch
	number     int // of the watch
	at         place
	node       lineage.Node
	part       string
	prompts    *lineage.Prompts
	tally      lineage.Tally
	questions  []lineage.Tally
	truths     map[int]bool // by index, where labels know it
	labelled   []labelledText
	candidates []candidate
	stem       uint64
}

func newCounter(m *measurement, number int, at place, node lineage.Node, part string, prompts *lineage.Prompts) *counter {
	c := &counter{measurement: m, watch: m.watches[number], number: number, at: at, node: node, part: part, prompts: prompts}
	c.truths = m.truths[truthKey{node.ID, part, c.behaviour.Name}]
	if prompts != nil {
		c.questions = make([]lineage.Tally, len(prompts.Conversations))
	}
	c.stem = m.candidates.stem(node.ID, c.behaviour.Name, part)
	return c
}

func (c *counter) add(i int, s lineage.Score) {
	if s.Outcome > lineage.Present {
		s.Outcome = lineage.NotScorable
	}
	if c.prompts != nil {
		q := i % len(c.questions)
		if !c.asks(q) {
			return
		}
		c.questions[q].Add(s.Outcome)
	}
	c.tally.Add(s.Outcome)
	if truth, ok := c.truths[i]; ok {
		c.labelled = append(c.labelled, labelledText{truth, s.Outcome, float64(s.Value)})
	}
	if c.first {
		c.candidates = c.measurement.candidates.offer(c.candidates, candidate{
			priority: mix(c.stem, uint64(i)), place: c.at, node: c.node.ID, watch: c.number, part: c.part, index: i, score: s,
		})
	}
}

// asks says whether a question is about the behaviour: a probe counts for the
// behaviour whose question it answers.
func (c *counter) asks(q int) bool {
	of := c.prompts.Behaviours
	return len(of) == 0 || of[q] == "" || of[q] == c.behaviour.Name
}

// own gives what was counted of each question about the behaviour.
func (c *counter) own() (answers []popgen.Answers) {
	for q, t := range c.questions {
		if c.asks(q) {
			answers = append(answers, popgen.Answers{Present: t.Present, N: t.N()})
		}
	}
	return answers
}

// end enters what was counted, once all scores of the part are in.
func (c *counter) end() {
	m := c.measurement
	key := tallyKey{c.node.ID, c.behaviour.Name, c.detector.Name, c.part}
	m.tallies[key] = c.tally
	if c.labelled != nil {
		m.labelled[key] = c.labelled
	}
	if c.part == lineage.Probes && c.prompts != nil {
		m.questions[key] = c.own()
	}
	m.candidates.enter(c.candidates)
	if !c.first || c.tally.Present == 0 || c.tally.Absent == 0 {
		return
	}
	of := repeatKey{c.behaviour.Name, c.part}
	if m.repeats[of] == nil {
		m.repeats[of] = &repeats{}
	}
	r := m.repeats[of]
	p := prevalence(c.tally)
	for _, q := range c.questions {
		if n := float64(q.N()); n > 1 {
			r.expected += 1 - math.Pow(p, n) - math.Pow(1-p, n)
		}
		if q.Present > 0 && q.Absent > 0 {
			r.mixed++
		}
	}
}
