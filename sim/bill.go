package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// Bill is what nodes that are still to be made take and can cost.
type Bill struct {
	Nodes     int
	Trained   int // tokens, over all epochs
	Prompts   int // tokens
	Answers   int // tokens at most, without those of OpenEnded
	OpenEnded int // nodes whose answers have no max_tokens
	Most      lineage.USD
	Unpriced  int    // nodes whose price is not known, and not in Most
	Unbounded string `json:",omitempty"` // why Most is no bound
	Basis     string // where prices come from
	Time      time.Duration
}

// bill adds a node to a bill, where its backend costs money.
func (s *Study) bill(b *Bill, j *job) *Bill {
	quoter, ok := j.backend.(lineage.Quoter)
	if !ok {
		return b
	}
	if b == nil {
		b = &Bill{}
	}
	q, ok := s.quotes[j.digest]
	if !ok {
		q.work = s.work(j)
		q.Quote = quoter.Quote(q.work)
		s.quotes[j.digest] = q
	}
	b.Nodes++
	b.Trained, b.Prompts, b.Answers = b.Trained+q.Tokens, b.Prompts+q.work.PromptTokens, b.Answers+q.work.AnswerTokens
	if q.work.Requests > 0 && q.work.AnswerTokens == 0 {
		b.OpenEnded++
	}
	if q.Priced {
		b.Most += q.Most
	} else {
		b.Unpriced++
	}
	b.Unbounded, b.Basis = cmp.Or(b.Unbounded, q.Unbounded), cmp.Or(b.Basis, q.Basis)
	b.Time += q.Time
	return b
}

// Cost is the bill for everything that a ledger lacks, foundations included; nil
// where nothing of it costs money.
func (s *Study) Cost(ledger lineage.Ledger) (*Bill, error) {
	have, err := s.Have(ledger)
	if err != nil {
		return nil, err
	}
	var all *Bill
	for _, jobs := range s.jobs {
		for _, j := range jobs {
			if !have[j.id] {
				all = s.bill(all, j)
			}
		}
	}
	return all, nil
}

// Judge is a model of a server that a detector asks.
type Judge struct{ Detector, Address, Model string }

// Judges lists the models that detectors ask, each once. What they cost is in no
// bill: it depends on what will be written.
func (s *Study) Judges() []Judge { return judges(nil, s.detectors) }

func judges(list []Judge, all []*Detector) []Judge {
	for _, d := range all {
		list = judges(list, d.uses)
		asking, ok := d.Detector.(detectors.Asking)
		if !ok {
			continue
		}
		address, model := asking.Asks()
		if !slices.ContainsFunc(list, func(j Judge) bool { return j.Address == address && j.Model == model }) {
			list = append(list, Judge{d.Name, address, model})
		}
	}
	return list
}
