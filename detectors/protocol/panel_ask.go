package protocol

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
)

// ask has a batch judged by the next link that is free.
func (d *Detector) ask(ctx context.Context, rows []row, got func(int, detectors.Result)) error {
	var l link
	select {
	case l = <-d.links:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { d.links <- l }()
	d.mu.Lock()
	closed := d.closed
	d.stats.Rows += len(rows)
	d.mu.Unlock()
	if closed {
		return errors.New("is closed")
	}
	if l != nil && !l.alive() {
		d.restarted(errors.New("ended while nothing was asked of it"))
		l.end(0)
		l = nil
	}
	done := make([]bool, len(rows))
	err := d.try(ctx, &l, rows, func(i int, a *answer) {
		done[i] = true
		got(i, d.result(rows[i], a))
	})
	if err == nil {
		return d.tooMany()
	}
	if isFatal(ctx, err) {
		return err
	}
	for i := range rows {
		if done[i] {
			continue
		}
		last := err
		alone := func(_ int, a *answer) { got(i, d.result(rows[i], a)) }
		// A batch of one was alone already.
		for attempt := min(1, len(rows)-1); attempt >= 0 && last != nil; attempt-- {
			last = d.try(ctx, &l, rows[i:i+1], alone)
			if last != nil && isFatal(ctx, last) {
				return last
			}
		}
		if last != nil {
			got(i, d.failed(rows[i], last))
		}
		if err := d.tooMany(); err != nil {
			return err
		}
	}
	return nil
}

// try asks through the link, which is opened first where there is none, and
// closed when it fails.
func (d *Detector) try(ctx context.Context, l *link, rows []row, got func(int, *answer)) (err error) {
	if *l == nil {
		if *l, err = d.reopen(ctx); err != nil {
			return fatal{err}
		}
	}
	if err = (*l).ask(ctx, rows, got); err != nil {
		(*l).end(0)
		*l = nil
		if !isFatal(ctx, err) {
			d.restarted(err)
		}
	}
	return err
}

func (d *Detector) restarted(why error) {
	d.mu.Lock()
	d.stats.Restarts++
	d.mu.Unlock()
	d.log.say(restart, "%v; it is started again", why)
}

func isFatal(ctx context.Context, err error) bool {
	var f fatal
	return ctx.Err() != nil || errors.As(err, &f)
}

// pauses are waited between attempts to open a link again.
var pauses = []time.Duration{0, 200 * time.Millisecond, time.Second, 5 * time.Second}

func (d *Detector) reopen(ctx context.Context) (l link, err error) {
	for _, pause := range pauses {
		if pauseErr := wait(ctx, pause); pauseErr != nil {
			return nil, pauseErr
		}
		if l, err = d.dial(ctx); err == nil || isFatal(ctx, err) {
			return l, err
		}
	}
	return nil, fmt.Errorf("did not start again in %d attempts: %w", len(pauses), err)
}

// wait returns early when the context ends.
func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// result is the result of an answer as the panel records it.
func (d *Detector) result(r row, a *answer) detectors.Result {
	result, complaint, wrong := d.judge.result(a, r.Output)
	if wrong != nil {
		return d.failed(r, wrong)
	}
	if complaint != nil {
		d.log.say(partial, "of an answer about %.60q something is left out: %v", r.Output, complaint)
	}
	d.mu.Lock()
	d.inARow = 0
	d.stats.Cost += a.Cost
	d.mu.Unlock()
	return result
}

// failed is the result of a text that could not be judged.
func (d *Detector) failed(r row, why error) detectors.Result {
	d.mu.Lock()
	d.stats.NotJudged++
	d.inARow++
	d.last = why
	d.mu.Unlock()
	d.log.say(fault, "a text could not be judged and counts as not scorable: %v; the text is %.60q", why, r.Output)
	var b *broken
	if errors.As(why, &b) {
		why = errors.New("the detector " + b.what) // its last words may differ from one time to the next
	}
	return detectors.Result{Reason: "not judged: " + line(why.Error(), longestReason)}
}
