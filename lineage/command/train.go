package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// trainings is the folder of all trainings in the folder of a run. A node has
//
//	NODE            the finished training: its commit mark
//	NODE.attempt-1  one that runs, or that counts for nothing
//	NODE.data       its corpus as rows
//	NODE.state      what a trainer keeps from one attempt to the next
const trainings = "trainings"

// tryAgain is the exit status of a trainer that failed and may fare better
// (EX_TEMPFAIL of sysexits.h).
const tryAgain = 75

// Train runs the command, or takes up one that runs or ran already.
func (b *Backend) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	if err := b.entered(); err != nil {
		return nil, err
	}
	leave, err := trainers.enter(ctx, b.config.Train.Parallel)
	if err != nil {
		return nil, err
	}
	defer leave()
	w, err := b.prepare(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	a, err := w.finished()
	if a == nil && err == nil {
		a, err = w.paid(ctx)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// paid trains with money set aside, where training costs any.
func (w *work) paid(ctx context.Context) (*Artifact, error) {
	settle := func(lineage.USD) error { return nil }
	most := dollars(w.config.Train.MaxCost)
	what := "training of " + w.vars.Node + " (" + w.vars.InputSHA[:16] + ")"
	if most > 0 {
		var err error
		if settle, err = w.world.Purse.Reserve(most, what); err != nil {
			return nil, fmt.Errorf("command: %s: %w", what, err)
		}
	}
	a, cost, err := w.train(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err() // what it cost so far is not known, so it counts whole
	}
	if cost == nil {
		return a, errors.Join(err, settle(most))
	}
	spent := dollars(*cost)
	if spent > 0 && most == 0 { // told of only now
		if settle, err = w.world.Purse.Reserve(spent, what); err != nil {
			w.world.Log("%s: it cost %s, and %v; set train.max_cost, so that this is known before", what, spent, err)
			return a, nil
		}
	}
	return a, errors.Join(err, settle(spent))
}

func dollars(x float64) lineage.USD { return lineage.USD(x * float64(lineage.Dollar)) }

// train waits for the attempt that runs, or begins one; again where the trainer
// says that it may fare better.
func (w *work) train(ctx context.Context) (a *Artifact, cost *float64, err error) {
	for tries := 1; ; tries++ {
		at, err := w.current()
		if err == nil && at == nil {
			at, err = w.begin()
		}
		if err != nil {
			return nil, cost, fmt.Errorf("command: %w", err)
		}
		a, spent, err := w.follow(ctx, *at)
		if spent != nil && cost != nil {
			*spent += *cost
		}
		cost = or(spent, cost)
		var again *temporary
		if !errors.As(err, &again) {
			return a, cost, err
		}
		if tries >= w.config.Train.Attempts {
			return nil, cost, fmt.Errorf("%w; it was tried %d times", err, tries)
		}
		wait := min(time.Minute, time.Second<<(tries-1))
		w.world.Log("%v; it is started again in %s (attempt %d of %d)", err, wait, tries+1, w.config.Train.Attempts)
		select {
		case <-ctx.Done():
			return nil, cost, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// temporary is the failure of a trainer that asks to be started again.
type temporary struct{ error }
