package sim

import (
	"context"
	"encoding/json"
	"fmt"

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
		if r.missed.note(&committed); !committed.Made() {
			return nil
		}
		return m.scoreAgain(ctx)
	}
	for _, step := range []func(context.Context) error{m.assemble, m.train, m.publish, m.probe, m.commit} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r.missed.note(&m.node)
	return nil
}

// assemble draws the corpus and records where each document came from. One that
// is recorded stays as it is: a filter or a curator may answer otherwise today.
func (m *making) assemble(ctx context.Context) error {
	var rec lineage.Drawn
	begun, err := m.Ledger.Load(lineage.CorpusKey(m.id), &rec)
	if err != nil {
		return err
	}
	if m.fresh = !begun; begun {
		m.corpus, err = m.Study.strands(m.id, rec.Corpus)
	} else {
		m.corpus, rec, err = m.draw(ctx)
	}
	if err != nil {
		return err
	}
	filters := len(m.Filters)
	if m.pairing() != nil {
		filters++
	}
	if len(rec.Filters) != filters {
		return fmt.Errorf("%s: tells of %d filters and the corpus has %d; it was begun by another version of this program, so start in a new folder", lineage.CorpusKey(m.id), len(rec.Filters), filters)
	}
	m.node, err = m.place()
	m.node.Outputs, m.node.Probes = m.Publish.Count, m.Probe.Count
	m.node.Prompts, m.node.Questions = m.Publish.Prompts, m.Probe.Prompts
	m.made(rec)
	return err
}

// place is the record of a node before anything is known of it but where it stands.
func (j *job) place() (lineage.Node, error) {
	recipe, err := json.Marshal(recipeRef{j.digest, j.replicate, j.nodes})
	return lineage.Node{
		ID: j.id, Line: j.Line, Replicate: j.replicate, Generation: j.Generation,
		Backend: j.Backend, Learner: j.Learner, Base: j.Base, BaseNode: j.from, Teacher: j.teacher, Edits: j.edits(), Recipe: recipe,
	}, err
}

// made says in the node's record what it is trained on.
func (m *making) made(rec lineage.Drawn) {
	m.node.Documents, m.node.Filters = rec.Corpus.Len(), rec.Filters
	m.node.Parents, m.node.Supplies = provenance(rec.Corpus)
}

// draw draws a corpus that is not recorded, and records it.
func (m *making) draw(ctx context.Context) ([]*strand, lineage.Drawn, error) {
	drawn, filters, err := m.Study.draw(ctx, m.Ledger, m.job, m.start)
	if err != nil {
		return nil, lineage.Drawn{}, err
	}
	rec := lineage.Drawn{Corpus: edges(drawn), Filters: filters}
	return drawn, rec, m.Ledger.Save(lineage.CorpusKey(m.id), rec)
}

// edges is a corpus as it is recorded.
func edges(drawn []*strand) lineage.Corpus {
	out := make(lineage.Corpus, len(drawn))
	for i, s := range drawn {
		out[i] = s.Strand
	}
	return out
}

// start opens the model whose weights training starts from.
func (m *making) start(ctx context.Context) (lineage.Model, error) {
	base, err := m.artifact(ctx, m.Study.byID[m.from])
	if err != nil {
		return nil, err
	}
	return m.backend.Open(ctx, base)
}

// edits are in words what is done to the text of the corpus before training.
func (s *shape) edits() (all []string) {
	for _, e := range s.Sanitise {
		all = append(all, e.String())
	}
	if in := s.Inoculate; in != nil {
		all = append(all, "inoculate")
	}
	return all
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

// train gives the node its model, where there is anything to ask of it.
func (m *making) train(ctx context.Context) error {
	art, err := m.trained(ctx)
	if err != nil {
		return err
	}
	if m.node.Outputs+m.node.Probes == 0 {
		return nil
	}
	if m.model, err = m.backend.Open(ctx, art); err != nil {
		return cell(fmt.Errorf("open: %w", err))
	}
	return nil
}

// artifact gives the weights of an earlier node, to start from or to learn of.
func (r *Runner) artifact(ctx context.Context, j *job) (lineage.Artifact, error) {
	return r.weights(ctx, j, j.id, nil)
}

// weights are those in memory, those in the ledger, or by training under a name.
// Those that a later node needs are kept; others only where training again is not
// free.
func (r *Runner) weights(ctx context.Context, j *job, name lineage.ID, drawn []*strand) (lineage.Artifact, error) {
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
	} else if art, err = r.learn(ctx, j, name, drawn); err != nil {
		return nil, err
	}
	return art, r.keep(j, art, stored)
}

// keep stores the weights of a node where they are needed or were not free.
func (r *Runner) keep(j *job, art lineage.Artifact, stored bool) error {
	if !stored && (j.needed || !j.retrainable()) {
		data, err := art.MarshalBinary()
		if err != nil {
			return fmt.Errorf("weights: %w", err)
		}
		if err := r.Ledger.Save(lineage.ArtifactKey(j.id), lineage.Raw(data)); err != nil {
			return err
		}
	}
	if j.needed {
		r.kept.put(j.id, art)
	}
	return nil
}

// learn has a node trained, under the name by which its work is known outside.
func (r *Runner) learn(ctx context.Context, j *job, name lineage.ID, drawn []*strand) (lineage.Artifact, error) {
	job := lineage.Job{
		Node: name, Learner: j.Learner, Cores: r.cores(),
		Seed:   at(j.Seed, "train", j.Line, j.replicate, j.Generation).rand(0).Uint64(),
		Ticket: ticket{r.Ledger, name}, Progress: r.progress(j),
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
	job.Examples = r.Study.examples(r.Ledger, j, drawn)
	if j.from != "" {
		base, err := r.artifact(ctx, r.Study.byID[j.from])
		if err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
		job.Base = base
	}
	if j.teacher != "" {
		teacher, err := r.artifact(ctx, r.Study.byID[j.teacher])
		if err != nil {
			return nil, fmt.Errorf("teacher: %w", err)
		}
		job.Teacher = teacher
	}
	art, err := j.backend.Train(ctx, job)
	if err != nil {
		return nil, cell(fmt.Errorf("train: %w", err))
	}
	return art, nil
}

// commit measures the held-out loss and writes the node's record.
func (m *making) commit(ctx context.Context) error {
	m.node.Health = m.vital.measure()
	if err := m.heldOutLoss(ctx); err != nil {
		return err
	}
	return m.Ledger.Save(lineage.NodeKey(m.id), m.node)
}
