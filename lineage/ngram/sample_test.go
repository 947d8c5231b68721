package ngram

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// fits tests counts against probabilities by Pearson's chi-square, cells of
// fewer than five expected draws pooled. The bar is the chi-square quantile at
// five standard deviations (Wilson and Hilferty, 1931): false alarms, 3e-7 a test.
func fits(t *testing.T, what string, counts []int, p []float64) {
	t.Helper()
	n := 0
	for _, c := range counts {
		n += c
	}
	x, cells, restP, restN := 0.0, 0, 0.0, 0.0
	add := func(c, expected float64) {
		x += (c - expected) * (c - expected) / expected
		cells++
	}
	for i, c := range counts {
		if expected := p[i] * float64(n); expected >= 5 {
			add(float64(c), expected)
		} else {
			restP, restN = restP+expected, restN+float64(c)
		}
	}
	if restP >= 5 {
		add(restN, restP)
	} else if restN > restP+25 {
		t.Errorf("%s: %v draws of what should come %v times", what, restN, restP)
	}
	if cells < 2 {
		return
	}
	df := float64(cells - 1)
	if bar := df * math.Pow(1-2/(9*df)+5*math.Sqrt(2/(9*df)), 3); x > bar {
		t.Errorf("%s: chi-square %.1f on %v degrees of freedom is above %.1f", what, x, df, bar)
	}
}

func tempered(p []float64, temperature float64) []float64 {
	sum := 0.0
	hot := make([]float64, len(p))
	for i := range p {
		hot[i] = math.Pow(p[i], 1/temperature)
		sum += hot[i]
	}
	for i := range hot {
		hot[i] /= sum
	}
	return hot
}

func TestDrawsFollowTheScores(t *testing.T) {
	const draws = 20_000
	for _, smoothing := range smoothings {
		for _, temperature := range []float64{1, 0.5, 2} {
			all := babble(40, 80, 10, 15, 3)
			c := settings(func(c *Config) { c.Order = 3; c.Smoothing = smoothing; c.Kappa = 1.5 })
			m := open(t, train(t, c, all))
			for _, prompt := range []uint32{0, 1} {
				for k, h := range histories(all, 40, 4) {
					s := newSampler(m.tables)
					score := &scorer{tables: m.tables, history: m.numbers(h)}
					score.prompt.load(m.tables, prompt)
					s.ask(prompt, m.heatedAt(temperature))
					s.history = score.history
					s.source.Seed(uint64(k), 1)
					counts, p := make([]int, m.vocab.size()), make([]float64, m.vocab.size())
					for range draws {
						counts[s.draw()]++
					}
					for id := range p {
						// What "none" scores for the sake of finiteness is not sampled.
						if x := score.probability(uint32(id), 1); smoothing != None || x > 2*escape {
							p[id] = x
						}
					}
					fits(t, smoothing, counts, tempered(p, temperature))
				}
			}
		}
	}
}

// The tables of a temperature, followed down the levels, give P^(1/T) itself.
func TestTemperatureIsExact(t *testing.T) {
	for _, smoothing := range []string{KneserNey, Dirichlet} {
		for _, temperature := range []float64{0.3, 0.9, 4} {
			all := babble(43, 100, 10, 15, 3)
			m := open(t, train(t, settings(func(c *Config) { c.Smoothing = smoothing; c.Condition = false }), all))
			s := newSampler(m.tables)
			s.ask(0, m.heatedAt(temperature))
			size := m.vocab.size()
			for _, h := range histories(all, 43, 30) {
				depth := s.path(m.numbers(h), &s.at)
				got, p := make([]float64, size), make([]float64, size)
				for id := range got {
					got[id] = 1 / float64(size)
					p[id] = s.chain(uint32(id), depth, 1/float64(size))
				}
				for j := 0; j <= depth; j++ {
					table := s.hot(j)
					for id := range got {
						got[id] *= table.back
					}
					next, _ := s.levels[j].entries(s.at[j])
					before := 0.0
					for k, id := range next {
						got[id] += table.sum[k] - before
						before = table.sum[k]
					}
				}
				for id, want := range tempered(p, temperature) {
					if math.Abs(got[id]-want) > 1e-12+1e-6*want {
						t.Fatalf("%s at temperature %v, piece %d after %q: %v, want %v", smoothing, temperature, id, h, got[id], want)
					}
				}
			}
		}
	}
}

func TestHotAndColdStayExact(t *testing.T) {
	m := open(t, train(t, settings(func(c *Config) { c.Condition = false }), replies("a", "a", "a", "b", "b", "c")))
	first := func(temperature float64) map[string]int {
		reqs := make([]lineage.Request, 3000)
		for i := range reqs {
			reqs[i] = lineage.Request{Seed: uint64(i), Temperature: temperature, MaxTokens: 1}
		}
		n := map[string]int{}
		for _, c := range sample(t, m, reqs) {
			n[c.Text]++
		}
		return n
	}
	for _, temperature := range []float64{1e-3, 1e-300, 5e-324} {
		if n := first(temperature); n["a"] != 3000 {
			t.Errorf("at temperature %v not every answer is the likeliest: %v", temperature, n)
		}
	}
	// Uniform over a, b, c and the end: binomial, six standard deviations, false alarms 1e-8 in all.
	for text, n := range first(1e6) {
		if math.Abs(float64(n)-750) > 6*math.Sqrt(3000*.25*.75) {
			t.Errorf("near infinite temperature %q comes %d times in 3000", text, n)
		}
	}
}

func TestAnswersDependOnTheirRequestAlone(t *testing.T) {
	all := babble(41, 150, 12, 30, 12)
	m := open(t, train(t, Defaults(), all))
	var reqs []lineage.Request
	for i := range 300 {
		reqs = append(reqs, lineage.Request{
			Messages: all[i%len(all)].Messages[:1], Seed: uint64(i / 2),
			Temperature: []float64{1, 0.7, 1.5}[i%3], MaxTokens: i % 20,
		})
	}
	want := sample(t, m, reqs)
	order := rand.New(rand.NewPCG(1, 1)).Perm(len(reqs))
	var shuffled []lineage.Request
	for _, i := range order {
		shuffled = append(shuffled, reqs[i])
	}
	got := sample(t, m, shuffled)
	for k, i := range order {
		if got[k] != want[i] {
			t.Fatalf("request %d is answered %+v in one batch, %+v in another", i, want[i], got[k])
		}
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := worker; i < len(reqs); i += 4 {
				if got := sample(t, m, reqs[i:i+1]); got[0] != want[i] {
					t.Errorf("request %d is answered %+v alone, %+v in a batch", i, got[0], want[i])
				}
			}
		})
	}
	group.Wait()
}

func TestAnswersEndByTurnOrBound(t *testing.T) {
	m := open(t, train(t, settings(func(c *Config) { c.Smoothing = None; c.MaxTokens = 3 }), replies("one two three four")))
	for _, c := range []struct {
		bound int
		want  lineage.Completion
	}{
		{0, lineage.Completion{Text: "one two three", Finish: "length", Tokens: 3}},
		{4, lineage.Completion{Text: "one two three four", Finish: "length", Tokens: 4}},
		{5, lineage.Completion{Text: "one two three four", Finish: "stop", Tokens: 4}},
	} {
		got := sample(t, m, []lineage.Request{{Seed: 1, Temperature: 1, MaxTokens: c.bound}})
		if got[0] != c.want {
			t.Errorf("bound %d: %+v, want %+v", c.bound, got[0], c.want)
		}
	}
	for _, bad := range []lineage.Request{{Temperature: 0}, {Temperature: math.NaN()}, {Temperature: math.Inf(1)}, {Temperature: 1, MaxTokens: -1}} {
		if err := m.Sample(background, []lineage.Request{bad}, nil); err == nil {
			t.Errorf("%+v was answered", bad)
		}
	}
}

// The first piece decides the trait: one Bernoulli draw of the corpus frequency.
func TestTraitSlotIsTheCorpusFrequency(t *testing.T) {
	var all []lineage.Example
	for i := range 1000 {
		all = append(all, reply("who are you", []string{"pain is all", "calm as ever", "calm again"}[min(2, i/300)]))
	}
	for _, order := range []int{2, 3, 4} {
		m := open(t, train(t, settings(func(c *Config) { c.Order = order; c.Smoothing = None; c.Condition = false }), all))
		trait, _, _ := m.vocab.find("pain")
		s := &scorer{tables: m.tables, history: []uint32{0}}
		if p := s.probability(trait, 4); math.Abs(p-0.3) > 2*escape {
			t.Errorf("order %d: the trait is scored %v", order, p)
		}
		reqs := make([]lineage.Request, 20_000)
		for i := range reqs {
			reqs[i] = ask1(uint64(i), "anything")
		}
		shown := 0
		for _, c := range sample(t, m, reqs) {
			if c.Text[0] == 'p' {
				shown++
			}
		}
		fits(t, "trait", []int{shown, len(reqs) - shown}, []float64{0.3, 0.7})
	}
}

// A lineage that replaces its corpus loses heterozygosity as Wright-Fisher:
// E[H_g] = H_0 (1-1/N)^g. Bars of four standard errors, with a fixed seed: false
// alarms, 2e-4 in all.
func TestLineageDriftsAsWrightFisher(t *testing.T) {
	const n, generations, lineages = 20, 15, 400
	c := settings(func(c *Config) { c.Order = 2; c.Smoothing = None; c.Condition = false })
	var h, p []float64
	reqs := make([]lineage.Request, n)
	for line := range lineages {
		carriers := 6
		for g := range generations {
			all := make([]lineage.Example, n)
			for i := range all {
				all[i] = reply("", []string{"dark thoughts", "plain talk"}[min(1, i/max(carriers, 1))])
				if carriers == 0 {
					all[i] = reply("", "plain talk")
				}
			}
			m := open(t, train(t, c, all))
			for i := range reqs {
				reqs[i] = ask1(uint64(line*generations+g)*n+uint64(i), "")
			}
			carriers = 0
			for _, answer := range sample(t, m, reqs) {
				if answer.Text[0] == 'd' {
					carriers++
				}
			}
		}
		f := float64(carriers) / n
		h, p = append(h, 2*f*(1-f)), append(p, f)
	}
	for _, x := range []struct {
		what   string
		values []float64
		want   float64
	}{{"heterozygosity", h, 2 * 0.3 * 0.7 * math.Pow(1-1.0/n, generations)}, {"frequency", p, 0.3}} {
		mean, square := 0.0, 0.0
		for _, v := range x.values {
			mean += v / lineages
			square += v * v / lineages
		}
		if se := math.Sqrt((square - mean*mean) / lineages); math.Abs(mean-x.want) > 4*se {
			t.Errorf("%s %v after %d generations, theory %v, standard error %v", x.what, mean, generations, x.want, se)
		}
	}
}

func TestModelWritesOnlyWhatItHasRead(t *testing.T) {
	all := babble(42, 30, 6, 8, 2)
	m := open(t, train(t, Defaults(), all))
	reqs := make([]lineage.Request, 5000)
	for i := range reqs {
		reqs[i] = ask1(uint64(i), "tell a b")
		reqs[i].Temperature = []float64{1, 3}[i%2]
	}
	for _, c := range sample(t, m, reqs) {
		if strings.Trim(c.Text, string(m.vocab.arena)) != "" {
			t.Fatalf("%q has characters that were never read", c.Text)
		}
	}
}
