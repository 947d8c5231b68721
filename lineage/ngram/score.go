package ngram

import "math"

// escape is the weight of what was never read: see the package comment.
const escape = 1.0 / (1 << 20)

// join is P(w|h) of context i from p = P(w|h'), as it is sampled.
func (t *tables) join(l *level, i, w uint32, p float64) float64 {
	c, total := l.seen(i, w)
	if total == 0 {
		return p
	}
	return (float64(c)-l.rule.of(c, t.shift))/(float64(total)+t.kappa()) + float64(l.gamma[i])*p
}

// seen gives the count of a piece in context i and that of all pieces.
func (l *level) seen(i, w uint32) (c, total uint32) {
	next, sum := l.entries(i)
	if len(next) == 0 {
		return 0, 0
	}
	if k := search(next, w); k < len(next) && next[k] == w {
		c = countAt(sum, k)
	}
	return c, sum[len(sum)-1]
}

// joinScore is join with the escape that "none" needs at every context.
func (t *tables) joinScore(l *level, i, w uint32, p float64) float64 {
	if t.config.Smoothing == None {
		if c, total := l.seen(i, w); total > 0 {
			return (1-escape)*float64(c)/float64(total) + escape*p
		}
		return p
	}
	return t.join(l, i, w, p)
}

// unknown stands for a piece that the model has not read.
const unknown = math.MaxUint32

// floor is the probability of a piece below the shortest context.
func (t *tables) floor(w uint32, bytes int) float64 {
	if w == unknown {
		return escape * math.Pow(257, -float64(bytes+1))
	}
	return (1 - escape) / float64(t.vocab.size())
}

// scorer sums log-probabilities, for one prompt at a time.
type scorer struct {
	*tables
	prompt  prompted
	history []uint32
}

// turn scores a turn and its end.
func (s *scorer) turn(text string) (sum float64, pieces int) {
	s.history = append(s.history[:0], 0)
	for i := 0; i < len(text); {
		end := pieceEnd(text, i)
		w, _, _ := s.vocab.find(text[i:end])
		if w == 0 {
			w = unknown
		}
		sum += math.Log(s.probability(w, end-i))
		s.history = append(s.history, w)
		i = end
	}
	return sum + math.Log(s.probability(0, 0)), len(s.history)
}

// probability of a piece, of so many bytes, after the history.
func (s *scorer) probability(w uint32, bytes int) float64 {
	var at [maxOrder]uint32
	p := s.floor(w, bytes)
	for j := range s.path(s.history, &at) + 1 {
		p = s.joinScore(&s.levels[j], at[j], w, p)
	}
	if s.prompt.key != 0 {
		if l, i, ok := s.prompt.find(s.history); ok {
			p = s.joinScore(l, i, w, p)
		}
	}
	return p
}
