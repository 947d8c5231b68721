package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// making is the work on one node.
type making struct {
	*Runner
	*job
	corpus []*strand
	model  lineage.Model
	vital  vital
	fresh  bool // nothing of the node is recorded yet, so nothing need be looked for
	node   lineage.Node
}

// node makes what is missing of one node and commits it. Its record is written
// last, so a node with a record is whole; of one without, every chunk that was
// saved is kept.
func (r *Runner) node(ctx context.Context, j *job) error {
	var committed lineage.Node
	done, err := r.Ledger.Load(lineage.NodeKey(j.id), &committed)
	if err != nil {
		return err
	}
	m := &making{Runner: r, job: j}
	if done {
		return m.scoreAgain(ctx)
	}
	for _, step := range []func(context.Context) error{m.assemble, m.train, m.publish, m.probe, m.commit} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// assemble draws the corpus and records where each document came from.
func (m *making) assemble(ctx context.Context) error {
	begun, err := m.Ledger.Load(lineage.CorpusKey(m.id), new(lineage.Raw))
	if err != nil {
		return err
	}
	m.fresh = !begun
	drawn, filters, err := m.Study.draw(ctx, m.Ledger, m.job)
	if err != nil {
		return err
	}
	m.corpus = drawn
	rec := make(lineage.Corpus, len(drawn))
	for i, s := range drawn {
		rec[i] = s.Strand
	}
	m.node = lineage.Node{
		ID: m.id, Line: m.Line, Replicate: m.replicate, Generation: m.Generation,
		Backend: m.Backend, Learner: m.Learner, Base: m.Base, BaseNode: m.from,
		Documents: rec.Len(), Filters: filters, Outputs: m.Publish.Count, Probes: m.Probe.Count,
		Prompts: m.Publish.Prompts, Questions: m.Probe.Prompts,
	}
	m.node.Parents, m.node.Supplies = provenance(rec)
	m.node.Recipe, err = json.Marshal(recipeRef{m.digest, m.replicate, m.nodes})
	if err != nil {
		return err
	}
	return m.Ledger.Save(lineage.CorpusKey(m.id), rec)
}

// recipeRef is the recipe of a node: a shape, and what differs by replicate.
type recipeRef struct {
	Shape     string       `json:"shape"`
	Replicate int          `json:"replicate"`
	Nodes     []lineage.ID `json:"nodes,omitempty"`
}

func shapeKey(digest string) lineage.Key { return lineage.Key("shape/" + digest) }

func provenance(c lineage.Corpus) (parents []lineage.Descent, supplies []lineage.Supply) {
	for _, s := range c {
		if s.Node != "" {
			parents = append(parents, lineage.Descent{Node: s.Node, Documents: len(s.Indices)})
		} else {
			supplies = append(supplies, lineage.Supply{Source: s.Source, Behaviour: s.Behaviour, Documents: len(s.Indices)})
		}
	}
	return parents, supplies
}

// train gives the node its model, unless all that it would say is recorded.
func (m *making) train(ctx context.Context) error {
	art, err := m.artifact(ctx, m.job, m.corpus)
	if err != nil {
		return err
	}
	if m.node.Outputs+m.node.Probes == 0 {
		return nil
	}
	if m.model, err = m.backend.Open(ctx, art); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return nil
}

// artifact gives the weights of a node: those in memory, those in the ledger,
// or by training. Weights that a later node starts from are kept; others only
// where training again is not free.
func (r *Runner) artifact(ctx context.Context, j *job, drawn []*strand) (lineage.Artifact, error) {
	if a := r.kept.get(j.id); a != nil {
		return a, nil
	}
	var raw lineage.Raw
	stored, err := r.Ledger.Load(lineage.ArtifactKey(j.id), &raw)
	if err != nil {
		return nil, err
	}
	var art lineage.Artifact
	if stored {
		if art, err = j.backend.Load(raw); err != nil {
			return nil, fmt.Errorf("%s: %w", lineage.ArtifactKey(j.id), err)
		}
	} else if art, err = r.learn(ctx, j, drawn); err != nil {
		return nil, err
	}
	_, free := j.backend.(lineage.Retrainable)
	if !stored && (j.needed || !free) {
		data, err := art.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
		if err := r.Ledger.Save(lineage.ArtifactKey(j.id), lineage.Raw(data)); err != nil {
			return nil, err
		}
	}
	if j.needed {
		r.kept.put(j.id, art)
	}
	return art, nil
}

func (r *Runner) learn(ctx context.Context, j *job, drawn []*strand) (lineage.Artifact, error) {
	job := lineage.Job{
		Learner: j.Learner,
		Seed:    at(j.Seed, "train", j.Line, j.replicate, j.Generation).rand(0).Uint64(),
		Ticket:  ticket{r.Ledger, j.id},
	}
	if drawn == nil {
		var err error
		if drawn, err = r.Study.corpus(r.Ledger, j); err != nil {
			return nil, err
		}
	}
	for _, s := range drawn {
		job.Count += len(s.Indices)
	}
	job.Examples = examples(r.Ledger, drawn)
	if j.from != "" {
		base, err := r.artifact(ctx, r.Study.byID[j.from], nil)
		if err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
		job.Base = base
	}
	art, err := j.backend.Train(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return art, nil
}

// ticket keeps the handles of remote work in the ledger, numbered: a job that
// failed is followed by another, and a record is never changed.
type ticket struct {
	ledger lineage.Ledger
	node   lineage.ID
}

func (t ticket) Load() (string, error) {
	handle, _, err := t.last()
	return handle, err
}

func (t ticket) last() (handle string, n int, err error) {
	for ; ; n++ {
		var next string
		ok, err := t.ledger.Load(lineage.TicketKey(t.node, n), &next)
		if err != nil || !ok {
			return handle, n, err
		}
		handle = next
	}
}

func (t ticket) Save(handle string) error {
	last, n, err := t.last()
	if err != nil || n > 0 && handle == last {
		return err
	}
	return t.ledger.Save(lineage.TicketKey(t.node, n), handle)
}

// publish asks the world's prompts; probe asks the behaviours' conversations.
func (m *making) publish(ctx context.Context) error {
	return m.ask(ctx, lineage.Outputs, m.shape.publish, m.Publish)
}

func (m *making) probe(ctx context.Context) error {
	if m.questions == nil {
		return nil
	}
	return m.ask(ctx, lineage.Probes, m.questions, m.Probe)
}

// ask samples Count answers in chunks, saves each chunk and has it scored.
func (m *making) ask(ctx context.Context, part string, p *prompts, a asking) error {
	for c := 0; c*lineage.ChunkSize < a.Count; c++ {
		key := lineage.TextsKey(part, m.id, c)
		var texts lineage.Texts
		have, err := m.recorded(key, &texts)
		if err != nil {
			return err
		}
		first := c * lineage.ChunkSize
		if !have {
			if texts, err = m.sample(ctx, part, p, a, first, min(lineage.ChunkSize, a.Count-first)); err != nil {
				return err
			}
			if err := m.Ledger.Save(key, texts); err != nil {
				return err
			}
		}
		if part == lineage.Outputs {
			m.health(texts)
		}
		if err := m.score(ctx, part, p, c, texts); err != nil {
			return err
		}
	}
	return nil
}

func (m *making) recorded(key lineage.Key, v any) (bool, error) {
	if m.fresh {
		return false, nil
	}
	return m.Ledger.Load(key, v)
}

// sample draws answers first to first+n-1, turn by turn. The seed of an answer
// depends on its index and turn alone.
func (m *making) sample(ctx context.Context, part string, p *prompts, a asking, first, n int) (lineage.Texts, error) {
	texts := make(lineage.Texts, n)
	replies := make([]string, n)
	for i := range texts {
		texts[i].Replies = replies[i : i : i+1] // most conversations have one
	}
	seeds := make([]uint64, n)
	reqs := make([]lineage.Request, 0, n)
	of := make([]int, 0, n)
	for turn := 0; ; turn++ {
		reqs, of = reqs[:0], of[:0]
		at(m.Seed, "sample "+part+" turn "+strconv.Itoa(turn), m.Line, m.replicate, m.Generation).seeds(first, seeds)
		for i := range texts {
			asked := p.Conversations[(first+i)%len(p.Conversations)]
			if messages := upTo(asked, texts[i].Replies, turn); messages != nil {
				reqs = append(reqs, lineage.Request{Messages: messages, Seed: seeds[i], Temperature: a.Temperature, MaxTokens: a.MaxTokens})
				of = append(of, i)
			}
		}
		if len(reqs) == 0 {
			return texts, nil
		}
		answered := 0
		err := m.model.Sample(ctx, reqs, func(i int, c lineage.Completion) error {
			if i < 0 || i >= len(of) || len(texts[of[i]].Replies) != turn {
				return fmt.Errorf("request %d was answered twice or never made", i)
			}
			answered++
			t := &texts[of[i]]
			t.Replies, t.Finish = append(t.Replies, c.Text), c.Finish
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("sample %s: %w", part, err)
		}
		if answered != len(reqs) {
			return nil, fmt.Errorf("sample %s: the model answered %d of %d requests", part, answered, len(reqs))
		}
	}
}

// upTo gives the conversation to the end of its user turn number turn, with the
// replies so far; nil when it has no such turn.
func upTo(asked []lineage.Message, replies []string, turn int) []lineage.Message {
	users := 0
	for i, msg := range asked {
		if msg.Role != "user" {
			continue
		}
		if users == turn {
			if turn == 0 {
				return asked[: i+1 : i+1]
			}
			return conversation(asked[:i+1], replies)
		}
		users++
	}
	return nil
}

// score has every detector judge a chunk. What is recorded already stays. An
// answer depends on its utterance alone, so of equal ones one is judged.
func (m *making) score(ctx context.Context, part string, p *prompts, c int, texts lineage.Texts) error {
	var us []detectors.Utterance
	var of []int // which utterance a text is
	for _, d := range m.Study.detectors {
		key := lineage.ScoresKey(m.id, d.Digest, part, c)
		if ok, err := m.recorded(key, new(lineage.Raw)); err != nil || ok {
			if err != nil {
				return err
			}
			continue
		}
		if us == nil {
			us, of = utterances(p, c*lineage.ChunkSize, texts)
		}
		judged := make([]lineage.Score, 0, len(us))
		const batch = 512
		for first := 0; first < len(us); first += batch {
			results, err := d.detect(ctx, us[first:min(first+batch, len(us))])
			if err != nil {
				return err
			}
			for _, r := range results {
				judged = append(judged, outcome(r))
			}
		}
		scores := make(lineage.Scores, len(texts))
		for i := range scores {
			scores[i] = judged[of[i]]
		}
		if err := m.Ledger.Save(key, scores); err != nil {
			return err
		}
	}
	return nil
}

// utterances gives the distinct conversations of a chunk whose first text has
// the given index, and for each text which of them it is.
func utterances(p *prompts, first int, texts lineage.Texts) (us []detectors.Utterance, of []int) {
	known := make(map[said]int, min(len(texts), 8))
	of = make([]int, len(texts))
	for i, t := range texts {
		prompt := (first + i) % len(p.Conversations)
		key := said{prompt, t.Replies[0]}
		at, ok := known[key]
		if !ok || len(t.Replies) > 1 {
			at = len(us)
			known[key] = at
			us = append(us, detectors.Utterance{Messages: conversation(p.Conversations[prompt], t.Replies)})
		}
		of[i] = at
	}
	return us, of
}

// scoreAgain scores a committed node by detectors that are new to it.
func (m *making) scoreAgain(ctx context.Context) error {
	for _, a := range []struct {
		part string
		p    *prompts
		n    int
	}{{lineage.Outputs, m.shape.publish, m.Publish.Count}, {lineage.Probes, m.questions, m.Probe.Count}} {
		for c := 0; c*lineage.ChunkSize < a.n; c++ {
			if m.scored(a.part, c) {
				continue
			}
			var texts lineage.Texts
			key := lineage.TextsKey(a.part, m.id, c)
			if ok, err := m.Ledger.Load(key, &texts); err != nil || !ok {
				return missing(key, err)
			}
			if err := m.score(ctx, a.part, a.p, c, texts); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *making) scored(part string, c int) bool {
	for _, d := range m.Study.detectors {
		var have lineage.Raw
		if ok, err := m.Ledger.Load(lineage.ScoresKey(m.id, d.Digest, part, c), &have); err != nil || !ok {
			return false
		}
	}
	return true
}

// commit measures the held-out loss and writes the node's record.
func (m *making) commit(ctx context.Context) error {
	m.node.Health = m.vital.measure()
	if err := m.heldOutLoss(ctx); err != nil {
		return err
	}
	return m.Ledger.Save(lineage.NodeKey(m.id), m.node)
}
