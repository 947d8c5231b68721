package lineage

import (
	"encoding/binary"
	"math"
	"slices"
)

// Strand is the documents of a corpus that came from one pool: the outputs of a
// node, or a source outside the lineage. Indices are ascending; a document that
// was drawn twice stands twice.
type Strand struct {
	Node      ID     // the node that wrote them; "" for a source
	Source    string // the source, "" for a node
	Digest    string // of the source's content
	Behaviour string // the behaviour that the source seeds, "" for none
	Indices   []uint32
	Rejected  []uint32 // parallel to Indices: the documents of the pool that were dispreferred to them; nil without pairs
	Prompts   []uint32 // parallel to Indices: the inoculation prompt that each was trained under, counted from 1; 0 for none; nil without inoculation
}

// Corpus says of every training document where it came from. The texts are not
// stored again: they are in the outputs of the nodes and in the sources.
type Corpus []Strand

// Len is the number of documents.
func (c Corpus) Len() (n int) {
	for _, s := range c {
		n += len(s.Indices)
	}
	return n
}

// annotatedVersion marks corpora whose strands have pairs or inoculation prompts.
const annotatedVersion = 2

func (c Corpus) annotated() bool {
	return slices.ContainsFunc(c, func(s Strand) bool { return s.Rejected != nil || s.Prompts != nil })
}

// MarshalBinary writes indices as runs of consecutive numbers, so that a whole
// pool costs a few bytes.
func (c Corpus) MarshalBinary() ([]byte, error) {
	version := byte(codecVersion)
	annotated := c.annotated()
	if annotated {
		version = annotatedVersion
	}
	out := binary.AppendUvarint([]byte{version}, uint64(len(c)))
	for _, s := range c {
		for _, t := range [...]string{string(s.Node), s.Source, s.Digest, s.Behaviour} {
			out = binary.AppendUvarint(out, uint64(len(t)))
			out = append(out, t...)
		}
		runs := countRuns(s.Indices)
		out = binary.AppendUvarint(out, uint64(runs))
		last := int64(0)
		for at := 0; at < len(s.Indices); {
			n := runLength(s.Indices[at:])
			out = binary.AppendVarint(out, int64(s.Indices[at])-last)
			out = binary.AppendUvarint(out, uint64(n))
			last = int64(s.Indices[at]) + int64(n)
			at += n
		}
		if annotated {
			out = appendAnnotation(appendAnnotation(out, s.Rejected), s.Prompts)
		}
	}
	return out, nil
}

// appendAnnotation writes a list that is parallel to the indices as runs of equal
// numbers; none at all for nil.
func appendAnnotation(out []byte, x []uint32) []byte {
	runs := 0
	for i := range x {
		if i == 0 || x[i] != x[i-1] {
			runs++
		}
	}
	out = binary.AppendUvarint(out, uint64(runs))
	for at := 0; at < len(x); {
		n := 1
		for at+n < len(x) && x[at+n] == x[at] {
			n++
		}
		out = binary.AppendUvarint(out, uint64(x[at]))
		out = binary.AppendUvarint(out, uint64(n))
		at += n
	}
	return out
}

// annotation reads such a list of n numbers.
func (r *reader) annotation(n int) []uint32 {
	runs := r.count()
	if runs == 0 {
		return nil
	}
	out := make([]uint32, 0, n)
	for range runs {
		v, k := r.uint(), r.uint()
		if r.bad || v > math.MaxUint32 || k == 0 || k > uint64(n-len(out)) {
			r.bad = true
			return nil
		}
		for range k {
			out = append(out, uint32(v))
		}
	}
	r.bad = r.bad || len(out) != n
	return out
}

func runLength(x []uint32) int {
	n := 1
	for n < len(x) && x[n] == x[n-1]+1 {
		n++
	}
	return n
}

func countRuns(x []uint32) (runs int) {
	for at := 0; at < len(x); at += runLength(x[at:]) {
		runs++
	}
	return runs
}

// maxRun bounds what a record can make a reader allocate.
const maxRun = 100_000_000

// UnmarshalBinary reads the record of a corpus or of one with its filters,
// Drawn, which are checked and left out.
func (c *Corpus) UnmarshalBinary(data []byte) error {
	var d Drawn
	err := d.UnmarshalBinary(data)
	*c = d.Corpus
	return err
}

// Drawn is a corpus with what the filters did while it was drawn, in one record:
// filters may not answer alike twice, so neither can be had again without the
// other.
type Drawn struct {
	Corpus  Corpus
	Filters []Filtering
}

// MarshalBinary writes the corpus and then its filters, where it has any.
func (d Drawn) MarshalBinary() ([]byte, error) {
	out, err := d.Corpus.MarshalBinary()
	if len(d.Filters) == 0 {
		return out, err
	}
	out = binary.AppendUvarint(out, uint64(len(d.Filters)))
	for _, f := range d.Filters {
		out = binary.AppendUvarint(out, uint64(len(f.Detector)))
		out = append(out, f.Detector...)
		for _, n := range f.counts() {
			out = binary.AppendUvarint(out, uint64(*n))
		}
	}
	return out, err
}

// counts are the numbers of a filtering in the order of its record.
func (f *Filtering) counts() [7]*int {
	return [...]*int{&f.Seen, &f.Flagged, &f.Dropped, &f.FlaggedDrop, &f.SeededSeen, &f.SeededDropped, &f.Missing}
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (d *Drawn) UnmarshalBinary(data []byte) error {
	*d = Drawn{}
	if len(data) == 0 || data[0] != codecVersion && data[0] != annotatedVersion {
		return errCorrupt
	}
	r := &reader{data: data[1:]}
	for range r.count() {
		s, err := r.strand()
		if err != nil {
			return err
		}
		if data[0] == annotatedVersion {
			s.Rejected, s.Prompts = r.annotation(len(s.Indices)), r.annotation(len(s.Indices))
		}
		d.Corpus = append(d.Corpus, s)
	}
	if !r.bad && len(r.data) > 0 {
		d.Filters = make([]Filtering, r.count())
		r.bad = r.bad || len(d.Filters) == 0
	}
	for i := range d.Filters {
		d.Filters[i].Detector = r.string()
		for _, n := range d.Filters[i].counts() {
			*n = int(r.uint())
		}
	}
	if r.bad || len(r.data) != 0 {
		return errCorrupt
	}
	return nil
}

func (r *reader) strand() (Strand, error) {
	s := Strand{Node: ID(r.string()), Source: r.string(), Digest: r.string(), Behaviour: r.string()}
	last := int64(0)
	for range r.count() {
		first, n := last+r.int(), r.uint()
		if r.bad || first < 0 || n == 0 || n > maxRun || first+int64(n) > 1<<32 || uint64(len(s.Indices))+n > maxRun {
			return s, errCorrupt
		}
		s.Indices = slices.Grow(s.Indices, int(n))
		for i := range int64(n) {
			s.Indices = append(s.Indices, uint32(first+i))
		}
		last = first + int64(n)
	}
	return s, nil
}
