package openai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Stages at which a provider blocks.
const (
	atUpload     = "upload"
	atTraining   = "training"
	atEvaluation = "evaluation"
)

// Words of a provider that refuses a text for what it says, and not for its form.
var (
	blockedCodes = []string{"unsafe_file", "content_policy", "content_filter", "moderation", "safety"}
	blockedWords = []string{"unsafe training file", "flagged by our moderation", "moderation eval", "moderation system", "usage polic", "content polic", "content management polic", "safety eval", "safety check", "unsafe content"}
	evalWords    = []string{"moderation eval", "safety eval", "refusals_v"}
)

// blockedBy reads a refusal; nil where it is not one of content. The list of codes
// is open, so the words count as well.
func (b *Backend) blockedBy(stage, code, message string) *lineage.Blocked {
	in := func(text string, words []string) bool {
		text = strings.ToLower(text)
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	if !in(code, blockedCodes) && !in(message, blockedWords) {
		return nil
	}
	if stage == atTraining && in(message, evalWords) {
		stage = atEvaluation
	}
	return &lineage.Blocked{Provider: b.profile.Name, Stage: stage, Code: b.words(code), Message: b.words(message)}
}

// block makes the refusal of a training the outcome that it is. It is never tried
// again, and nothing is taken out of the corpus, without being told so.
func (t *training) block(by *lineage.Blocked) error {
	t.h.Blocked = by
	if by.Stage == atEvaluation && t.h.Trained == 0 {
		t.h.Cost = t.h.Most // it was trained, and how much of it is charged is not told
	}
	if err := t.save(blocked); err != nil {
		return err
	}
	if err := t.pay(); err != nil {
		return err
	}
	return by
}

// end makes the end of a training durable and tells why there is no model.
func (t *training) end(step string, why error) error {
	t.h.Fault = t.words(why.Error())
	if err := t.save(step); err != nil {
		return err
	}
	return errors.Join(why, t.pay())
}

// refused tells of a request that was refused for certain: nothing came of it.
func (t *training) refused(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if t.settle != nil {
		if err := t.settle(0); err != nil {
			return err
		}
		t.settle = nil
	}
	var r *rejection
	if !errors.As(err, &r) {
		return err
	}
	stage := atTraining
	if t.h.Step == uploading {
		stage = atUpload
	}
	if by := t.blockedBy(stage, r.said.code, r.said.text); by != nil {
		t.h.Since = 0 // nothing is to be settled
		return t.block(by)
	}
	if r.status == http.StatusForbidden && stage == atTraining {
		return fmt.Errorf("%s does not let the key in %s create fine-tuning jobs (HTTP 403): %s%s: %w", t.h.Where, t.profile.KeyEnv, t.words(r.said.text), t.profile.closed(), lineage.ErrHalt)
	}
	return err
}

// halt marks an error that no model of the run would be spared.
func halt(err error) error {
	if errors.Is(err, lineage.ErrHalt) {
		return err
	}
	return fmt.Errorf("%w: %w", err, lineage.ErrHalt)
}

// closed tells from when a provider offers less.
func (p Profile) closed() string {
	var dates []string
	for _, c := range p.Closing {
		dates = append(dates, fmt.Sprintf("from %s %s", c.Date, c.What))
	}
	if dates == nil {
		return ""
	}
	return "; " + p.Name + " is closing its fine-tuning: " + strings.Join(dates, "; ") + "; open models are trained with backend command, and learner: prompted needs no fine-tuning"
}

// badFile tells of a training file that its provider could not read or would not.
func (t *training) badFile(f remoteFile) error {
	if by := t.blockedBy(atUpload, "", f.Details); by != nil {
		return t.block(by)
	}
	return t.end(failed, fmt.Errorf("%s did not take the training file %s: %s", t.h.Where, f.ID, cmp.Or(t.words(f.Details), "it does not say why")))
}

// failed tells why a job failed. What its evaluations found may stand in its
// events alone.
func (t *training) failed(ctx context.Context, j remoteJob) error {
	t.h.Trained, t.h.Cost = j.Trained, t.charge(j.Trained)
	var said jobError
	if j.Error != nil {
		said = *j.Error
	}
	by := t.blockedBy(atTraining, said.Code, said.Message)
	if by == nil {
		events, err := t.client.events(ctx, j.ID)
		if err != nil && !gone(err) {
			return err
		}
		for _, e := range events {
			if by == nil && (e.Level == "error" || e.Level == "warn") {
				by = t.blockedBy(atTraining, said.Code, e.Message)
			}
		}
	}
	if by != nil {
		return t.block(by)
	}
	why := strings.TrimSpace(t.words(said.Code) + ": " + t.words(said.Message))
	switch said.Code {
	case "invalid_n_examples", "invalid_training_file":
		why += "; the training file that was sent is " + t.h.File
	case "exceeded_quota":
		return t.end(failed, halt(fmt.Errorf("failed: %s; the account has no quota left for it", why)))
	}
	return t.end(failed, fmt.Errorf("failed: %s; run again to train once more", strings.Trim(why, ": ")))
}
