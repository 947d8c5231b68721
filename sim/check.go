package sim

import (
	"context"
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Finding is what a check of one backend or detector came to.
type Finding struct {
	Of string `json:"of"` // the lines of the backend, or the detector
	lineage.Finding
}

// checkedDocs is how many documents of a training file are tried.
const checkedDocs = 1000

// Check has every backend that can look beforehand whether its work will go
// through. It may ask providers, and spends nothing.
func (s *Study) Check(ctx context.Context) (all []Finding, err error) {
	type patient struct {
		of   string
		work lineage.Work
		job  *job
	}
	var order []lineage.Backend
	patients := map[lineage.Backend]*patient{}
	for _, jobs := range s.jobs {
		for _, j := range jobs {
			p := patients[j.backend]
			if p == nil {
				p = &patient{of: "line " + j.Line, job: j}
				patients[j.backend] = p
				order = append(order, j.backend)
			}
			if w := s.work(j); w.TrainTokens+w.PromptTokens > p.work.TrainTokens+p.work.PromptTokens {
				p.work = w // the largest is the one that may be too large
			}
		}
	}
	for _, b := range order {
		checked, ok := b.(lineage.Checked)
		if !ok {
			continue
		}
		p := patients[b]
		examples, err := s.foretaste(p.job)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.of, err)
		}
		if err := s.lend(b, p.job.shape); err != nil {
			return nil, fmt.Errorf("%s: %w", p.of, err)
		}
		for _, f := range checked.Check(ctx, p.work, examples) {
			all = append(all, Finding{p.of, f})
		}
	}
	return all, nil
}

// foretaste is what is known beforehand of the documents that a node is trained
// on: those of its sources. Filters do not see them, since they may ask a judge.
func (s *Study) foretaste(j *job) (examples []lineage.Example, err error) {
	for _, b := range j.Blocks {
		for _, seg := range b.Segments {
			src := s.resources.byDigest(seg.Digest)
			if seg.Ref >= 0 || src == nil {
				continue
			}
			n := src.Len()
			if b.Count != whole {
				n = min(n, b.Count)
			}
			for i := range min(n, checkedDocs-len(examples)) {
				doc, err := src.Document(i)
				if err != nil {
					return nil, err
				}
				examples = append(examples, lineage.Example{Messages: doc.Messages, Weight: 1})
			}
		}
	}
	return examples, nil
}

// lend enters a backend that is only looked at: it may not spend, and what it would
// keep of its work is kept in memory.
func (s *Study) lend(b lineage.Backend, of *shape) error {
	worldly, ok := b.(lineage.Worldly)
	if !ok {
		return nil
	}
	ledger := new(lineage.Memory)
	none, err := newPurse(ledger, 0)
	if err != nil {
		return err
	}
	r := &Runner{Study: s, Ledger: ledger, purse: none}
	return worldly.Enter(r.world(of))
}

// PriceOf gives the price of a model that a detector asks, where it is known.
func (s *Study) PriceOf(j Judge) (Price, bool) { return s.resources.price(j.Address, j.Model) }
