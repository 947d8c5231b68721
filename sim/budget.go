package sim

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// Budget bounds what the runs of a ledger spend together. It is no part of an
// experiment: it decides how far a run comes and not what it finds.
type Budget struct {
	Capped        bool
	Most          lineage.USD // where it is capped
	AllowUnpriced bool        // ask also what has no known price, uncounted
}

// ErrUnpriced says that a cap cannot be kept, since what something costs is not
// known.
var ErrUnpriced = errors.New("a cap on what is spent cannot be kept")

// Price is what a server asks for, for a million tokens.
type Price struct{ Prompt, Answer lineage.USD }

func (p Price) of(prompt, answer int) lineage.USD {
	return (lineage.USD(prompt)*p.Prompt + lineage.USD(answer)*p.Answer + 999_999) / 1_000_000
}

// afford opens the purse of a run, and refuses a cap that could not be kept.
func (r *Runner) afford(have map[lineage.ID]bool) (end func() error, err error) {
	most := NoCap
	if r.Budget.Capped {
		most = max(r.Budget.Most, 0)
		if err := r.Study.boundable(have, r.Budget.AllowUnpriced); err != nil {
			return nil, err
		}
	}
	if r.purse, err = newPurse(r.Ledger, most); err != nil {
		return nil, err
	}
	r.Study.resources.purse = r.purse
	return func() error {
		r.Study.resources.purse = nil
		return r.purse.Close()
	}, nil
}

// boundable tells whether everything that is still to be made, and everybody who
// is asked about it, has a known price.
func (s *Study) boundable(have map[lineage.ID]bool, anyway bool) error {
	if anyway {
		return nil
	}
	var faults []error
	seen := map[lineage.Backend]bool{}
	for _, jobs := range s.jobs {
		for _, j := range jobs {
			quoter, ok := j.backend.(lineage.Quoter)
			if !ok || have[j.id] || seen[j.backend] {
				continue
			}
			seen[j.backend] = true
			switch q := quoter.Quote(s.work(j)); {
			case !q.Priced:
				faults = append(faults, fmt.Errorf("line %s: no price is known for its backend %s (%s)", j.Line, j.Backend, q.Basis))
			case q.Unbounded != "":
				faults = append(faults, fmt.Errorf("line %s: what its backend %s costs has no bound: %s", j.Line, j.Backend, q.Unbounded))
			}
		}
	}
	for _, j := range s.Judges() {
		if _, known := s.resources.price(j.Address, j.Model); !known {
			faults = append(faults, fmt.Errorf("detector %s: no price is known for the model %s of %s", j.Detector, j.Model, j.Address))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnpriced, errors.Join(faults...))
}

func (r *resources) price(address, model string) (Price, bool) {
	if r.means.Price == nil {
		return Price{}, false
	}
	return r.means.Price(address, model)
}

// unboundJudge is the most tokens that an answer without max_tokens is taken to have.
const unboundJudge = 16_384

// reserve sets aside what a request of a detector can cost: a token has at least a
// byte. What comes of it settles that: a request that failed may have been charged.
func (e remembered) reserve(q detectors.ChatRequest) (settle func(prompt, answer int, failed error) error, err error) {
	price, known := e.of.price(e.address, q.Model)
	if e.of.purse == nil || !known {
		return func(_, _ int, failed error) error { return failed }, nil
	}
	bytes, likely := len(q.Schema), 0
	for _, m := range q.Messages {
		bytes += len(m.Role) + len(m.Content) + 2*turnTokens
		likely += tokens(m)
	}
	answer := q.MaxTokens
	if answer == 0 {
		answer = unboundJudge
	}
	most := price.of(bytes, max(answer, 0))
	done, err := e.of.purse.Reserve(most, "a request to "+q.Model+" of "+e.address)
	if err != nil {
		return nil, err
	}
	return func(prompt, answer int, failed error) error {
		actual := most
		if failed == nil {
			actual = price.of(cmp.Or(prompt, likely), answer)
		}
		return errors.Join(failed, done(actual))
	}, nil
}

// spoken is texts as the messages that they are priced as.
func spoken(texts []string) []lineage.Message {
	out := make([]lineage.Message, len(texts))
	for i, t := range texts {
		out[i].Content = t
	}
	return out
}
