package openai

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// How often a job is looked at, and how long what may pass is borne.
const (
	firstLook = 10 * time.Second
	lastLook  = time.Minute
	growth    = 1.5
	jitter    = .2
	settling  = 5 * time.Minute // of what was just made: a job, the name of a model
	outage    = time.Hour       // without an answer
)

// pace is how long to wait between looks.
type pace struct {
	d     time.Duration
	r     *rand.Rand
	sends int
}

// pace begins with short waits. The name keeps many that wait from asking at once.
func (b *Backend) pace(name string) *pace { return newPace(name) }

func newPace(name string) *pace {
	h := fnv.New64a()
	h.Write([]byte(name))
	return &pace{d: firstLook, r: rand.New(rand.NewPCG(h.Sum64(), 0))}
}

func (p *pace) next() time.Duration {
	d := time.Duration(float64(p.d) * (1 + jitter*(2*p.r.Float64()-1)))
	p.d = min(lastLook, time.Duration(float64(p.d)*growth))
	return d
}

func (b *Backend) now() time.Time { return b.client.servers.clock.now() }

func (b *Backend) sleep(ctx context.Context, d time.Duration) error {
	return b.client.servers.clock.sleep(ctx, d)
}

// follow looks at a job until it ends.
func (t *training) follow(ctx context.Context) error {
	if err := t.reserve(); err != nil {
		return err
	}
	heard, nameless := t.now(), time.Time{}
	for p := t.pace(t.h.Job); ; {
		j, err := t.client.job(ctx, t.h.Job)
		switch {
		case err == nil:
			heard = t.now()
			if over, err := t.judge(ctx, j, &nameless); over || err != nil {
				return err
			}
		case ctx.Err() != nil:
			return ctx.Err()
		case gone(err) && t.now().Sub(time.Unix(t.h.Since, 0)) > settling:
			return fmt.Errorf("%s does not know it any more: %w; look for it in the provider's console", t.h.Where, err)
		case !passing(err) || t.now().Sub(heard) > outage:
			return err
		default:
			t.once("fine-tuning job %s: %v; it is looked at again", t.h.Job, err)
		}
		if err := t.overdue(ctx); err != nil {
			return err
		}
		if err := t.sleep(ctx, p.next()); err != nil {
			return err
		}
	}
}

// passing tells of faults that remote work outlives.
func passing(err error) bool {
	var r *rejection
	return !errors.As(err, &r) || r.status >= 500 || r.status < 300 || slices.Contains([]int{http.StatusNotFound, http.StatusTooManyRequests, http.StatusRequestTimeout}, r.status)
}

// judge tells whether a job has ended, and keeps what it came to.
func (t *training) judge(ctx context.Context, j remoteJob, nameless *time.Time) (over bool, err error) {
	state := t.profile.state(j.Status)
	switch {
	case state == succeeded && j.Tuned == "":
		if nameless.IsZero() {
			*nameless = t.now()
		}
		if t.now().Sub(*nameless) > settling {
			return false, fmt.Errorf("has succeeded and its model has no name, %s later; look for it in the provider's console", settling)
		}
		return false, nil
	case state == succeeded:
		t.h.Model, t.h.Trained, t.h.Cost = j.Tuned, j.Trained, t.charge(j.Trained)
		if j.Trained == 0 {
			t.h.Cost = t.h.Most
		}
		return true, t.save(succeeded)
	case state == failed:
		return true, t.failed(ctx, j)
	case state == cancelled:
		if t.h.Trained, t.h.Cost = j.Trained, t.charge(j.Trained); j.Trained == 0 {
			t.h.Cost = t.h.Most // what was trained until then is not told
		}
		return true, t.end(cancelled, errors.New("was cancelled; run again to train once more"))
	case state == "paused", state == "pausing":
		t.once("fine-tuning job %s is %s at %s; it goes on when it is resumed there", t.h.Job, state, t.h.Where)
	case !slices.Contains(knownStates, state):
		t.once("fine-tuning job %s is in the state %q, which this program does not know; it is looked at until it ends", t.h.Job, line(j.Status))
	}
	t.progress(ctx, state)
	return false, nil
}

// overdue ends the wait for a job that has taken too long.
func (t *training) overdue(ctx context.Context) error {
	bound, err := time.ParseDuration(t.config.Deadline)
	if err != nil || t.now().Sub(time.Unix(t.h.Since, 0)) <= bound {
		return nil
	}
	if t.config.OnDeadline == "detach" {
		return fmt.Errorf("has not ended within the deadline of %s; run again when it has, or with a longer deadline", bound)
	}
	if t.ending {
		return nil
	}
	t.ending = true
	t.world.Log("fine-tuning job %s has not ended within the deadline of %s and is cancelled", t.h.Job, bound)
	_, err = t.client.order(ctx, t.h.Job, "cancel")
	return err
}
