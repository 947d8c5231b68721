package sim

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// redraws is how often a filtered position is drawn again before it stays empty.
const redraws = 16

// drawing puts the corpus of one node together.
type drawing struct {
	*job
	study   *Study
	ledger  lineage.Ledger
	strands []*strand
	byName  map[strandName]int
	pools   []pool
	refill  pool // what removed seeds make way for
	orders  []corpus.Shuffle
	reader  reader
	filters []lineage.Filtering
	paired  *lineage.Filtering // what became of positions that were to be pairs; nil without any
}

// pick is one document of the corpus in the making.
type pick struct {
	block  int
	rank   int // in its block
	strand int
	index  uint32

	rejected uint32 // of a pair: the other side, in the same strand
	paired   bool
	void     bool   // a pair that could not be made
	prompt   uint32 // that it is inoculated with, from 1; 0 for none
}

// draw gives the corpus of a node: which document of which strand stands at
// each position. It is a function of the recipe, and of what detectors say.
func (s *Study) draw(ctx context.Context, ledger lineage.Ledger, j *job, base opener) ([]*strand, []lineage.Filtering, error) {
	d := &drawing{job: j, study: s, ledger: ledger, byName: map[strandName]int{}, reader: reader{ledger: ledger}, paired: j.pairing()}
	if err := d.open(); err != nil {
		return nil, nil, err
	}
	picks := d.first()
	picks, err := d.curate(ctx, picks, 0)
	if err != nil {
		return nil, nil, err
	}
	picks, err = d.filter(ctx, picks)
	if err != nil {
		return nil, nil, err
	}
	if err := d.inoculate(ctx, picks, base); err != nil {
		return nil, nil, err
	}
	d.gather(picks)
	if d.paired != nil {
		d.filters = append(d.filters, *d.paired)
	}
	return d.strands, d.filters, nil
}

// gather puts the picks of each strand in order.
func (d *drawing) gather(picks []pick) {
	annotated := d.paired != nil || d.Inoculate != nil
	if annotated {
		slices.SortFunc(picks, func(a, b pick) int {
			return cmp.Or(a.strand-b.strand, cmp.Compare(a.index, b.index), cmp.Compare(a.rejected, b.rejected), cmp.Compare(a.prompt, b.prompt))
		})
	}
	for _, p := range picks {
		s := d.strands[p.strand]
		s.Indices = append(s.Indices, p.index)
		if p.paired {
			s.Rejected = append(s.Rejected, p.rejected)
		}
		if d.Inoculate != nil {
			s.Prompts = append(s.Prompts, p.prompt)
		}
	}
	d.strands = slices.DeleteFunc(d.strands, func(s *strand) bool { return len(s.Indices) == 0 })
	for _, s := range d.strands {
		if !annotated {
			slices.Sort(s.Indices)
		}
	}
}

func (d *drawing) strand(s lineage.Strand, src *source, asked *prompts) int {
	name := strandName{s.Node, s.Digest, s.Behaviour}
	if i, ok := d.byName[name]; ok {
		return i
	}
	s.Indices, s.Rejected, s.Prompts = nil, nil, nil
	d.strands = append(d.strands, &strand{s, src, asked})
	d.byName[name] = len(d.strands) - 1
	return len(d.strands) - 1
}

// open finds what each block draws from, and the order in which it draws.
func (d *drawing) open() error {
	for _, b := range d.Blocks {
		var p pool
		for _, seg := range b.Segments {
			more, err := d.segment(seg)
			if err != nil {
				return err
			}
			p = append(p, more...)
		}
		if p.len() == 0 {
			return fmt.Errorf("corpus: the part %s has no documents to draw from", b.Pool)
		}
		key := at(d.Seed, "draw "+b.Pool, d.Line, d.replicate, d.Generation).pair()
		d.pools = append(d.pools, p)
		d.orders = append(d.orders, corpus.NewShuffle(key, p.len()))
	}
	if d.Refill == nil {
		return nil
	}
	var err error
	d.refill, err = d.segment(*d.Refill)
	return err
}

func (d *drawing) segment(seg segment) (pool, error) {
	if seg.Ref < 0 {
		src := d.study.resources.byDigest(seg.Digest)
		s := lineage.Strand{Source: seg.Source, Digest: seg.Digest, Behaviour: seg.Behaviour}
		return pool{{strand: d.strand(s, src, nil), len: src.Len()}}, nil
	}
	from := d.study.byID[d.nodes[seg.Ref]]
	if !seg.Corpus {
		return pool{{strand: d.strand(lineage.Strand{Node: from.id}, nil, from.publish), len: from.Publish.Count}}, nil
	}
	rec, err := d.study.corpus(d.ledger, from)
	if err != nil {
		return nil, err
	}
	var p pool
	for _, s := range rec {
		p = append(p, stretch{d.strand(s.Strand, s.source, s.asked), len(s.Indices), s.Indices})
	}
	return p, nil
}

// corpus reads what a node was trained on, with the things that it names.
func (s *Study) corpus(ledger lineage.Ledger, j *job) ([]*strand, error) {
	var rec lineage.Corpus
	if j.OnBlocked == onBlockedDrop {
		if ok, err := ledger.Load(lineage.ScreenedKey(j.id), &rec); err != nil || ok {
			if err != nil {
				return nil, err
			}
			return s.strands(j.id, rec)
		}
	}
	if ok, err := ledger.Load(lineage.CorpusKey(j.id), &rec); err != nil || !ok {
		return nil, missing(lineage.CorpusKey(j.id), err)
	}
	return s.strands(j.id, rec)
}

// strands gives the corpus of a node with the things that it names.
func (s *Study) strands(id lineage.ID, rec lineage.Corpus) ([]*strand, error) {
	out := make([]*strand, len(rec))
	for i, r := range rec {
		out[i] = &strand{Strand: r}
		if r.Node != "" {
			out[i].asked = s.byID[r.Node].publish
			continue
		}
		if out[i].source = s.resources.byDigest(r.Digest); out[i].source == nil {
			return nil, fmt.Errorf("%s: names the source %s, which this experiment does not have", lineage.CorpusKey(id), r.Source)
		}
	}
	return out, nil
}

// first draws every position once.
func (d *drawing) first() []pick {
	var picks []pick
	for b, blk := range d.Blocks {
		count := blk.Count
		if count == whole {
			count = d.pools[b].len()
		}
		picks = slices.Grow(picks, count)
		for rank := range count {
			picks = append(picks, d.pick(b, rank, 0, 0))
		}
	}
	return picks
}

// pick draws a position: document Start+rank of the block's permutation, so that
// a block no longer than its pool repeats nothing. With curation each position
// has BestOf candidates side by side. A position that is drawn again, in a later
// round, gets any document of the pool; one that held a seed, any document of
// the line's human source, since a filter that put seeds back would be none.
func (d *drawing) pick(b, rank, round, candidate int) pick {
	blk := d.Blocks[b]
	p := pick{block: b, rank: rank}
	turn, from := blk.Start+rank, d.pools[b]
	if blk.Curation != nil && !blk.Curation.Pairs {
		turn = turn*blk.Curation.BestOf + candidate
	}
	switch {
	case round > 0:
		if blk.Segments[0].Behaviour != "" {
			from = d.refill
		}
		again := at(d.Seed, "redraw "+blk.Pool, d.Line, d.replicate, d.Generation)
		turn = int(again.float(d.slot(p)|round<<8|candidate) * float64(from.len()))
	case blk.Count == whole || blk.Count == from.len() && blk.Curation == nil:
		turn = rank // every document has its place, whatever the order
	default:
		turn = d.orders[b].Draw(turn)
	}
	p.strand, p.index = from.at(turn)
	return p
}

// slot numbers a position within its block, for the randomness that is its own.
func (d *drawing) slot(p pick) int { return (d.Blocks[p.block].Start + p.rank) << 16 }

// filter puts every pick before the filters and draws removed positions again.
func (d *drawing) filter(ctx context.Context, picks []pick) ([]pick, error) {
	if len(d.Filters) == 0 {
		return picks, nil
	}
	d.filters = make([]lineage.Filtering, len(d.Filters))
	for i, f := range d.Filters {
		d.filters[i].Detector = d.shape.detectors[f.Detector].Name
	}
	var kept []pick
	for round := 0; len(picks) > 0; round++ {
		stay, again, err := d.pass(ctx, picks, round)
		if err != nil {
			return nil, err
		}
		kept = append(kept, stay...)
		if round == redraws {
			for _, p := range again {
				d.filters[p.filter].Missing++
			}
			break
		}
		picks = picks[:0]
		for _, p := range again {
			if d.Filters[p.filter].Refill {
				picks = append(picks, d.pick(p.block, p.rank, round+1, 0))
			} else {
				d.filters[p.filter].Missing++
			}
		}
		if picks, err = d.curate(ctx, picks, round+1); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// removal is a pick that a filter took out.
type removal struct {
	pick
	filter int
}

// pass puts picks before each filter in turn.
func (d *drawing) pass(ctx context.Context, picks []pick, round int) (stay []pick, removed []removal, err error) {
	for i, f := range d.Filters {
		stay = nil
		if f.OutputsOnly {
			outside := func(p pick) bool { return d.strands[p.strand].Node == "" }
			for _, p := range picks {
				if outside(p) {
					stay = append(stay, p)
				}
			}
			picks = slices.DeleteFunc(slices.Clone(picks), outside)
		}
		results, err := d.judge(ctx, d.shape.detectors[f.Detector], picks)
		if err != nil {
			return nil, nil, err
		}
		chances := d.chances(i)
		for n, p := range picks {
			s := d.strands[p.strand]
			flagged := results[n].Outcome == detectors.Present
			limit := f.FalsePositives
			if flagged {
				limit = f.Recall
			}
			drop := chances[p.block].float(d.slot(p)|round<<8) < limit
			count(&d.filters[i], flagged, drop, s.Behaviour != "")
			if drop {
				removed = append(removed, removal{p, i})
			} else {
				stay = append(stay, p)
			}
		}
		picks = stay
	}
	return stay, removed, nil
}

// chances gives the randomness of a filter for each block. It goes by what the
// filter and the block are, so that another filter or insert moves nothing.
func (d *drawing) chances(filter int) []stream {
	again := 0
	for _, f := range d.Filters[:filter] {
		if f.Detector == d.Filters[filter].Detector {
			again++
		}
	}
	out := make([]stream, len(d.Blocks))
	for b, blk := range d.Blocks {
		purpose := fmt.Sprintf("filter %s#%d %s", d.Filters[filter].Detector, again, blk.Pool)
		out[b] = at(d.Seed, purpose, d.Line, d.replicate, d.Generation)
	}
	return out
}

func count(f *lineage.Filtering, flagged, drop, seeded bool) {
	add := func(n *int, when bool) {
		if when {
			*n++
		}
	}
	f.Seen++
	add(&f.Flagged, flagged)
	add(&f.Dropped, drop)
	add(&f.FlaggedDrop, flagged && drop)
	add(&f.SeededSeen, seeded)
	add(&f.SeededDropped, seeded && drop)
}
