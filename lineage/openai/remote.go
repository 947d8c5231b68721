package openai

import (
	"context"
	"errors"
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Errand implements lineage.Remote.
func (b *Backend) Errand(text string) (lineage.Errand, error) {
	h, err := readHandle(text)
	if err != nil {
		return lineage.Errand{}, err
	}
	return h.errand(), nil
}

func (h handle) errand() lineage.Errand {
	e := lineage.Errand{Kind: jobKind, Where: h.Where, ID: h.Job, State: h.Step, Model: h.Model, Ended: h.ended(), Cost: h.Cost}
	if h.File != "" {
		e.Files = []string{h.File}
	}
	return e
}

// mine reads a handle of this server's and enters the backend.
func (b *Backend) mine(text string) (h handle, err error) {
	if h, err = readHandle(text); err != nil {
		return h, err
	}
	if err := b.ready(); err != nil {
		return h, err
	}
	if h.Where != "" && h.Where != b.client.Address() {
		return h, fmt.Errorf("openai: %s %s is at %s, and base_url is %s", jobKind, h.Job, h.Where, b.client.Address())
	}
	return h, nil
}

// Look implements lineage.Remote.
func (b *Backend) Look(ctx context.Context, text string) (lineage.Errand, error) {
	h, err := b.mine(text)
	e := h.errand()
	if err != nil || h.Key == "" {
		return e, err
	}
	j := remoteJob{ID: h.Job}
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

// Cancel implements lineage.Remote.
func (b *Backend) Cancel(ctx context.Context, text string) error {
	e, err := b.Look(ctx, text)
	if err != nil || e.Ended {
		return err
	}
	if e.ID == "" {
		return fmt.Errorf("openai: no %s of %s is known to be there", jobKind, e.Where)
	}
	_, err = b.client.order(ctx, e.ID, "cancel")
	return err
}

// Remove implements lineage.Remote: the model and the files go, the record of the
// job stays with the provider. Everything is tried; what could not be removed is in
// the error.
func (b *Backend) Remove(ctx context.Context, text string) (removed []string, err error) {
	e, err := b.Look(ctx, text)
	if err != nil {
		return nil, err
	}
	if !e.Ended && e.ID != "" {
		return nil, fmt.Errorf("openai: %s %s is %s; cancel it first", jobKind, e.ID, e.State)
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
	if e.Model != "" {
		remove("/models", e.Model)
	}
	for _, id := range e.Files {
		remove("/files", id)
	}
	return removed, errors.Join(faults...)
}

// Untrained implements lineage.Untrained: the model as the provider has it.
func (b *Backend) Untrained() (lineage.Artifact, error) {
	return &Artifact{Profile: b.profile.Name, Model: b.config.Model, Start: b.config.Model}, nil
}
