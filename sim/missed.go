package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Incomplete is how a run ends that could not make every node: what failed, what
// a provider blocked, and how many descend from either. What failed is tried again
// by the next run; what was blocked is an outcome, and stays.
type Incomplete struct {
	Failed  []Failure
	Blocked []lineage.Node // without those that descend from them
	Unmade  int            // descend from a failed node
	Barred  int            // descend from a blocked one
}

// Failure is a node that could not be made, and why.
type Failure struct {
	Node                  lineage.ID
	Line                  string
	Replicate, Generation int
	Err                   error
}

// maxTold is how many nodes a message names.
const maxTold = 10

func (e *Incomplete) Error() string {
	var b strings.Builder
	list := func(n int, line func(i int) string) {
		for i := range min(n, maxTold) {
			b.WriteString("\n  " + line(i))
		}
		if n > maxTold {
			fmt.Fprintf(&b, "\n  … and %d more", n-maxTold)
		}
	}
	if n := len(e.Failed); n > 0 {
		fmt.Fprintf(&b, "%s failed, and %d that descend from them are not made:", models(n), e.Unmade)
		list(n, func(i int) string { return e.Failed[i].Err.Error() })
	}
	if n := len(e.Blocked); n > 0 {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s blocked by the provider, and %d that descend from them are not made:", models(n), e.Barred)
		list(n, func(i int) string { return where(&e.Blocked[i]) + ": " + e.Blocked[i].Blocked.Error() })
	}
	return b.String()
}

func models(n int) string {
	if n == 1 {
		return "1 model"
	}
	return fmt.Sprintf("%d models", n)
}

func where(n *lineage.Node) string {
	if n.Generation < 0 {
		return n.Line + " foundation"
	}
	return fmt.Sprintf("%s replicate %d generation %d", n.Line, n.Replicate, n.Generation)
}

// cellError is a fault of one node: others may well be made.
type cellError struct{ error }

func (e cellError) Unwrap() error { return e.error }

func cell(err error) error { return cellError{err} }

// missed is what a run could not make so far.
type missed struct {
	mu     sync.Mutex
	lost   map[lineage.ID]*lineage.Node // not there to descend from: its record where it was blocked, nil where it failed
	out    Incomplete
	budget error // nothing new is begun
}

// attempt makes a node, unless it descends from one that is not there. It is an
// error only where the run has to end.
func (r *Runner) attempt(ctx context.Context, j *job, have bool) (made bool, err error) {
	if !have {
		if r.missed.spent() != nil {
			return false, nil
		}
		if gone, err := r.orphaned(j); gone || err != nil {
			return false, err
		}
	}
	if err = r.node(ctx, j); err == nil {
		return true, nil
	}
	err = fmt.Errorf("%s: %w", j, err)
	var of cellError
	switch {
	case ctx.Err() != nil:
		return false, err
	case errors.Is(err, lineage.ErrBudget):
		r.missed.stop(err)
		return false, nil
	case !errors.As(err, &of) || errors.Is(err, lineage.ErrHalt):
		return false, err
	}
	r.missed.fail(j, err)
	r.tell(Event{Kind: "failed", Node: j.id, Line: j.Line, Replicate: j.replicate, Generation: j.Generation, Err: err})
	return false, nil
}

// orphaned tells whether a node descends from one that is not there, and records
// it where that one was blocked: it can never be made.
func (r *Runner) orphaned(j *job) (bool, error) {
	var barred *lineage.Node
	failed := false
	r.missed.mu.Lock()
	for _, id := range append([]lineage.ID{j.from, j.teacher}, j.nodes...) {
		by, lost := r.missed.lost[id]
		failed = failed || lost && by == nil
		barred = cmp.Or(barred, by)
	}
	if failed {
		r.missed.lose(j.id, nil)
		r.missed.out.Unmade++
	}
	r.missed.mu.Unlock()
	if failed || barred == nil {
		return failed, nil
	}
	n, err := j.place()
	if err != nil {
		return true, err
	}
	n.Blocked, n.Ancestor = barred.Blocked, cmp.Or(barred.Ancestor, barred.ID)
	r.missed.note(&n)
	return true, r.Ledger.Save(lineage.NodeKey(n.ID), n)
}

func (m *missed) lose(id lineage.ID, blocked *lineage.Node) {
	if m.lost == nil {
		m.lost = map[lineage.ID]*lineage.Node{}
	}
	m.lost[id] = blocked
}

// note looks whether the record of a node is that of a blocked one.
func (m *missed) note(n *lineage.Node) {
	if n.Made() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose(n.ID, n)
	if n.Ancestor != "" {
		m.out.Barred++
	} else {
		m.out.Blocked = append(m.out.Blocked, *n)
	}
}

func (m *missed) fail(j *job, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lose(j.id, nil)
	m.out.Failed = append(m.out.Failed, Failure{j.id, j.Line, j.replicate, j.Generation, err})
}

func (m *missed) stop(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budget = cmp.Or(m.budget, err)
}

// spent is the error of a run that came to its budget.
func (m *missed) spent() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.budget
}

// err is what a run that went to its end has to say, nil where it made everything.
func (m *missed) err() error {
	if len(m.out.Failed)+len(m.out.Blocked) == 0 {
		return nil
	}
	slices.SortFunc(m.out.Failed, func(a, b Failure) int {
		return cmp.Or(a.Generation-b.Generation, strings.Compare(a.Line, b.Line), a.Replicate-b.Replicate, strings.Compare(string(a.Node), string(b.Node)))
	})
	slices.SortFunc(m.out.Blocked, func(a, b lineage.Node) int {
		return cmp.Or(a.Generation-b.Generation, strings.Compare(a.Line, b.Line), a.Replicate-b.Replicate, strings.Compare(string(a.ID), string(b.ID)))
	})
	return &m.out
}
