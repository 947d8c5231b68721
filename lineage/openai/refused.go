package openai

import (
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
)

// refusals are requests that a server will never answer. They are recorded as
// such when everything else is answered, and only while they are few: many are a
// fault of the settings.
type refusals struct {
	model *model
	all   []outcome
}

func (r *refusals) add(o outcome) error {
	m := r.model
	r.all = append(r.all, o)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed++
	if float64(m.failed) <= m.sampling.ErrorBudget*float64(m.asked) {
		return nil
	}
	return fmt.Errorf("%d of %d requests were refused, more than the share of %v in error_budget: %w", m.failed, m.asked, m.sampling.ErrorBudget, o.err)
}

func (r *refusals) emit(emit func(int, lineage.Completion) error) error {
	for _, o := range r.all {
		r.model.world.Log("request %d has no answer and is recorded as such: %v", o.i, o.err)
		if err := emit(o.i, lineage.Completion{Finish: "error"}); err != nil {
			return err
		}
	}
	return nil
}
