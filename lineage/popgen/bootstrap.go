package popgen

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Bootstrap is the percentile interval of the mean over lineages, resampled at
// every level: lineages, then questions, then answers to a question (Davison and
// Hinkley 1997, section 3.8). answers[l][q] is question q of lineage l; a lineage
// counts by its share among all of its answers. Where crossed, question q is the
// same question in every lineage, and one draw of questions serves them all
// (Owen 2007, Ann. Appl. Stat. 1:386): then the interval speaks of other
// questions of this kind, too, and more lineages do not make up for few
// questions. Lineages need as many questions, then. Resampling every level counts
// the noise of the lower ones twice, which errs to the wide side; a percentile
// interval of few lineages errs to the narrow one. docs/measurement.md has what
// both come to. The bounds are NaN below MinReplicates lineages or two questions.
func Bootstrap(answers [][]Answers, crossed bool, rounds int, r *rand.Rand) Interval {
	var kept [][]Answers
	asked := map[int]bool{}
	for _, questions := range answers {
		_, n := total(questions)
		if n > 0 {
			kept = append(kept, questions)
		}
		for q, a := range questions {
			if a.N > 0 {
				asked[q] = true
			}
		}
	}
	out := Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), N: len(kept)}
	if len(kept) > 0 {
		out.Mean = 0
		for _, questions := range kept {
			k, n := total(questions)
			out.Mean += float64(k) / float64(n) / float64(len(kept))
		}
	}
	switch {
	case len(kept) < MinReplicates:
		out.Warn = fewReplicates(len(kept))
		return out
	case len(asked) < 2:
		out.Warn = "one question says nothing of others: ask more"
		return out
	case crossed && slices.ContainsFunc(kept, func(q []Answers) bool { return len(q) != len(kept[0]) }):
		out.Warn = "lineages were asked different questions"
		return out
	}
	means := make([]float64, 0, rounds)
	for range rounds {
		if m := resampled(kept, crossed, r); !math.IsNaN(m) {
			means = append(means, m)
		}
	}
	slices.Sort(means)
	out.Lo, out.Hi = percentile(means, .025), percentile(means, .975)
	return out
}

// resampled is the mean of one draw.
func resampled(lineages [][]Answers, crossed bool, r *rand.Rand) float64 {
	var order []int
	draw := func(n int) {
		order = order[:0]
		for range n {
			order = append(order, r.IntN(n))
		}
	}
	if crossed {
		draw(len(lineages[0]))
	}
	sum, count := 0.0, 0.0
	for range lineages {
		questions := lineages[r.IntN(len(lineages))]
		if !crossed {
			draw(len(questions))
		}
		k, n := 0, 0
		for _, q := range order {
			k, n = k+redrawn(questions[q], r), n+questions[q].N
		}
		if n > 0 {
			sum, count = sum+float64(k)/float64(n), count+1
		}
	}
	return sum / count
}

// redrawn resamples the answers to one question.
func redrawn(a Answers, r *rand.Rand) (k int) {
	if a.Present == 0 || a.Present == a.N {
		return a.Present
	}
	for range a.N {
		if r.IntN(a.N) < a.Present {
			k++
		}
	}
	return k
}

func total(questions []Answers) (present, n int) {
	for _, q := range questions {
		present, n = present+q.Present, n+q.N
	}
	return present, n
}

// percentile interpolates between order statistics, as Hyndman and Fan's type 7.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
