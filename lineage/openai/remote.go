package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// remote is work of one kind, as its handle tells of it.
type remote interface {
	place() string // base URL
	errand() lineage.Errand
	look(ctx context.Context, b *Backend) (lineage.Errand, error)
	cancel(ctx context.Context, b *Backend) error
	left() []string // files with the provider that no other work needs
}

// remoteOf reads a handle, of a job or of the batches of one model.
func (b *Backend) remoteOf(text string) (r remote, err error) {
	var kind struct{ Kind string }
	if err := json.Unmarshal([]byte(text), &kind); err != nil {
		return nil, fmt.Errorf("openai: %.60q is no handle", text)
	}
	if kind.Kind == batchKind {
		r, err = readBatches(text)
	} else {
		r, err = readHandle(text)
	}
	if err != nil {
		return nil, err
	}
	if here := strings.TrimRight(b.profile.BaseURL, "/"); r.place() != here {
		return nil, fmt.Errorf("openai: the work is at %s, and base_url is %s", r.place(), here)
	}
	return r, nil
}

// Errand implements lineage.Remote.
func (b *Backend) Errand(text string) (lineage.Errand, error) {
	r, err := b.remoteOf(text)
	if err != nil {
		return lineage.Errand{}, err
	}
	return r.errand(), nil
}

// Look implements lineage.Remote.
func (b *Backend) Look(ctx context.Context, text string) (lineage.Errand, error) {
	r, err := b.remoteOf(text)
	if err == nil {
		err = b.ready()
	}
	if err != nil {
		return lineage.Errand{}, err
	}
	return r.look(ctx, b)
}

// Cancel implements lineage.Remote.
func (b *Backend) Cancel(ctx context.Context, text string) error {
	r, err := b.remoteOf(text)
	if err == nil {
		err = b.ready()
	}
	if err != nil {
		return err
	}
	return r.cancel(ctx, b)
}

// Remove implements lineage.Remote: the model and the files go, the record of a
// job or batch stays with the provider. Everything is tried; what could not be
// removed is in the error.
func (b *Backend) Remove(ctx context.Context, text string) (removed []string, err error) {
	e, err := b.Look(ctx, text)
	if err != nil {
		return nil, err
	}
	if !e.Ended && e.ID != "" {
		return nil, fmt.Errorf("openai: %s %s is %s; cancel it first", e.Kind, e.ID, e.State)
	}
	r, err := b.remoteOf(text)
	if err != nil {
		return nil, err
	}
	var faults []error
	remove := func(collection, id string) {
		was, err := b.client.delete(ctx, collection, id)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s is not removed: %w", id, err))
		}
		if was {
			removed = append(removed, id)
		}
	}
	if e.Model != "" && e.Kind == jobKind {
		remove("/models", e.Model)
	}
	for _, id := range append(e.Files, r.left()...) {
		remove("/files", id)
	}
	return removed, errors.Join(faults...)
}

func (h handle) place() string  { return h.Where }
func (h handle) left() []string { return h.Left }

func (h handle) errand() lineage.Errand {
	e := lineage.Errand{Kind: jobKind, Where: h.Where, ID: h.Job, State: h.Step, Model: h.Model, Ended: h.ended(), Cost: h.Cost}
	if h.File != "" {
		e.Files = []string{h.File}
	}
	return e
}

func (h handle) look(ctx context.Context, b *Backend) (lineage.Errand, error) {
	e, j, err := h.errand(), remoteJob{}, error(nil)
	switch {
	case h.Job != "":
		j, err = b.client.job(ctx, h.Job)
	case h.Step == creating:
		var found []remoteJob
		if found, err = b.client.jobsOf(ctx, b.profile.Metadata, h.Key, h.File, moment(h.Since-600)); len(found) > 0 {
			j = found[0]
		}
	}
	if gone(err) {
		e.State, e.Ended = "gone", true
		return e, nil
	}
	if err != nil || j.ID == "" {
		return e, err
	}
	e.ID, e.State = j.ID, line(b.profile.state(j.Status))
	if e.Ended = e.State == succeeded || e.State == failed || e.State == cancelled; j.Tuned != "" {
		e.Model = j.Tuned
	}
	e.Files = append(e.Files, j.ResultFiles...)
	return e, nil
}

func (h handle) cancel(ctx context.Context, b *Backend) error {
	e, err := h.look(ctx, b)
	if err != nil || e.Ended {
		return err
	}
	if e.ID == "" {
		return fmt.Errorf("openai: no %s of %s is known to be there", jobKind, e.Where)
	}
	_, err = b.client.order(ctx, e.ID, "cancel")
	return err
}
