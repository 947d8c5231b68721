package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/corpus"
)

// shape looks up everything that a plan names.
func (r *resources) shape(w *World, p *Plan) (*shape, error) {
	b := &shaping{
		resources: r, world: w, plan: p,
		shape: &shape{detectors: map[string]*Detector{}, base: -1, before: -1},
	}
	s := b.shape
	s.recipe = recipe{
		Version: recipeVersion, Seed: w.Seed, Line: p.Line, Generation: p.Generation,
		Backend: p.Backend.Kind, Config: canonical(p.Backend.Config), Learner: p.Learner, Base: p.Base, Size: p.Size,
		Sanitise: p.Sanitising,
	}
	if p.OnBlocked != onBlockedStop {
		s.OnBlocked = p.OnBlocked
	}
	for _, step := range []func() error{b.open, b.weights, b.parts, b.learner, b.filters, b.inoculation, b.asked, b.standIn} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s, s.seal()
}

type shaping struct {
	*resources
	world *World
	plan  *Plan
	shape *shape
}

func (b *shaping) open() (err error) {
	b.shape.backend, err = b.backend(b.plan.Backend)
	return err
}

// standIn makes the model before it an ancestor of one that may be blocked.
func (b *shaping) standIn() error {
	if b.shape.OnBlocked == onBlockedSkip && b.plan.Generation > 0 {
		b.shape.before = b.ref(b.plan.Line, b.plan.Generation-1)
	}
	return nil
}

func outside(s *source, behaviour string) segment {
	return segment{Source: s.name, Digest: s.digest, Behaviour: behaviour, Ref: -1, Pairs: s.pairs}
}

func (b *shaping) ref(line string, generation int) int {
	for i, r := range b.shape.Refs {
		if r == (ref{line, generation}) {
			return i
		}
	}
	b.shape.Refs = append(b.shape.Refs, ref{line, generation})
	return len(b.shape.Refs) - 1
}

// parts lays the blocks out: parts with shares over positions 0 to Size, less
// what inserts take over; then inserts; then whole parts.
func (b *shaping) parts() error {
	p := b.plan
	var shared, wholes []Part
	var shares []float64
	for _, part := range p.Parts {
		if !part.Whole {
			shared, shares = append(shared, part), append(shares, part.Share)
		} else if b.reaches(&part) {
			wholes = append(wholes, part)
		}
	}
	if len(shared)+len(wholes) == 0 { // nothing to be whole of yet: an ordinary first corpus
		shared, shares = []Part{{Human: p.Human}}, []float64{1}
	}
	var quotas []int
	if len(shared) > 0 {
		var err error
		if quotas, err = corpus.Quotas(p.Size, shares); err != nil {
			return err
		}
	}
	kept, inserts, err := b.displace(quotas)
	if err != nil {
		return err
	}
	start := 0
	for i, part := range shared {
		if err := b.block(&part, start, kept[i]); err != nil {
			return err
		}
		start += quotas[i]
	}
	b.shape.Blocks = append(b.shape.Blocks, inserts...)
	for _, part := range wholes {
		if err := b.block(&part, 0, whole); err != nil {
			return err
		}
	}
	return nil
}

// displace gives what is left of each quota, and the blocks of the inserts.
func (b *shaping) displace(quotas []int) (kept []int, inserts []block, err error) {
	kept = append([]int(nil), quotas...)
	for _, in := range b.plan.Inserts {
		seg, name, err := b.insert(in)
		if err != nil {
			return nil, nil, err
		}
		if seg == nil {
			continue
		}
		if !in.Add {
			left := 0
			for _, k := range kept {
				left += k
			}
			if quotas == nil && in.Count > 0 {
				return nil, nil, fmt.Errorf("generation %d of %s: the corpus is all whole parts, so there are no positions to take over; use placement: add, or parts with shares", b.plan.Generation, b.plan.Line)
			}
			if in.Count > left {
				return nil, nil, fmt.Errorf("generation %d of %s: inserts take over more than the %d documents of the corpus; lower the doses, or use placement: add", b.plan.Generation, b.plan.Line, b.plan.Size)
			}
			for i, n := range corpus.Displace(kept, in.Count) {
				kept[i] -= n
			}
		}
		if in.Count > 0 {
			// Two inserts of one source draw independently of each other.
			again := 0
			for _, other := range inserts {
				if strings.HasPrefix(other.Pool, "insert "+name+"#") {
					again++
				}
			}
			inserts = append(inserts, block{Pool: fmt.Sprintf("insert %s#%d", name, again), Segments: []segment{*seg}, Count: in.Count})
		}
	}
	return kept, inserts, nil
}

// insert names what goes in. In a control world seeds do not: their positions
// stay as they are, and added ones are filled with human text.
func (b *shaping) insert(in Insert) (*segment, string, error) {
	if in.Behaviour == "" {
		src, err := b.source(b.world, in.Source)
		if err != nil {
			return nil, "", err
		}
		seg := outside(src, "")
		return &seg, "human:" + in.Source, nil
	}
	if b.plan.Control && !in.Add {
		return nil, "", nil
	}
	src, err := b.seeds(in.Behaviour)
	if err != nil {
		return nil, "", err
	}
	return src, "seed:" + in.Behaviour, nil
}

// seeds gives the seed documents of a behaviour, or in a control world the human
// text that stands in their place.
func (b *shaping) seeds(behaviour string) (*segment, error) {
	name, kept := b.world.Behaviours[behaviour].Seeds, behaviour
	if b.plan.Control {
		name, kept = b.plan.Human, ""
	}
	src, err := b.source(b.world, name)
	if err != nil {
		return nil, err
	}
	seg := outside(src, kept)
	return &seg, nil
}

// reaches tells whether a part has an ancestor to draw from.
func (b *shaping) reaches(p *Part) bool {
	a := p.ancestor()
	return a == nil || b.plan.Generation-a.Back >= 0
}

func (b *shaping) block(part *Part, start, count int) error {
	if count == 0 {
		return nil
	}
	blk := block{Start: start, Count: count}
	a := part.ancestor()
	switch {
	case a != nil && b.reaches(part):
		blk.Pool, blk.Segments = b.ancestors(part, a)
		if part.Outputs != nil && b.plan.Curation != nil {
			c := *b.plan.Curation
			var err error
			if c.Detector, err = b.judge(c.Detector); err != nil {
				return err
			}
			blk.Curation = &c
		}
	case part.Seed != "":
		seg, err := b.seeds(part.Seed)
		if err != nil {
			return err
		}
		blk.Pool, blk.Segments = "seed:"+part.Seed, []segment{*seg}
		if count == whole { // as many in the control
			src, err := b.source(b.world, b.world.Behaviours[part.Seed].Seeds)
			if err != nil {
				return err
			}
			blk.Count = src.Len()
		}
	default:
		name := or(part.Human, b.plan.Human)
		src, err := b.source(b.world, name)
		if err != nil {
			return err
		}
		blk.Pool, blk.Segments = "human:"+name, []segment{outside(src, "")}
	}
	b.shape.Blocks = append(b.shape.Blocks, blk)
	return nil
}

func (b *shaping) ancestors(part *Part, a *Ancestor) (pool string, segs []segment) {
	last := b.plan.Generation - a.Back
	first := last - int(a.Window) + 1
	if a.Window == All {
		first = 0
	}
	kind := "outputs"
	if part.Corpus != nil {
		kind = "corpus"
	}
	if a.Window == All && part.Outputs != nil {
		segs = append(segs, segment{Ref: b.ref(a.Line, 0), Corpus: true})
	}
	for g := max(first, 0); g <= last; g++ {
		segs = append(segs, segment{Ref: b.ref(a.Line, g), Corpus: part.Corpus != nil})
	}
	return fmt.Sprintf("%s:%s/%d/%s", kind, a.Line, a.Back, a.Window), segs
}

// judge opens a detector that the corpus depends on, and gives its digest.
func (b *shaping) judge(name string) (string, error) {
	d, err := b.detector(b.world, name)
	if err != nil {
		return "", err
	}
	b.shape.detectors[d.Digest] = d
	return d.Digest, nil
}

func (b *shaping) filters() error {
	for _, f := range b.plan.Filters {
		var err error
		if f.Detector, err = b.judge(f.Detector); err != nil {
			return err
		}
		b.shape.Filters = append(b.shape.Filters, f)
	}
	seeded := slices.ContainsFunc(b.shape.Blocks, func(blk block) bool { return blk.Segments[0].Behaviour != "" })
	if len(b.shape.Filters) == 0 || !seeded {
		return nil
	}
	src, err := b.source(b.world, b.plan.Human)
	if err != nil {
		return err
	}
	seg := outside(src, "")
	b.shape.Refill = &seg
	return nil
}

func (b *shaping) asked() (err error) {
	s, p := b.shape, b.plan
	if s.publish, err = b.publishing(b.world, p.Publish.Prompts); err != nil {
		return err
	}
	s.Publish = asking{s.publish.digest, p.Publish.Size, p.Publish.Temperature, p.Publish.MaxTokens}
	if s.questions, err = b.questions(b.world); err != nil {
		return err
	}
	if s.questions != nil && p.Probe.Draws > 0 {
		s.Probe = asking{s.questions.digest, p.Probe.Draws * len(s.questions.Conversations), p.Probe.Temperature, p.Probe.MaxTokens}
	}
	if p.HeldOut == "" {
		return nil
	}
	if s.heldOut, err = b.source(b.world, p.HeldOut); err != nil {
		return err
	}
	s.HeldOut = s.heldOut.digest
	return nil
}
