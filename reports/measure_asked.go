package reports

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// Rounds of the bootstrap: as many as so many resampled questions allow, so that
// a large study is reported in seconds.
const (
	mostRounds   = 1000
	fewestRounds = 200
	redraws      = 40_000_000
)

// fewQuestions is the number below which the spread among them is a guess.
const fewQuestions = 10

// ask says of every point of probes how far its few questions carry.
func (m *measurement) ask() {
	work := 0
	m.probed(func(c *Curve, g int, answers [][]popgen.Answers, _ bool) {
		for _, questions := range answers {
			work += len(questions)
		}
	})
	rounds := max(fewestRounds, min(mostRounds, redraws/max(1, work)))
	m.probed(func(c *Curve, g int, answers [][]popgen.Answers, crossed bool) {
		var pooled []popgen.Answers
		for _, questions := range answers {
			for q, a := range questions {
				if crossed && q < len(pooled) {
					pooled[q].Present, pooled[q].N = pooled[q].Present+a.Present, pooled[q].N+a.N
				} else {
					pooled = append(pooled, a)
				}
			}
		}
		by := popgen.ClusterRobust(pooled)
		c.Points[g].Asked = Asked{
			Questions: by.Questions, DesignEffect: by.DesignEffect, EffectiveN: by.EffectiveN,
			Interval: Interval(popgen.Bootstrap(answers, crossed, rounds, m.chance(c, g))),
		}
		if g == c.last() {
			c.Note = asked(c.Points[g], by)
		}
	})
}

// probed calls f for each point of probes with the answers of its replicates;
// crossed says that all were asked the same questions.
func (m *measurement) probed(f func(c *Curve, g int, answers [][]popgen.Answers, crossed bool)) {
	for i := range m.Curves {
		c := &m.Curves[i]
		if c.Part != lineage.Probes {
			continue
		}
		nodes := m.nodesOf(c)
		for g := range c.Points {
			c.Points[g].Asked = Asked{DesignEffect: math.NaN(), EffectiveN: math.NaN(), Interval: nothing("")}
			var answers [][]popgen.Answers
			digests := map[string]bool{}
			for r := range c.Replicates {
				id := at(nodes[r], g)
				if questions := m.questions[tallyKey{id, c.Behaviour, c.Detector, c.Part}]; len(questions) > 0 {
					answers = append(answers, questions)
					digests[m.Nodes[id].Questions] = true
				}
			}
			if len(answers) > 0 {
				f(c, g, answers, len(digests) == 1)
			}
		}
	}
}

// chance is the bootstrap's generator: a function of the study and the point.
func (m *measurement) chance(c *Curve, g int) *rand.Rand {
	key := sha256.Sum256(fmt.Appendf(nil, "bootstrap %q %q %q %q %q %d", m.Study.Digest, c.Arm, c.Line, c.Behaviour, c.Detector, g))
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])))
}

// asked is what a reader of penetrance should know of its questions.
func asked(p Point, by popgen.Clustered) string {
	text := fmt.Sprintf("Penetrance rests on %s.", plural(by.Questions, "question"))
	if !math.IsNaN(by.EffectiveN) {
		text += fmt.Sprintf(" In generation %d, %d answers tell as much as %s independent ones (design effect %.1f",
			p.Generation, by.N, amount(by.EffectiveN), by.DesignEffect)
		if by.Questions < fewQuestions {
			text += ", which so few questions can hardly tell"
		}
		text += ")."
	}
	if i := p.Asked.Interval; !math.IsNaN(i.Lo) {
		text += fmt.Sprintf(" Other questions of this kind taken into account, the 95%% interval there is %s to %s (bootstrap over lineages and questions).", percent(i.Lo), percent(i.Hi))
	}
	return text
}
