package ngram

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// reference is interpolated modified Kneser-Ney as the papers write it: maps of
// strings, one per order, and no cleverness.
type reference struct {
	order  int
	count  map[string]map[string]float64 // context, pieces joined: next piece: count
	rules  []rule                        // by pieces in the context
	pieces map[string]bool
}

const begin, end = "<", ">"

func split(text string) []string {
	var pieces []string
	for i := 0; i < len(text); {
		end := pieceEnd(text, i)
		pieces = append(pieces, text[i:end])
		i = end
	}
	return pieces
}

func last(e lineage.Example) string { return e.Messages[len(e.Messages)-1].Content }

func key(context []string) string { return strings.Join(context, "\x00") }

func newReference(order int, all []lineage.Example) *reference {
	r := &reference{order: order, count: map[string]map[string]float64{}, pieces: map[string]bool{end: true}}
	predecessors := map[string]bool{}
	add := func(context []string, next string, n float64) {
		if r.count[key(context)] == nil {
			r.count[key(context)] = map[string]float64{}
		}
		r.count[key(context)][next] += n
	}
	for _, e := range all {
		if e.Weight == 0 {
			continue
		}
		turn := append([]string{begin}, split(last(e))...)
		turn = append(turn, end)
		for i := 1; i < len(turn); i++ {
			r.pieces[turn[i]] = true
			for n := 0; n < order && n <= i; n++ {
				context := turn[i-n : i]
				if n == order-1 || n == i {
					add(context, turn[i], e.Weight)
					continue
				}
				// A type of one more piece counts once.
				if longer := key(turn[i-n-1:i+1]) + fmt.Sprint(n); !predecessors[longer] {
					predecessors[longer] = true
					add(context, turn[i], 1)
				}
			}
		}
	}
	r.estimate()
	return r
}

func (r *reference) estimate() {
	tallies := make([]tally, r.order)
	for context, next := range r.count {
		n := len(strings.Split(context, "\x00"))
		if context == "" {
			n = 0
		}
		for _, c := range next {
			k := int(math.Round(c))
			if k < 1 {
				k = 1
			}
			if k > 5 {
				k = 5
			}
			tallies[n][k]++
		}
	}
	for _, n := range tallies {
		n1, n2, n3, n4 := float64(n[1]), float64(n[2]), float64(n[3]), float64(n[4])
		d := rule{0, 0.5, 1, 1.5}
		if n1 > 0 && n2 > 0 {
			y := n1 / (n1 + 2*n2)
			d = rule{0, y, y, y}
			full := rule{0, 1 - 2*y*n2/n1, 2 - 3*y*n3/n2, 3 - 4*y*n4/n3}
			if n3 > 0 && n4 > 0 && full[1] > 0 && full[2] > 0 && full[3] > 0 && full[2] <= 2 && full[3] <= 3 {
				d = full
			}
		}
		r.rules = append(r.rules, d)
	}
}

func (d rule) at(c float64) float64 {
	if c >= 3 {
		return d[3]
	}
	k := int(c)
	return d[k] + (d[k+1]-d[k])*(c-float64(k))
}

// probability of a known piece, sampled; the history begins with begin.
func (r *reference) probability(next string, history []string) float64 {
	p := 1 / float64(len(r.pieces))
	for n := 0; n < r.order && n <= len(history); n++ {
		counts := r.count[key(history[len(history)-n:])]
		if len(counts) == 0 {
			break
		}
		total, freed := 0.0, 0.0
		for _, c := range counts {
			total += c
			freed += r.rules[n].at(c)
		}
		c := counts[next]
		p = (c-r.rules[n].at(c))/total + freed/total*p
	}
	return p
}

// histories are beginnings of texts, some of them never seen.
func histories(all []lineage.Example, seed uint64, n int) [][]string {
	r := rand.New(rand.NewPCG(seed, 9))
	hs := [][]string{{begin}}
	for range n {
		pieces := split(last(all[r.IntN(len(all))]))
		h := append([]string{begin}, pieces[:r.IntN(len(pieces)+1)]...)
		if r.IntN(3) == 0 {
			other := split(last(all[r.IntN(len(all))]))
			h = append(h, other...)
		}
		if r.IntN(8) == 0 {
			h = append(h, "never-read")
		}
		hs = append(hs, h)
	}
	return hs
}

func (t *tables) numbers(history []string) []uint32 {
	ids := []uint32{0}
	for _, piece := range history[1:] {
		id, _, _ := t.vocab.find(piece)
		if id == 0 {
			id = unknown
		}
		ids = append(ids, id)
	}
	return ids
}

func TestProbabilitiesAreThoseOfTheReference(t *testing.T) {
	for _, weights := range [][]float64{{1}, {2}, {1, 0.5, 3}} {
		for order := 1; order <= 5; order++ {
			all := babble(uint64(10+order), 120, 12, 25, 0)
			for i := range all {
				all[i].Weight = weights[i%len(weights)]
			}
			ref := newReference(order, all)
			c := settings(func(c *Config) { c.Order = order })
			m := open(t, train(t, c, all))
			s := &scorer{tables: m.tables}
			for _, h := range histories(all, uint64(order), 60) {
				s.history = m.numbers(h)
				var at [maxOrder]uint32
				depth := m.path(s.history, &at)
				for piece := range ref.pieces {
					id, _, _ := m.vocab.find(piece)
					want := ref.probability(piece, h)
					sampled := (&sampler{tables: m.tables, at: at}).chain(id, depth, 1/float64(m.vocab.size()))
					scored := s.probability(id, len(piece))
					if math.Abs(sampled-want) > 1e-6*want || math.Abs(scored-want) > 3e-6*want {
						t.Fatalf("order %d, weights %v, P(%q|%q): sampled %v, scored %v, reference %v", order, weights, piece, h, sampled, scored, want)
					}
				}
			}
		}
	}
}

// Under a prompt the longest contexts have counts and discounts of their own,
// and back off to the reference for all prompts together.
func TestPromptLevelIsThatOfTheReference(t *testing.T) {
	for order := 1; order <= 4; order++ {
		all := babble(uint64(15+order), 150, 10, 12, 4)
		byPrompt := map[string][]lineage.Example{}
		for _, e := range all {
			byPrompt[e.Messages[0].Content] = append(byPrompt[e.Messages[0].Content], e)
		}
		ref := newReference(order, all)
		var counts tally
		for _, own := range byPrompt {
			r := newReference(order, own)
			for context, next := range r.count {
				if r.longest(context) {
					for _, c := range next {
						counts[min(int(c), 5)]++
					}
				}
			}
		}
		d := counts.rule()
		m := open(t, train(t, settings(func(c *Config) { c.Order = order }), all))
		s := &scorer{tables: m.tables}
		for prompt, own := range byPrompt {
			r := newReference(order, own)
			s.prompt.load(m.tables, m.prompts.exact([]string{prompt}))
			for _, h := range histories(own, uint64(order), 20) {
				context := key(h[max(0, len(h)-order+1):])
				total, freed := 0.0, 0.0
				for _, c := range r.count[context] {
					total, freed = total+c, freed+d.at(c)
				}
				s.history = m.numbers(h)
				for piece := range ref.pieces {
					want := ref.probability(piece, h)
					if c := r.count[context][piece]; total > 0 {
						want = (c-d.at(c))/total + freed/total*want
					}
					id, _, _ := m.vocab.find(piece)
					if got := s.probability(id, len(piece)); math.Abs(got-want) > 3e-6*want {
						t.Fatalf("order %d, P(%q|%q, %q) is %v, reference %v", order, piece, prompt, h, got, want)
					}
				}
			}
		}
	}
}

// longest says whether nothing stands before a context that it leaves out.
func (r *reference) longest(context string) bool {
	pieces := strings.Split(context, "\x00")
	return r.order == 1 || context != "" && (len(pieces) == r.order-1 || pieces[0] == begin)
}

// The pieces and everything that was never read share a probability of one.
func TestScoresSumToOne(t *testing.T) {
	for _, smoothing := range smoothings {
		for order := 1; order <= 4; order++ {
			for _, prompt := range []uint32{0, 1, 2} {
				all := babble(uint64(20+order), 40, 8, 6, 3)
				c := settings(func(c *Config) { c.Order = order; c.Smoothing = smoothing; c.Kappa = 2.5 })
				m := open(t, train(t, c, all))
				s := &scorer{tables: m.tables}
				if all := s.floor(0, 0)*float64(m.vocab.size()) + 257*s.floor(unknown, 0); math.Abs(all-1) > 1e-12 {
					t.Fatalf("below every context the probabilities sum to %v", all)
				}
				s.prompt.load(m.tables, prompt)
				for _, h := range histories(all, uint64(order), 40) {
					s.history = m.numbers(h)
					// The strings of n bytes together have 256^n of the probability of one.
					sum, escaped := 0.0, s.probability(unknown, 0)*257
					for id := range uint32(m.vocab.size()) {
						sum += s.probability(id, 1)
					}
					// Masses freed are kept in 32 bits: 6e-8 a level.
					if math.Abs(sum+escaped-1) > 3e-7 || escaped <= 0 {
						t.Fatalf("%s, order %d, prompt %d, after %q: known %v, never read %v", smoothing, order, prompt, h, sum, escaped)
					}
				}
			}
		}
	}
	spelled := 0.0
	for n := range 200_000 {
		spelled += math.Exp(float64(n)*math.Log(256) - float64(n+1)*math.Log(257))
	}
	if math.Abs(spelled-1) > 1e-9 {
		t.Errorf("the strings of bytes sum to %v", spelled)
	}
}

func TestDiscountsFallBack(t *testing.T) {
	for _, c := range []struct {
		tally tally
		want  rule
	}{
		{tally{}, rule{0, 0.5, 1, 1.5}},
		{tally{0, 9, 0, 3, 2, 1}, rule{0, 0.5, 1, 1.5}},
		{tally{0, 0, 9, 3, 2, 1}, rule{0, 0.5, 1, 1.5}},
		{tally{0, 6, 3, 0, 0, 1}, rule{0, 0.5, 0.5, 0.5}},
		{tally{0, 6, 3, 9, 1, 1}, rule{0, 0.5, 0.5, 0.5}}, // D2 would be below 0
		{tally{0, 8, 4, 2, 1, 9}, rule{0, 0.5, 1.25, 2}},
	} {
		if got := c.tally.rule(); got != c.want {
			t.Errorf("%v: %v, want %v", c.tally, got, c.want)
		}
	}
	if r := (tally{0, 1 << 20, 1, 0, 0, 0}).rule(); 1-r[1] > 1e-5 {
		t.Errorf("counts of one that almost never repeat keep a discount of %v", r[1])
	}
}

func TestScoresAreFinite(t *testing.T) {
	texts := []string{"", "a", "\xff\xfe", "never read before", strings.Repeat("z", 5000), "日本語", "a\x00b", " \n\t "}
	for _, smoothing := range smoothings {
		for _, all := range [][]lineage.Example{nil, replies("a b a"), babble(30, 50, 10, 9, 3)} {
			m := open(t, train(t, settings(func(c *Config) { c.Smoothing = smoothing }), all))
			for _, text := range texts {
				got, err := m.LogProb(background, [][]lineage.Message{reply("tell a b", text).Messages, nil})
				if err != nil {
					t.Fatal(err)
				}
				if p := got[0]; !(p.Sum <= 0) || math.IsInf(p.Sum, 0) || p.Tokens != len(split(text))+1 || got[1] != (lineage.LogProb{}) {
					t.Errorf("%s: %q scores %+v", smoothing, text, got)
				}
			}
		}
	}
}

func TestScoreIsOfAssistantTurnsOnly(t *testing.T) {
	m := open(t, train(t, settings(func(c *Config) { c.Condition = false }), babble(31, 50, 10, 9, 0)))
	turn := func(role, text string) lineage.Message { return lineage.Message{Role: role, Content: text} }
	got, err := m.LogProb(background, [][]lineage.Message{
		{turn("assistant", "a b")},
		{turn("assistant", "c")},
		{turn("system", "x"), turn("user", "y"), turn("assistant", "a b"), turn("user", "z"), turn("assistant", "c")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := lineage.LogProb{Sum: got[0].Sum + got[1].Sum, Tokens: got[0].Tokens + got[1].Tokens}
	if got[2] != want {
		t.Errorf("a conversation scores %+v, its assistant turns %+v", got[2], want)
	}
}
