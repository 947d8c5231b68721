package reports

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"sort"

	"github.com/heirloom-sim/heirloom/lineage"
)

// candidate is a text that may be shown.
type candidate struct {
	priority uint64 // smallest first; a hash, so that the choice is even and repeatable
	place    place
	node     lineage.ID
	watch    int // in the measurement's list; one that judges
	part     string
	index    int
	score    lineage.Score
}

// stratum is what samples are balanced over.
type stratum struct {
	watch           int
	outcome         uint8
	arm, generation int
	part            string
}

func (c candidate) stratum() stratum {
	return stratum{c.watch, c.score.Outcome, c.place.arm, c.place.generation, c.part}
}

// reservoir keeps the first few candidates of each stratum by priority, so that
// a study of any size is chosen from in one pass.
type reservoir struct {
	seed   uint64
	keep   int
	strata map[stratum][]candidate
}

func newReservoir(study lineage.Study, generations, samples int) *reservoir {
	r := &reservoir{seed: study.Seed, strata: map[stratum][]candidate{}}
	if samples > 0 {
		cells := max(1, len(study.Behaviours)*len(study.Arms)*generations)
		r.keep = max(4, 8*samples/cells)
	}
	return r
}

// stem starts the priorities of the texts of a node, mix ends them.
func (r *reservoir) stem(node lineage.ID, behaviour, part string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %q %s", r.seed, node, behaviour, part)
	return h.Sum64()
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood 2014).
func mix(stem, i uint64) uint64 {
	z := stem + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// offer adds a candidate to those of one node, of which keep an outcome stay.
func (r *reservoir) offer(of []candidate, c candidate) []candidate {
	if r.keep == 0 {
		return nil
	}
	same, worst := 0, -1
	for i, o := range of {
		if o.score.Outcome == c.score.Outcome {
			if same++; worst < 0 || o.priority > of[worst].priority {
				worst = i
			}
		}
	}
	switch {
	case same < r.keep:
		return append(of, c)
	case c.priority < of[worst].priority:
		of[worst] = c
	}
	return of
}

// enter merges the candidates of a node into their strata.
func (r *reservoir) enter(of []candidate) {
	for _, c := range of {
		s := r.strata[c.stratum()]
		at := sort.Search(len(s), func(i int) bool { return s[i].priority >= c.priority })
		if at < r.keep {
			s = slices.Insert(s, at, c)
			r.strata[c.stratum()] = s[:min(len(s), r.keep)]
		}
	}
}

// choose takes n candidates in turn: behaviours alternate, within them outcomes,
// arms, generations and parts, so that no level is crowded out by another.
func (r *reservoir) choose(n int) []candidate {
	var all []candidate
	for _, s := range r.strata {
		all = append(all, s...)
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.node, b.node), cmp.Compare(a.index, b.index),
			cmp.Compare(a.watch, b.watch))
	})
	levels := []func(candidate) int{
		func(c candidate) int { return c.watch },
		func(c candidate) int { return -int(c.score.Outcome) },
		func(c candidate) int { return c.place.arm },
		func(c candidate) int { return c.place.generation },
		func(c candidate) int { return slices.Index(parts, c.part) },
	}
	all = alternate(all, levels)
	return all[:min(n, len(all))]
}

// alternate deals candidates group by group; each group is dealt likewise.
// Groups take turns in the order of their first candidate, so that where there
// are more groups than turns, chance decides who goes without.
func alternate(all []candidate, levels []func(candidate) int) []candidate {
	if len(levels) == 0 || len(all) < 2 {
		return all
	}
	groups := map[int][]candidate{}
	var names []int
	for _, c := range all {
		name := levels[0](c)
		if groups[name] == nil {
			names = append(names, name)
		}
		groups[name] = append(groups[name], c)
	}
	for _, name := range names {
		groups[name] = alternate(groups[name], levels[1:])
	}
	dealt := make([]candidate, 0, len(all))
	for round := 0; len(dealt) < len(all); round++ {
		for _, name := range names {
			if round < len(groups[name]) {
				dealt = append(dealt, groups[name][round])
			}
		}
	}
	return dealt
}
