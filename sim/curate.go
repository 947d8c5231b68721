package sim

import (
	"context"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/detectors"
)

// curate replaces each pick of a curated block by the choice among its candidates,
// or by a pair of them. It leaves out what no pair could be made of.
func (d *drawing) curate(ctx context.Context, picks []pick, round int) ([]pick, error) {
	for b, blk := range d.Blocks {
		if blk.Curation == nil {
			continue
		}
		var candidates []pick
		var of []int
		for i, p := range picks {
			if p.block == b {
				of = append(of, i)
				candidates = append(candidates, d.candidates(p, round)...)
			}
		}
		results, err := d.judge(ctx, d.shape.detectors[blk.Curation.Detector], candidates)
		if err != nil {
			return nil, err
		}
		if blk.Curation.Pairs {
			d.pair(candidates, results, of, picks, blk, round)
			continue
		}
		chance := at(d.Seed, "curate "+blk.Pool, d.Line, d.replicate, d.Generation)
		k := blk.Curation.BestOf
		for n, i := range of {
			u := chance.float(d.slot(picks[i]) | round<<8)
			picks[i] = candidates[n*k+choose(results[n*k:(n+1)*k], blk.Curation.Strength, u)]
		}
	}
	return slices.DeleteFunc(picks, func(p pick) bool { return p.void }), nil
}

// candidates are the draws that a position is chosen among.
func (d *drawing) candidates(p pick, round int) []pick {
	c := d.Blocks[p.block].Curation
	if c.Pairs {
		return d.rivals(p, round)
	}
	all := make([]pick, c.BestOf)
	for k := range all {
		all[k] = d.pick(p.block, p.rank, round, k)
	}
	return all
}

// choose picks one of several with probability proportional to exp(strength·score);
// what cannot be scored counts as 0.
func choose(results []detectors.Result, strength, u float64) int {
	weights := make([]float64, len(results))
	sum := 0.0
	for i, r := range results {
		score := 0.0
		if r.Outcome != detectors.NotScorable {
			score = r.Score
		}
		weights[i] = math.Exp(strength * score)
		sum += weights[i]
	}
	u *= sum
	for i, w := range weights {
		if u -= w; u < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// judge asks a detector about picks. They are fetched in the order of their
// strands, so that each chunk of outputs is read once a batch.
func (d *drawing) judge(ctx context.Context, by *Detector, picks []pick) ([]detectors.Result, error) {
	order := make([]int, len(picks))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := picks[a].strand - picks[b].strand; c != 0 {
			return c
		}
		return int(picks[a].index) - int(picks[b].index)
	})
	out := make([]detectors.Result, len(picks))
	const batch = 512
	for part := range slices.Chunk(order, batch) {
		us := make([]detectors.Utterance, len(part))
		for i, n := range part {
			messages, err := d.reader.messages(d.strands[picks[n].strand], picks[n].index)
			if err != nil {
				return nil, err
			}
			us[i].Messages = messages
		}
		results, err := by.detect(ctx, us)
		if err != nil {
			return nil, err
		}
		for i, n := range part {
			out[n] = results[i]
		}
	}
	return out, nil
}
