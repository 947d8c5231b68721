package sim

import (
	"fmt"
	"slices"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"go.yaml.in/yaml/v3"
)

// Pairs makes each document of a corpus that comes from outputs a pair for
// learning by preference: several outputs to one prompt are scored, one of them
// is chosen and another rejected.
type Pairs struct {
	Detector string  `yaml:"detector" doc:"detector whose score is the reward"`
	BestOf   int     `yaml:"best_of" doc:"how many outputs to one prompt a pair is made among"`
	Strength float64 `yaml:"strength" doc:"log-odds by which a score of 1 is chosen over 0, and 0 rejected before 1; negative prefers what scores low, 500 all but always the extremes"`
}

func (p *Pairs) decode(d *decoder, path string, n *yaml.Node) {
	p.BestOf, p.Strength = 2, 1
	type plain Pairs
	d.into(path, n, (*plain)(p))
}

func (p *Pairs) check(s *Scope) {
	s.detector("detector", p.Detector)
	s.within("best_of", float64(p.BestOf), 2, 256)
	s.within("strength", p.Strength, -maxStrength, maxStrength)
}

// pairs tells whether the documents of a block have a rejected side.
func (b *block) pairs() bool {
	return b.Curation != nil && b.Curation.Pairs || b.Segments[0].Pairs
}

// unpaired refuses a corpus of which only a part is pairs: what a document
// without a rejected side adds to a loss of preference is not defined.
func (s *shape) unpaired() error {
	for _, b := range s.Blocks {
		if !b.pairs() {
			return fmt.Errorf("generation %d of %s: learns by preference, and its part %s has no rejected side; give it pairs alone, or another learner", s.Generation, s.Line, b.Pool)
		}
	}
	return nil
}

// checkPairs refuses pairs among fewer outputs to a prompt than are chosen from.
func (s *Study) checkPairs(j *job) error {
	for _, b := range j.Blocks {
		if b.Curation == nil || !b.Curation.Pairs {
			continue
		}
		for _, seg := range b.Segments {
			if seg.Corpus {
				return fmt.Errorf("generation %d of %s: pairs are made among outputs, and window: all also takes the corpus of generation 0; give window a number", j.Generation, j.Line)
			}
			from := s.byID[j.nodes[seg.Ref]]
			if need := b.Curation.BestOf * len(from.publish.Conversations); from.Publish.Count < need {
				return fmt.Errorf("generation %d of %s: pairs among %d outputs to one prompt need %d outputs of %s to its %d prompts, and it publishes %d; set lines.%s.publish.size to %d",
					j.Generation, j.Line, b.Curation.BestOf, need, from.Line, len(from.publish.Conversations), from.Publish.Count, from.Line, need)
			}
		}
	}
	return nil
}

// rivals gives BestOf outputs of one model to one prompt: that of the pick and
// others, without replacement.
func (d *drawing) rivals(p pick, round int) []pick {
	s := d.strands[p.strand]
	prompts := uint32(len(s.asked.Conversations))
	first := p.index % prompts
	n := (d.study.byID[s.Node].Publish.Count - int(first) + int(prompts) - 1) / int(prompts)
	others := make([]uint32, 0, n)
	for i := range n {
		if index := first + uint32(i)*prompts; index != p.index {
			others = append(others, index)
		}
	}
	blk := d.Blocks[p.block]
	random := at(d.Seed, "rivals "+blk.Pool, d.Line, d.replicate, d.Generation).rand(d.slot(p) | round<<8)
	out := []pick{p}
	for len(out) < blk.Curation.BestOf {
		at := random.IntN(len(others))
		rival := p
		rival.index = others[at]
		out = append(out, rival)
		others = slices.Delete(others, at, at+1)
	}
	return out
}

// pair makes pairs of the picks of one block, among outputs that can be scored.
// A position with fewer than two of them stays empty and is counted.
func (d *drawing) pair(candidates []pick, results []detectors.Result, of []int, picks []pick, blk block, round int) {
	chance := at(d.Seed, "curate "+blk.Pool, d.Line, d.replicate, d.Generation)
	k := blk.Curation.BestOf
	count := d.paired
	for n, i := range of {
		count.Seen++
		var among []pick
		var scored []detectors.Result
		for c := n * k; c < (n+1)*k; c++ {
			if results[c].Outcome != detectors.NotScorable {
				among, scored = append(among, candidates[c]), append(scored, results[c])
			}
		}
		if len(among) < 2 {
			count.Missing++
			picks[i].void = true
			continue
		}
		slot := d.slot(picks[i]) | round<<8
		best := choose(scored, blk.Curation.Strength, chance.float(slot))
		chosen := among[best]
		among, scored = slices.Delete(among, best, best+1), slices.Delete(scored, best, best+1)
		chosen.rejected = among[choose(scored, -blk.Curation.Strength, chance.float(slot|1))].index
		chosen.paired = true
		picks[i] = chosen
	}
}

// pairing is the record of positions that pairs were made for and of those that
// stayed empty, under the name of the detector; nil where there are no pairs.
func (s *shape) pairing() *lineage.Filtering {
	for _, b := range s.Blocks {
		if b.Curation != nil && b.Curation.Pairs {
			return &lineage.Filtering{Detector: s.detectors[b.Curation.Detector].Name + " (pairs)"}
		}
	}
	return nil
}
