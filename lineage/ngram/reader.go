package ngram

import (
	"encoding/binary"
	"fmt"
	"math"
)

// reader takes an artifact apart. Its first fault stays; after it every number
// is 0. What it allocates is bounded by the bytes that it has read.
type reader struct {
	data []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("ngram: artifact is malformed: "+format, args...)
	}
	r.data = nil
}

// number takes a number of at most most.
func (r *reader) number(most uint64, what string) uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 || v > most {
		r.fail("%s is not a number up to %d", what, most)
		return 0
	}
	r.data = r.data[n:]
	return v
}

// many takes the number of things that follow, a byte each at least.
func (r *reader) many(what string) int {
	n := int(r.number(uint64(len(r.data)), "number of "+what))
	if n > len(r.data) {
		r.fail("%d %s are more than there is room for", n, what)
		return 0
	}
	return n
}

func (r *reader) word64(what string) uint64 {
	if len(r.data) < 8 {
		r.fail("%s is cut short", what)
		return 0
	}
	v := binary.LittleEndian.Uint64(r.data)
	r.data = r.data[8:]
	return v
}

func (r *reader) config(c Config) Config {
	c.Order = int(r.number(maxOrder, "order"))
	c.Smoothing = smoothings[r.number(uint64(len(smoothings)-1), "smoothing")]
	c.Kappa = math.Float64frombits(r.word64("kappa"))
	c.Condition = r.number(1, "condition") == 1
	c.MaxTokens = int(r.number(math.MaxInt32, "max_tokens"))
	if err := c.check(); err != nil {
		r.fail("%w", err)
	}
	return c
}

func (r *reader) vocabulary(what string) *vocabulary {
	v := newVocabulary()
	for range r.many(what) {
		n := r.many("bytes of a text")
		if r.err != nil {
			break
		}
		text, size := string(r.data[:n]), v.size()
		r.data = r.data[n:]
		if v.intern(text); n == 0 || v.size() == size || len(v.arena) > math.MaxInt32 {
			r.fail("%q is empty or twice among the %s", text, what)
		}
	}
	return v
}

func (r *reader) prompts() *prompts {
	p := &prompts{words: r.vocabulary("prompt words")}
	for range r.many("prompts") {
		h := r.word64("prompt")
		if n := len(p.hashes); r.err == nil && n > 0 && h <= p.hashes[n-1] {
			r.fail("prompts are out of order")
		}
		w := uint64(0)
		for range r.many("words of a prompt") {
			step := r.number(math.MaxUint32, "prompt word")
			if w += step; step == 0 || w >= uint64(p.words.size()) {
				r.fail("prompt word %d is unknown or out of order", w)
				break
			}
			p.list = append(p.list, uint32(w))
		}
		p.hashes = append(p.hashes, h)
		p.ends = append(p.ends, uint32(len(p.list)))
		if r.err != nil {
			break
		}
	}
	return p
}

func (r *reader) turns(t *texts) {
	t.tokens = []uint32{0}
	seen := make([]bool, t.vocab.size())
	seen[0] = true
	weight := uint64(0)
	for range r.many("parts") {
		w := r.number(maxWeight*weightSteps, "weight")
		if w <= weight {
			r.fail("weight %d is out of order", w)
		}
		weight = w
		for range r.many("turns") {
			t.keys = append(t.keys, uint32(r.number(uint64(len(t.prompts.hashes)), "prompt of a turn")))
			for r.err == nil {
				id := uint32(r.number(uint64(t.vocab.size()-1), "piece"))
				t.tokens = append(t.tokens, id)
				seen[id] = true
				if id == 0 {
					break
				}
			}
			if r.err != nil {
				return
			}
		}
		t.parts = append(t.parts, part{uint32(w), len(t.tokens), len(t.keys)})
		if r.err != nil {
			return
		}
	}
	for id, ok := range seen {
		if !ok {
			r.fail("piece %q is in no turn", t.vocab.text(uint32(id)))
			return
		}
	}
	if t.heaviest() > maxCorpus*weightSteps {
		r.fail("it is larger than any training gives")
	}
}
