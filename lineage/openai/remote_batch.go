package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

func (h batchHandle) place() string { return h.Where }

// left is nothing: files of batches are in the errand.
func (h batchHandle) left() []string { return nil }

// errand tells of all batches of a model as one piece of work.
func (h batchHandle) errand() lineage.Errand {
	e := lineage.Errand{Kind: batchKind, Where: h.Where, Model: h.Model, Ended: true}
	var ids []string
	over := 0
	for _, b := range h.Batches {
		for _, f := range []string{b.File, b.Output, b.Errors} {
			if f != "" {
				e.Files = append(e.Files, f)
			}
		}
		if b.ID != "" {
			ids = append(ids, b.ID)
		}
		e.Cost += b.Cost
		if e.State = b.Step; b.Step == ended {
			over, e.State = over+1, b.State
		}
	}
	if e.Ended = over == len(h.Batches); len(h.Batches) > 1 {
		e.State = fmt.Sprintf("%d of %d ended", over, len(h.Batches))
	}
	e.ID = strings.Join(ids, ", ")
	return e
}

// look asks for the batches that have not ended.
func (h batchHandle) look(ctx context.Context, b *Backend) (lineage.Errand, error) {
	now := h
	now.Batches = nil
	for _, k := range h.Batches {
		seen := &batch{batchState: k.batchState}
		now.Batches = append(now.Batches, seen)
		if k.ID == "" || k.Step == ended {
			continue
		}
		r, err := b.remoteBatch(ctx, http.MethodGet, k.ID)
		switch {
		case gone(err):
			seen.Step, seen.State = ended, "gone"
		case err != nil:
			return now.errand(), err
		case batchOver(r.Status):
			seen.Step, seen.State, seen.Output, seen.Errors = ended, r.Status, r.Output, r.Errors
		default:
			seen.Step = line(r.Status)
		}
	}
	return now.errand(), nil
}

func (h batchHandle) cancel(ctx context.Context, b *Backend) error {
	var faults []error
	for _, k := range h.Batches {
		if k.ID == "" || k.Step == ended {
			continue
		}
		r, err := b.remoteBatch(ctx, http.MethodGet, k.ID)
		if err == nil && !batchOver(r.Status) {
			_, err = b.remoteBatch(ctx, http.MethodPost, k.ID, "cancel")
		}
		if err != nil && !gone(err) {
			faults = append(faults, fmt.Errorf("batch %s: %w", k.ID, err))
		}
	}
	return errors.Join(faults...)
}

func (b *Backend) remoteBatch(ctx context.Context, method, id string, order ...string) (r remoteBatch, err error) {
	path, err := at(batchesPath, id, order...)
	if err == nil {
		err = b.client.repeat(ctx, call{method: method, path: path, about: id}, &r)
	}
	return r, err
}

// batchOver tells the states in which a batch has ended.
func batchOver(state string) bool {
	return slices.Contains([]string{"completed", "expired", cancelled, failed}, state)
}
