package sim

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Runner makes the nodes of a study that a ledger lacks.
type Runner struct {
	Study   *Study
	Ledger  lineage.Ledger
	Workers int         // how many nodes are made at once
	Cores   int         // that trainings share; as many as Workers where it is 0
	Report  func(Event) // what happens, from one goroutine at a time; may be nil
	Folder  string      // for what backends leave on disk; "" where there is none
	Budget  Budget

	kept   weights
	purse  *purse
	missed missed
	left   atomic.Int64 // nodes of the generation that are still to be made
	report sync.Mutex
}

// Event is something that happened in a run.
type Event struct {
	Kind       string // "start", "training", "node", "failed", "blocked", "generation" or "done"
	Node       lineage.ID
	Line       string
	Replicate  int
	Generation int
	Done       int         // nodes that are finished
	Total      int         // nodes of the study
	Reused     int         // of Done, those that were in the ledger before
	Err        error       // of "failed" and "blocked"
	Spent      lineage.USD // by all runs of the ledger so far; of "generation" and "done"
}

// Run makes every missing node, generation by generation: a node draws only on
// earlier ones, so peers are always ready. It can be stopped at any moment and
// called again: what is recorded is not made again, and the records of a run
// that was interrupted are those of one that was not.
//
//  1. the study's own record and the shapes of its recipes are saved, and every
//     detector is measured on the labelled rows of its behaviour;
//  2. for each generation, every missing node is made, at most Workers at once:
//     corpus, weights, outputs, probes, scores, and last its own record;
//  3. at the end of each generation the ledger is synced, where it can be.
//
// Where a node cannot be made, those that do not descend from it are made all the
// same, and the run ends with an *Incomplete. At the budget it ends with
// lineage.ErrBudget: nothing new is begun, and what is in flight is not lost.
func (r *Runner) Run(ctx context.Context) error {
	r.missed = missed{}
	r.Study.resources.answers.bind(r.Ledger)
	defer r.Study.resources.answers.bind(r.Study.resources.means.Answers)
	if err := r.open(); err != nil {
		return err
	}
	have, err := r.Study.Have(r.Ledger)
	if err != nil {
		return err
	}
	closePurse, err := r.afford(have)
	if err != nil {
		return err
	}
	if err := r.make(ctx, have); err != nil {
		return errors.Join(err, closePurse())
	}
	return cmp.Or(closePurse(), r.missed.err())
}

// make makes what is missing, generation by generation.
func (r *Runner) make(ctx context.Context, have map[lineage.ID]bool) error {
	if err := r.enter(have); err != nil {
		return err
	}
	if err := r.calibrate(ctx); err != nil {
		return err
	}
	done, reused, total := 0, 0, r.Study.Nodes()
	r.tell(Event{Kind: "start", Total: total, Done: 0, Reused: len(have)})
	for g, jobs := range r.Study.jobs {
		r.left.Store(0)
		for _, j := range jobs {
			if !have[j.id] {
				r.left.Add(1)
			}
		}
		err := each(ctx, len(jobs), max(r.Workers, 1), func(ctx context.Context, i int) error {
			j := jobs[i]
			made, err := r.attempt(ctx, j, have[j.id])
			if !have[j.id] {
				r.left.Add(-1)
			}
			if err != nil || !made {
				return err
			}
			r.report.Lock()
			defer r.report.Unlock()
			done++
			if have[j.id] {
				reused++
			}
			if r.Report != nil {
				r.Report(Event{Kind: "node", Node: j.id, Line: j.Line, Replicate: j.replicate, Generation: j.Generation, Done: done, Total: total, Reused: reused})
			}
			return nil
		})
		if err := cmp.Or(err, r.missed.spent()); err != nil {
			return err
		}
		if err := r.sync(); err != nil {
			return err
		}
		r.kept.drop(func(id lineage.ID) bool { return r.Study.outlived(id, g) })
		if len(jobs) > 0 {
			r.tell(Event{Kind: "generation", Generation: g - 1, Done: done, Total: total, Reused: reused, Spent: r.purse.spent()})
		}
	}
	r.tell(Event{Kind: "done", Done: done, Total: total, Reused: reused, Spent: r.purse.spent()})
	return nil
}

// cores is how many cores a training gets that begins now: one each while there
// are as many nodes to make as cores, since small trainings scale badly over
// threads, and the more the fewer nodes are left.
func (r *Runner) cores() int {
	workers := max(r.Workers, 1)
	cores := r.Cores
	if cores == 0 {
		cores = workers
	}
	atOnce := min(workers, int(r.left.Load()))
	return max(cores/max(atOnce, 1), 1)
}

// progress tells how far a training that is not made in this process is, a tenth
// at a time; nil for others, which take no time worth telling.
func (r *Runner) progress(j *job) func(done, total int) {
	if !j.paid() || r.Report == nil {
		return nil
	}
	told := 0
	return func(done, total int) {
		tenth := 10 * done / max(total, 1)
		r.report.Lock()
		defer r.report.Unlock()
		if tenth > told && tenth <= 10 {
			told = tenth
			r.Report(Event{Kind: "training", Node: j.id, Line: j.Line, Replicate: j.replicate, Generation: j.Generation, Done: done, Total: total})
		}
	}
}

// open writes what the ledger has to know of the study beside its nodes.
func (r *Runner) open() error {
	if err := r.Ledger.Save(lineage.StudyKey(r.Study.Record.Digest), r.Study.Record); err != nil {
		return err
	}
	for _, d := range slices.Sorted(maps.Keys(r.Study.resources.prompts)) {
		if err := r.Ledger.Save(lineage.PromptsKey(d), r.Study.resources.prompts[d].Prompts); err != nil {
			return err
		}
	}
	shapes := map[string][]byte{}
	for _, jobs := range r.Study.jobs {
		for _, j := range jobs {
			shapes[j.digest] = j.json
		}
	}
	for _, d := range slices.Sorted(maps.Keys(shapes)) {
		if err := r.Ledger.Save(shapeKey(d), lineage.Raw(shapes[d])); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) tell(e Event) {
	r.report.Lock()
	defer r.report.Unlock()
	if r.Report != nil {
		r.Report(e)
	}
}

func (r *Runner) sync() error {
	if s, ok := r.Ledger.(interface{ Sync() error }); ok {
		return s.Sync()
	}
	return nil
}

// Have gives the nodes of the study that a ledger holds whole.
func (s *Study) Have(ledger lineage.Ledger) (map[lineage.ID]bool, error) {
	have := map[lineage.ID]bool{}
	for key, err := range ledger.Keys("node/") {
		if err != nil {
			return nil, err
		}
		if id := lineage.ID(key[len("node/"):]); s.byID[id] != nil {
			have[id] = true
		}
	}
	return have, nil
}

// outlived tells whether no node after the given index of jobs starts from the
// weights of a node.
func (s *Study) outlived(id lineage.ID, index int) bool {
	j := s.byID[id]
	return j.Generation >= 0 && j.Generation+1 < index
}

// weights are the artifacts that later nodes start from, while they are needed.
type weights struct {
	sync.Mutex
	byID map[lineage.ID]lineage.Artifact
}

func (w *weights) get(id lineage.ID) lineage.Artifact {
	w.Lock()
	defer w.Unlock()
	return w.byID[id]
}

func (w *weights) put(id lineage.ID, a lineage.Artifact) {
	w.Lock()
	defer w.Unlock()
	if w.byID == nil {
		w.byID = map[lineage.ID]lineage.Artifact{}
	}
	w.byID[id] = a
}

func (w *weights) drop(when func(lineage.ID) bool) {
	w.Lock()
	defer w.Unlock()
	maps.DeleteFunc(w.byID, func(id lineage.ID, _ lineage.Artifact) bool { return when(id) })
}
