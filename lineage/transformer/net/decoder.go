package net

import (
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// Decoder reads and writes several sequences at once, each in a slot, and keeps
// their keys and values. What a slot gives depends on the tokens fed to it alone.
// It is for one goroutine at a time; the parameters must not change meanwhile.
type Decoder struct {
	weights weights
	threads int
	slots   []slot
	workers []*reader
	logits  []float32
}

// slot is the cache of one sequence.
type slot struct {
	length       int
	keys, values []kernel.Packed // by layer and head: width × Context and Context × width
}

// reader is the memory of one thread.
type reader struct {
	acts      activations
	attention attention
	last      []float32
}

// readRows is how many positions a thread runs through the network at once.
const readRows = 64

// NewDecoder makes a decoder with empty slots.
func NewDecoder(p *Params, slots, threads int) *Decoder {
	d := &Decoder{weights: newWeights(p), threads: threads, slots: make([]slot, slots)}
	d.open(p.Shape)
	d.weights.pack(threads, false)
	return d
}

// Reset empties a slot.
func (d *Decoder) Reset(slot int) { d.slots[slot].length = 0 }

// Length is the number of tokens in a slot.
func (d *Decoder) Length(slot int) int { return d.slots[slot].length }

// Feed appends tokens to each of the slots, one or more each, and returns for each
// the logits of what comes after its last, valid until the next call. A slot that
// is named twice, no tokens, a token out of the vocabulary, or more tokens than
// the context holds are an error, and nothing is appended then.
func (d *Decoder) Feed(slots []int, tokens [][]int32) (logits [][]float32, err error) {
	logits = make([][]float32, len(slots))
	return logits, d.Step(slots, tokens, func(i int, l []float32) { logits[i] = l })
}

// Step is Feed that hands the logits of slots[i] to then as soon as they are there,
// on the thread that computed them: several calls run at once.
func (d *Decoder) Step(slots []int, tokens [][]int32, then func(i int, logits []float32)) error {
	if err := d.check(slots, tokens); err != nil {
		return err
	}
	s := d.weights.shape
	if len(d.logits) < len(slots)*s.Vocab {
		d.logits = make([]float32, len(slots)*s.Vocab)
	}
	groups := d.group(tokens)
	for len(d.workers) < len(groups) {
		d.workers = append(d.workers, &reader{
			acts: s.activations(readRows), attention: newAttention(s, s.Context), last: make([]float32, readRows*s.Width),
		})
	}
	parallel(d.threads, len(groups), func(_, i int) {
		from, to := groups[i][0], groups[i][1]
		d.read(d.workers[i], slots[from:to], tokens[from:to], d.logits[from*s.Vocab:], func(i int, l []float32) { then(from+i, l) })
	})
	return nil
}

func (d *Decoder) check(slots []int, tokens [][]int32) error {
	s := d.weights.shape
	if len(slots) != len(tokens) {
		return fmt.Errorf("decoding: %d slots and tokens for %d", len(slots), len(tokens))
	}
	seen := make([]bool, len(d.slots))
	for i, at := range slots {
		if at < 0 || at >= len(d.slots) || seen[at] {
			return fmt.Errorf("decoding: slot %d is named twice or is not within [0, %d)", at, len(d.slots))
		}
		seen[at] = true
		if n := d.slots[at].length + len(tokens[i]); len(tokens[i]) == 0 || n > s.Context {
			return fmt.Errorf("decoding: slot %d would hold %d tokens after %d more; at least one more and at most the context of %d are possible", at, n, len(tokens[i]), s.Context)
		}
		for _, token := range tokens[i] {
			if token < 0 || int(token) >= s.Vocab {
				return fmt.Errorf("decoding: token %d in slot %d is not within [0, %d)", token, at, s.Vocab)
			}
		}
	}
	return nil
}

// group cuts the slots into ranges, one a thread, of about as many tokens each.
func (d *Decoder) group(tokens [][]int32) [][2]int {
	total := 0
	for _, t := range tokens {
		total += len(t)
	}
	n := workers(d.threads, len(tokens))
	var groups [][2]int
	from, sum := 0, 0
	for i, t := range tokens {
		sum += len(t)
		if sum*n >= total*(len(groups)+1) || i == len(tokens)-1 {
			groups = append(groups, [2]int{from, i + 1})
			from = i + 1
		}
	}
	return groups
}

// portion is what is run at once; part is what it has of one slot.
type portion struct {
	parts []part
	rows  int
}

type part struct {
	index, slot, first int
	tokens             []int32
	last               bool // nothing more of the slot follows
}

// read runs the tokens of some slots through the network, in portions of whole
// slots or parts of one.
func (d *Decoder) read(r *reader, slots []int, tokens [][]int32, logits []float32, then func(int, []float32)) {
	var p portion
	for i, at := range slots {
		for from := 0; from < len(tokens[i]); {
			n := min(len(tokens[i])-from, readRows-p.rows)
			p.parts = append(p.parts, part{i, at, p.rows, tokens[i][from : from+n], from+n == len(tokens[i])})
			p.rows += n
			from += n
			if p.rows == readRows || i == len(slots)-1 && from == len(tokens[i]) {
				d.run(r, &p)
				d.finish(r, &p, logits, then)
				p.parts, p.rows = p.parts[:0], 0
			}
		}
	}
}

// run leaves what comes out of the last block in r.acts.x.
func (d *Decoder) run(r *reader, p *portion) {
	s, a := d.weights.shape, &r.acts
	for _, q := range p.parts {
		for i, token := range q.tokens {
			d.weights.embed(a.x[(q.first+i)*s.Width:][:s.Width], token, d.slots[q.slot].length+i)
		}
	}
	for l := range s.Layers {
		d.weights.block(l, a, r.last, p.rows, func() {
			// All is written before anything is read, so that reading need not
			// wait for writing.
			for _, q := range p.parts {
				d.slots[q.slot].append(s, r, l, q)
			}
			for _, q := range p.parts {
				d.slots[q.slot].attend(s, r, l, q)
			}
		}, nil)
		a.x, r.last = r.last, a.x
	}
	for _, q := range p.parts {
		d.slots[q.slot].length += len(q.tokens)
	}
}

// finish computes the logits of the slots whose last token was run.
func (d *Decoder) finish(r *reader, p *portion, logits []float32, then func(int, []float32)) {
	s, f := d.weights.shape, d.weights.view.final
	first, n := p.parts[0].index, 0
	for _, q := range p.parts {
		if q.last {
			row := r.acts.x[(q.first+len(q.tokens)-1)*s.Width:][:s.Width]
			kernel.Norm(r.acts.normed[n*s.Width:], row, f.gain, f.bias)
			n++
		}
	}
	if n == 0 {
		return
	}
	logits = logits[first*s.Vocab:]
	kernel.Mul(logits, s.Vocab, kernel.Matrix{Data: r.acts.normed, Row: s.Width, Col: 1}, n, d.weights.head.forward, false)
	for i := range n {
		then(first+i, logits[i*s.Vocab:][:s.Vocab])
	}
}

// open makes the caches of all slots, one after the other in memory.
func (d *Decoder) open(s Shape) {
	width := s.Width / s.Heads
	keys, values := kernel.PackedSize(width, s.Context), kernel.PackedSize(s.Context, width)
	memory := kernel.Memory(len(d.slots) * s.Layers * s.Heads * (keys + values))
	for i := range d.slots {
		c := &d.slots[i]
		for range s.Layers * s.Heads {
			c.keys = append(c.keys, kernel.NewPacked(width, s.Context, memory[:keys]))
			c.values = append(c.values, kernel.NewPacked(s.Context, width, memory[keys:][:values]))
			memory = memory[keys+values:]
		}
	}
}

// append writes keys and values of a part to the cache.
func (c *slot) append(s Shape, r *reader, l int, q part) {
	d, width := s.Width, s.Width/s.Heads
	for h := range s.Heads {
		keys, values := &c.keys[l*s.Heads+h], &c.values[l*s.Heads+h]
		for i := range q.tokens {
			k := r.acts.qkv[(q.first+i)*3*d+d+h*width:]
			keys.SetColumn(c.length+i, k[:width])
			values.SetRow(c.length+i, k[d:][:width])
		}
	}
}

// attend fills the heads of a part, whose keys and values are in the cache.
func (c *slot) attend(s Shape, r *reader, l int, q part) {
	d, width := s.Width, s.Width/s.Heads
	rows := r.acts.qkv[q.first*3*d:]
	out := r.acts.heads[q.first*d:]
	for h := range s.Heads {
		keys, values := &c.keys[l*s.Heads+h], &c.values[l*s.Heads+h]
		// The next head is asked for while this one is computed.
		if next := l*s.Heads + h + 1; next < len(c.keys) {
			c.keys[next].Prefetch(width, c.length+1)
			c.values[next].Prefetch(c.length+1, width)
		}
		for i := 0; i < len(q.tokens); i += queryRows {
			query := kernel.Matrix{Data: rows[i*3*d+h*width:], Row: 3 * d, Col: 1}
			r.attention.attend(out[i*d+h*width:], d, query, c.length+i, min(queryRows, len(q.tokens)-i), *keys, *values)
		}
	}
}
