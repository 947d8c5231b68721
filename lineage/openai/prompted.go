package openai

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// prompted keeps documents of the corpus to stand before every request. Which,
// and in which order, is drawn by the seed of the job without replacement.
// Nobody is asked.
func (b *Backend) prompted(ctx context.Context, job lineage.Job, start *Artifact) (lineage.Artifact, error) {
	kept := make([][]lineage.Message, 0, b.config.Context)
	// Algorithm R of Vitter (1985), over a sequence that is read once.
	r := rand.New(rand.NewPCG(job.Seed, 0))
	n, read, leftOut := 0, -1, 0
	for ex, err := range job.Examples {
		if err != nil {
			return nil, err
		}
		if read++; read&1023 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if ex.Weight == 0 {
			continue
		}
		if err := b.profile.Rows.unfit(ex, lineage.SFT); err != nil {
			if b.config.Untrainable != "drop" {
				return nil, fmt.Errorf("context: document %d: %w; take such documents out by a filter, or write untrainable: drop to leave them out and count them", read, err)
			}
			leftOut++
			continue
		}
		if len(kept) < b.config.Context {
			kept = append(kept, slices.Clone(ex.Messages))
		} else if i := r.IntN(n + 1); i < len(kept) {
			kept[i] = slices.Clone(ex.Messages)
		}
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("openai: the corpus is empty, so there is nothing to stand before a request")
	}
	r.Shuffle(len(kept), func(i, j int) { kept[i], kept[j] = kept[j], kept[i] })
	return &Artifact{Profile: b.profile.Name, Model: start.Model, Start: start.Model, Tuned: start.Tuned, Context: kept, LeftOut: leftOut}, nil
}
