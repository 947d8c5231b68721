package openai

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// States of a finding.
const (
	isOK      = "ok"
	isWarning = "warning"
	isFault   = "fault"
)

// Check implements lineage.Checked. It asks for the model and for nothing else.
func (b *Backend) Check(ctx context.Context, work lineage.Work, examples []lineage.Example) (all []lineage.Finding) {
	find := func(what, state, format string, args ...any) {
		all = append(all, lineage.Finding{What: what, State: state, Detail: fmt.Sprintf(format, args...)})
	}
	p := b.profile
	if err := b.Enter(lineage.World{}); err != nil {
		find("endpoint", isFault, "%v", err)
		return all
	}
	switch key := b.client.server.Key; {
	case key != "":
		find("key", isOK, "%s is set and goes to %s", p.KeyEnv, b.client.Address())
	case p.Local || p.Name == "compatible":
		find("key", isOK, "none is set in %s, so none is sent", p.KeyEnv)
	default:
		find("key", isFault, "the environment variable %s is not set", p.KeyEnv)
	}
	tuned := work.Learner == lineage.SFT || work.Learner == lineage.Preference
	if work.Learner != "" && !slices.Contains(p.Learners, work.Learner) {
		find("learner", isFault, "%v", b.cannot(work.Learner))
	}
	retired := b.checkModel(ctx, find)
	b.checkDates(find, retired, tuned)
	if q := b.Quote(work); !q.Priced {
		find("price", isWarning, "nobody told the price of %s; write it under prices, in US dollars for a million tokens", b.config.Model)
	} else if q.Unbounded != "" {
		find("price", isWarning, "%s; write a number of epochs", q.Unbounded)
	} else {
		find("price", isOK, "%s", q.Basis)
	}
	if tuned && len(examples) > 0 {
		b.checkFile(ctx, find, work.Learner, examples)
	}
	if tuned && p.Deploys {
		find("deployment", isWarning, "%s asks no tuned model before it was deployed, by hand or by a script; deployments cost by the hour", p.Name)
	}
	return all
}

type finder func(what, state, format string, args ...any)

// checkModel asks for the model, and gives the date of its end where one is told.
func (b *Backend) checkModel(ctx context.Context, find finder) (retired string) {
	name := b.config.Model
	path, err := at("/models", name)
	if err != nil {
		find("model", isFault, "%v", err)
		return ""
	}
	var m struct {
		ID       string  `json:"id"`
		Shutdown *string `json:"shutdown_date"`
	}
	err = b.client.try(ctx, call{method: "GET", path: path, about: name}, &m)
	switch {
	case gone(err):
		find("model", isFault, "%s has no model %q, or does not let this key use it", b.client.Address(), name)
	case err != nil:
		find("endpoint", isFault, "%v", err)
	default:
		find("model", isOK, "%s has %q", b.client.Address(), name)
	}
	if m.Shutdown != nil {
		return *m.Shutdown
	}
	return b.profile.shutdown(name)
}

// soon is how far ahead the end of something is told.
const soon = 90 * 24 * time.Hour

// checkDates holds dates of the provider against today and the end of the run, as
// far as deadline tells it.
func (b *Backend) checkDates(find finder, retired string, tuned bool) {
	end := b.now()
	if d, err := time.ParseDuration(b.config.Deadline); err == nil {
		end = end.Add(d)
	}
	if date, err := time.Parse(time.DateOnly, retired[:min(len(retired), len(time.DateOnly))]); err == nil {
		switch {
		case !end.Before(date):
			find("model", isFault, "%s and all that is tuned from it are shut down on %s", b.config.Model, line(retired))
		case date.Sub(end) < soon:
			find("model", isWarning, "%s and all that is tuned from it are shut down on %s; keep what was sampled, the models will be gone", b.config.Model, line(retired))
		}
	}
	if !tuned {
		return
	}
	for _, c := range b.profile.Closing {
		date, err := time.Parse(time.DateOnly, c.Date)
		if err != nil {
			continue
		}
		switch {
		case c.All && !end.Before(date):
			find("fine-tuning", isFault, "since %s %s; use backend command, or learner: prompted", c.Date, c.What)
		default:
			find("fine-tuning", isWarning, "from %s %s", c.Date, c.What)
		}
	}
}

// checkFile holds documents against the rules of training files.
func (b *Backend) checkFile(ctx context.Context, find finder, learner lineage.Learner, examples []lineage.Example) {
	f, err := b.measure(ctx, lineage.Job{Learner: learner, Count: len(examples), Examples: func(yield func(lineage.Example, error) bool) {
		for _, ex := range examples {
			if !yield(ex, nil) {
				return
			}
		}
	}})
	if err != nil {
		find("training file", isFault, "%v", err)
		return
	}
	find("training file", isOK, "%d rows of %d bytes, %d left out", f.Rows, f.Bytes, f.LeftOut)
}
