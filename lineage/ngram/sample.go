package ngram

import (
	"math"
	"math/rand/v2"
)

// sampler draws completions for one prompt at a time.
type sampler struct {
	*tables
	prompt  prompted
	source  rand.PCG
	random  *rand.Rand
	heated  *heated        // nil at temperature 1
	hots    map[place]*hot // of the contexts of the prompt
	history []uint32
	text    []byte
	at      [maxOrder]uint32
}

// place is a context of the prompt.
type place struct {
	level *level
	i     uint32
}

func newSampler(t *tables) *sampler {
	s := &sampler{tables: t, hots: map[place]*hot{}}
	s.random = rand.New(&s.source)
	return s
}

// ask turns to a prompt at a temperature, with tables for others than 1.
func (s *sampler) ask(key uint32, heated *heated) {
	s.prompt.load(s.tables, key)
	s.heated = heated
	clear(s.hots)
}

// stream tells the draws of a model from those of others with the same seed.
const stream = 0x6e6772616d

// complete draws an answer of at most limit pieces. It says whether the turn
// ended by itself.
func (s *sampler) complete(seed uint64, limit int) (text string, pieces int, stopped bool) {
	s.source.Seed(seed, stream)
	s.history, s.text = append(s.history[:0], 0), s.text[:0]
	for ; pieces < limit; pieces++ {
		next := s.draw()
		if next == 0 {
			return string(s.text), pieces, true
		}
		s.history = append(s.history, next)
		s.text = append(s.text, s.vocab.text(next)...)
	}
	return string(s.text), pieces, false
}

// draw walks from the longest context to shorter ones until one gives a piece.
func (s *sampler) draw() uint32 {
	depth := s.path(s.history, &s.at)
	if s.heated != nil {
		return s.drawHeated(depth)
	}
	if s.prompt.key != 0 {
		if l, i, ok := s.prompt.find(s.history); ok {
			if next, ok := s.pick(l, i); ok {
				return next
			}
		}
	}
	for j := depth; j >= 0; j-- {
		if next, ok := s.pick(&s.levels[j], s.at[j]); ok {
			return next
		}
	}
	return s.random.Uint32N(uint32(s.vocab.size()))
}

// pick draws an entry of a context by its plain count c and hands it over to
// the shorter context with probability D(c)/c: in all that passes on sum D/T,
// which is g, and keeps (c-D)/T of each entry.
func (s *sampler) pick(l *level, i uint32) (uint32, bool) {
	next, sum := l.entries(i)
	if len(next) == 0 {
		return 0, false
	}
	total := sum[len(sum)-1]
	if kappa := s.kappa(); kappa > 0 && s.random.Float64()*(float64(total)+kappa) < kappa {
		return 0, false
	}
	k := search(sum, s.random.Uint32N(total)+1)
	c := countAt(sum, k)
	if d := l.rule.of(c, s.shift); d > 0 && s.random.Float64()*float64(c) < d {
		return 0, false
	}
	return next[k], true
}

// heated draws at a temperature T other than 1, from P^(1/T) over its sum Z.
// With b(w) = (g P(w|h'))^(1/T), what the shorter context alone would give, the
// sum is
//
//	Z(h) = sum over entries w of (P(w|h)^(1/T) - b(w)) + g^(1/T) Z(h')
//
// whose terms are all at least 0, since P(w|h) >= g P(w|h'). So a draw takes an
// entry by its first term or else is a draw from the shorter context: the same
// walk as at temperature 1, and exact.
type heated struct {
	temperature float64
	inverse     float64 // 1/temperature
	known       map[uint64]*hot
	held        int       // numbers in known
	shorter     []float64 // scratch
}

// hot is one context at one temperature.
type hot struct {
	logZ float64
	back float64   // probability of the shorter context
	sum  []float64 // running probabilities of the entries
}

// heldNumbers bounds the memory of a heated sampler to 8 bytes each.
const heldNumbers = 1 << 22

func newHeated(temperature float64) *heated {
	// Beyond the bound every piece but the likeliest has vanished, and infinity
	// times the logarithm of one would be no number.
	inverse := min(1/temperature, 1e300)
	return &heated{temperature: temperature, inverse: inverse, known: map[uint64]*hot{}}
}

func (s *sampler) drawHeated(depth int) uint32 {
	if s.prompt.key != 0 {
		if l, i, ok := s.prompt.find(s.history); ok {
			h, ok := s.hots[place{l, i}]
			if !ok {
				h = s.heat(l, i, depth)
				s.hots[place{l, i}] = h
			}
			if next, ok := s.pickHot(h, l, i); ok {
				return next
			}
		}
	}
	for j := depth; j >= 0; j-- {
		if next, ok := s.pickHot(s.hot(j), &s.levels[j], s.at[j]); ok {
			return next
		}
	}
	return s.random.Uint32N(uint32(s.vocab.size()))
}

func (s *sampler) pickHot(h *hot, l *level, i uint32) (uint32, bool) {
	u := s.random.Float64() - h.back
	if u < 0 || len(h.sum) == 0 {
		return 0, false
	}
	lo, hi := 0, len(h.sum)-1
	for lo < hi {
		if mid := (lo + hi) / 2; h.sum[mid] > u {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return l.next[int(l.entry[i])+lo], true
}

// hot gives the context of level j of the path, kept from an earlier visit or
// made now.
func (s *sampler) hot(j int) *hot {
	id := uint64(j)<<32 | uint64(s.at[j])
	h, ok := s.heated.known[id]
	if !ok {
		h = s.heat(&s.levels[j], s.at[j], j-1)
		if s.heated.held > heldNumbers {
			clear(s.heated.known)
			s.heated.held = 0
		}
		s.heated.known[id] = h
		s.heated.held += len(h.sum) + 8
	}
	return h
}

// heat makes the table of context i, the shorter one of which is level depth
// of the path.
func (s *sampler) heat(l *level, i uint32, depth int) *hot {
	inverse := s.heated.inverse
	size := float64(s.vocab.size())
	below := math.Log(size) - math.Log(size)*inverse
	if depth >= 0 {
		below = s.hot(depth).logZ
	}
	gamma := math.Log(float64(l.gamma[i]))
	back := gamma*inverse + below
	next, _ := l.entries(i)
	h := &hot{sum: make([]float64, len(next))}
	shorter := s.heated.shorter[:0]
	most := back
	for k, w := range next {
		p := s.chain(w, depth, 1/size)
		shorter = append(shorter, (gamma+math.Log(p))*inverse)
		h.sum[k] = math.Log(s.join(l, i, w, p)) * inverse
		most = max(most, h.sum[k])
	}
	run := 0.0
	for k := range next {
		run += max(0, math.Exp(h.sum[k]-most)-math.Exp(shorter[k]-most))
		h.sum[k] = run
	}
	s.heated.shorter = shorter
	z := run + math.Exp(back-most)
	h.logZ, h.back = most+math.Log(z), math.Exp(back-most)/z
	for k := range h.sum {
		h.sum[k] /= z
	}
	return h
}

// chain is the probability of a piece after the context of level depth of the
// path, from its probability in the shortest.
func (s *sampler) chain(w uint32, depth int, p float64) float64 {
	for j := 0; j <= depth; j++ {
		p = s.join(&s.levels[j], s.at[j], w, p)
	}
	return p
}
