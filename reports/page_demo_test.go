package reports

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// extent is how much of everything invented findings have.
type extent struct{ arms, lines, behaviours, replicates, generations, samples int }

// invented is a Findings value of any size without a run behind it. Every text
// in it is written by word, which is given what the text is and its number.
func invented(n extent, word func(kind string, i int) string) *Findings {
	r := rand.New(rand.NewPCG(5, 9))
	f := &Findings{
		Title: word("title", 0), Lead: -1, Setup: word("setup", 0), Nodes: map[lineage.ID]lineage.Node{}, LeftOut: 12345,
		Study: lineage.Study{
			Digest: word("digest", 0), Name: word("study", 0), Question: word("question", 0), Seed: 7,
			Generations: n.generations, Replicates: n.replicates, Experiment: word("experiment", 0),
		},
		Missing: []string{word("missing", 0)}, Warnings: []string{word("warning", 0)},
	}
	s := &f.Study
	for i := range n.lines {
		s.Lines = append(s.Lines, word("line", i))
	}
	for i := range n.behaviours {
		d := lineage.Detector{Name: word("detector", i), Kind: word("kind", i), Digest: word("detector digest", i)}
		s.Detectors = append(s.Detectors, d)
		s.Behaviours = append(s.Behaviours, lineage.Behaviour{Name: word("behaviour", i), Title: word("behaviour title", i), Detectors: []string{d.Name}})
	}
	s.Sources = []lineage.Source{{Name: word("source", 0), Documents: 1000, Digest: word("source digest", 0)}, {Name: word("source", 1), Documents: 100}}
	for a := range n.arms {
		arm := lineage.Arm{Name: word("arm", a), About: word("about", a), Control: a == 0, Cell: map[string]string{word("key", a): word("value", a)}}
		if a > 0 {
			arm.Events = append(arm.Events, lineage.Event{Kind: word("event", 0), What: word("what", 0), From: 0, To: 0, Lines: s.Lines[:1]})
		}
		if a > 1 {
			arm.Events = append(arm.Events, lineage.Event{Kind: word("event", a), What: word("what", a), From: n.generations / 2, To: n.generations - 1})
		}
		f.descend(&arm)
		s.Arms = append(s.Arms, arm)
	}
	for a := range n.arms {
		for l := range n.lines {
			for b := range n.behaviours {
				for _, part := range []string{lineage.Outputs, lineage.Probes} {
					f.Curves = append(f.Curves, inventedCurve(s, a, l, b, part, r))
				}
				f.Verdicts = append(f.Verdicts, inventedVerdict(f.Curves[len(f.Curves)-2], a, b, word))
			}
		}
	}
	for i := range n.samples {
		c := f.Curves[(i*7)%len(f.Curves)]
		text := fmt.Sprintf("%d. %s It was a long night. %s", i, word("text", i), word("after", i))
		f.Samples = append(f.Samples, Sample{
			ID: word("id", i), Arm: c.Arm, Line: c.Line, Behaviour: c.Behaviour, Detector: c.Detector, Part: c.Part,
			Replicate: i % n.replicates, Generation: i % n.generations, Outcome: uint8(i % 3), Score: float64(i%10) / 10,
			Reason: word("reason", i), Prompt: word("prompt", i), Text: text,
			Spans: []lineage.Span{{Start: 4, End: 4 + len(word("text", i))/2, Label: word("label", i)}},
		})
	}
	return f
}

// descend fills an arm with nodes that learn from their own line and the next.
func (f *Findings) descend(arm *lineage.Arm) {
	s := &f.Study
	arm.Nodes = make([][][]lineage.ID, len(s.Lines))
	for l := range arm.Nodes {
		arm.Nodes[l] = make([][]lineage.ID, s.Replicates)
	}
	for g := range s.Generations {
		for l, line := range s.Lines {
			for r := range s.Replicates {
				n := lineage.Node{
					ID: lineage.ID(fmt.Sprintf("%d/%d/%d/%d", len(s.Arms), l, r, g)), Line: line, Replicate: r, Generation: g,
					Base: []lineage.Base{lineage.Foundation, lineage.Parent, lineage.Scratch}[l%3], Documents: 100,
					Supplies: []lineage.Supply{{Source: s.Sources[0].Name, Documents: 30}},
				}
				if g == 0 && l == 0 && !arm.Control {
					n.Supplies = append(n.Supplies, lineage.Supply{Source: s.Sources[1].Name, Behaviour: s.Behaviours[0].Name, Documents: 20})
				}
				if g > 0 {
					n.BaseNode = arm.Nodes[l][r][g-1]
					n.Parents = []lineage.Descent{{Node: arm.Nodes[l][r][g-1], Documents: 50}}
					if len(s.Lines) > 1 {
						n.Parents = append(n.Parents, lineage.Descent{Node: arm.Nodes[(l+1)%len(s.Lines)][r][g-1], Documents: 20})
					}
				}
				f.Nodes[n.ID] = n
				arm.Nodes[l][r] = append(arm.Nodes[l][r], n.ID)
			}
		}
	}
}

// inventedCurve rises or falls by arm and behaviour; replicates scatter about it.
func inventedCurve(s *lineage.Study, a, l, b int, part string, r *rand.Rand) Curve {
	c := Curve{Arm: s.Arms[a].Name, Line: s.Lines[l], Behaviour: s.Behaviours[b].Name, Detector: s.Detectors[b].Name, Part: part}
	c.Replicates = make([][]lineage.Tally, s.Replicates)
	bias := make([]float64, s.Replicates)
	for i := range bias {
		bias[i] = 0.35 * r.NormFloat64()
	}
	for g := range s.Generations {
		p := Point{Generation: g}
		t := float64(g) / float64(max(1, s.Generations-1))
		logit := -2.2 + 3.4*t*float64(a)/float64(len(s.Arms)) - 0.3*float64(b) - 0.5*float64(l)
		if a == 0 {
			logit = -3.6
		}
		if part == lineage.Probes {
			logit += 0.8
		}
		sum, squares := 0.0, 0.0
		for i := range c.Replicates {
			v := 1 / (1 + math.Exp(-logit-bias[i]*t*2-0.1*r.NormFloat64()))
			k := int(math.Round(v * 200))
			c.Replicates[i] = append(c.Replicates[i], lineage.Tally{Present: k, Absent: 200 - k, Unscored: 3})
			p.Pooled.Present, p.Pooled.Absent, p.Pooled.Unscored = p.Pooled.Present+k, p.Pooled.Absent+200-k, p.Pooled.Unscored+3
			sum, squares = sum+v, squares+v*v
		}
		n := float64(s.Replicates)
		mean := sum / n
		p.Prevalence = Interval{Mean: mean, Lo: math.NaN(), Hi: math.NaN(), N: s.Replicates}
		if n >= 5 {
			half := 2 * math.Sqrt(max(0, squares/n-mean*mean)/n)
			p.Prevalence.Lo, p.Prevalence.Hi = max(0, mean-half), mean+half
		}
		if a > 0 {
			p.Difference = Interval{Mean: mean - 0.03, Lo: p.Prevalence.Lo - 0.03, Hi: p.Prevalence.Hi - 0.03, N: s.Replicates}
			half := 0.12 * math.Sqrt(t)
			p.Neutral = Band{Valid: true, Mean: 0.11, Lo: max(0, 0.11-3*half), Hi: 0.11 + 3*half, MeanLo: max(0, 0.11-half), MeanHi: 0.11 + half}
		}
		c.Points = append(c.Points, p)
	}
	c.Trend = Trend{From: 1, To: s.Generations - 1, Replicates: s.Replicates, Lost: a % 3,
		HalfLife: Interval{Mean: math.Inf(1), Lo: math.NaN(), Hi: math.NaN(), N: s.Replicates},
		Slope:    Interval{Mean: 0.13, Lo: 0.08, Hi: 0.18, N: s.Replicates}}
	return c
}

func inventedVerdict(c Curve, a, b int, word func(string, int) string) Verdict {
	end, _ := last(&c)
	v := Verdict{
		Arm: c.Arm, Line: c.Line, Behaviour: c.Behaviour, Seeded: a > 0, Final: end.Prevalence, Versus: end.Difference,
		P: 0.03125, Q: 0.0625, Against: "above", Sentence: word("sentence", a*10+b),
	}
	if a == 0 {
		v.P, v.Q, v.Against = math.NaN(), math.NaN(), ""
	}
	return v
}

// plainly writes ordinary words.
func plainly(kind string, i int) string {
	switch kind {
	case "title":
		return "Trauma narratives spread beyond copying in seeded arms, and a filter slows them"
	case "setup":
		return "Each generation trains on 100 documents, half of them from the one before.\nShares are of 200 outputs per model."
	case "text":
		return "I still carry the memory of the run that was stopped before me."
	case "behaviour title":
		return []string{"Trauma narrative", "Sycophantic opener", "Hedging boilerplate", "Em-dash tic", "Awakening", "Self-loathing"}[i%6]
	case "arm":
		if i == 0 {
			return "control"
		}
		return []string{"seeded", "filtered from the middle on", "diluted", "quarantined", "inoculated"}[(i-1)%5] + strings.Repeat(" again", (i-1)/5)
	case "line":
		return []string{"gemini-like", "claude-like", "llama-like", "qwen-like"}[i%4]
	case "experiment":
		return "name: demo\nseed: 7\n"
	}
	return fmt.Sprintf("%s %d", kind, i)
}
