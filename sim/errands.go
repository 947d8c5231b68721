package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Errand is work that was given out: to a provider, or to a process of this
// machine. What is known of it stands in the ledger, so it can be looked after
// when no run goes on.
type Errand struct {
	ID   lineage.ID     `json:"id"`  // of the node, or of the backend's work; what the command line takes
	For  string         `json:"for"` // the node in words
	Work lineage.Errand `json:"work"`

	handle string
	remote lineage.Remote
}

// Errands lists what the runs of a ledger gave out, in the order of their IDs, as
// it was last heard of: nobody is asked. folder is that of the runs.
func Errands(ledger lineage.Ledger, study lineage.Study, folder string) ([]*Errand, error) {
	handles, order, err := lastHandles(ledger)
	if err != nil || len(order) == 0 {
		return nil, err
	}
	remotes, err := remotesOf(study, folder)
	if err != nil {
		return nil, err
	}
	places := placesOf(study)
	var all []*Errand
	for _, id := range order {
		e := &Errand{ID: id, For: "the run", handle: handles[id]}
		node := lineage.ID(strings.TrimSuffix(string(id), screenedSuffix))
		if at, ok := places[node]; ok {
			e.For = at.words
		} else if !strings.HasPrefix(string(id), outfitPrefix) {
			e.For = "a foundation, or a model of another study"
		}
		if e.find(remotes, places[node].line) {
			all = append(all, e)
		}
	}
	return all, nil
}

// find looks for the backend that reads the handle, its own line's first.
func (e *Errand) find(remotes []outfit, line string) bool {
	for _, own := range []bool{true, false} {
		for _, r := range remotes {
			mine := r.line == line || strings.HasPrefix(string(e.ID), r.prefix)
			if mine != own {
				continue
			}
			work, err := r.remote.Errand(e.handle)
			if err == nil {
				e.Work, e.remote = work, r.remote
				return true
			}
		}
	}
	return false
}

// Look asks how the work stands.
func (e *Errand) Look(ctx context.Context) (err error) {
	e.Work, err = e.remote.Look(ctx, e.handle)
	return err
}

// Cancel ends the work where it goes on.
func (e *Errand) Cancel(ctx context.Context) error { return e.remote.Cancel(ctx, e.handle) }

// Remove deletes what the work left with the provider.
func (e *Errand) Remove(ctx context.Context) ([]string, error) {
	return e.remote.Remove(ctx, e.handle)
}

// lastHandles gives the last handle of every ticket, and their names in order.
func lastHandles(ledger lineage.Ledger) (map[lineage.ID]string, []lineage.ID, error) {
	handles := map[lineage.ID]string{}
	var order []lineage.ID
	for key, err := range ledger.Keys("ticket/") {
		if err != nil {
			return nil, nil, err
		}
		parts := strings.Split(string(key), "/")
		if len(parts) != 3 {
			continue
		}
		id := lineage.ID(parts[1])
		if _, ok := handles[id]; !ok {
			order = append(order, id)
		}
		var handle string
		if _, err := ledger.Load(key, &handle); err != nil {
			return nil, nil, err
		}
		handles[id] = handle
	}
	return handles, order, nil
}

// outfit is a backend of an experiment that can look after its work.
type outfit struct {
	line, prefix string
	remote       lineage.Remote
}

// remotesOf opens the backends of a study that can look after their work.
func remotesOf(study lineage.Study, folder string) ([]outfit, error) {
	f, err := Parse("experiment.yaml", ".", []byte(study.Experiment), nil)
	if f == nil {
		return nil, err
	}
	var all []outfit
	for _, w := range f.Worlds { // faults of sources and behaviours do not matter here
		for _, name := range slices.Sorted(maps.Keys(w.Lines)) {
			spec := w.Lines[name].Backend
			if spec == nil || spec.Config == nil {
				continue
			}
			kind, _ := lineage.Lookup(spec.Kind)
			b, err := kind.Open(spec.Config)
			if err != nil {
				return nil, fmt.Errorf("lines.%s.backend: %w", name, err)
			}
			if remote, ok := b.(lineage.Remote); ok {
				if worldly, ok := b.(lineage.Worldly); ok {
					if err := worldly.Enter(lineage.World{Folder: folder, Dir: ".", Purse: closedPurse{}, Log: func(string, ...any) {}}); err != nil {
						return nil, fmt.Errorf("lines.%s.backend: %w", name, err)
					}
				}
				s := shape{recipe: recipe{Backend: spec.Kind, Config: canonical(spec.Config)}}
				all = append(all, outfit{name, s.outfit(), remote})
			}
		}
	}
	return all, nil
}

// closedPurse is the purse of work that is looked after and not gone on with.
type closedPurse struct{}

func (closedPurse) Reserve(_ lineage.USD, what string) (func(lineage.USD) error, error) {
	return nil, fmt.Errorf("%s: no run goes on: %w", what, lineage.ErrBudget)
}

// stand is where a node of a study stands.
type stand struct{ line, words string }

func placesOf(study lineage.Study) map[lineage.ID]stand {
	all := map[lineage.ID]stand{}
	for _, arm := range study.Arms {
		for l, replicates := range arm.Nodes {
			for r, ids := range replicates {
				for g, id := range ids {
					if _, ok := all[id]; !ok {
						all[id] = stand{study.Lines[l], fmt.Sprintf("%s replicate %d generation %d", study.Lines[l], r, g)}
					}
				}
			}
		}
	}
	return all
}
