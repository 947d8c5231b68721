package popgen

import (
	"fmt"
	"math"
)

// Answers counts those to one question of one model that show the behaviour.
type Answers struct{ Present, N int }

// Clustered is a proportion over answers that come in clusters, one a question.
type Clustered struct {
	Mean, SE     float64 // the cluster-robust standard error
	Naive        float64 // that of independent answers, sqrt(p(1-p)/n)
	DesignEffect float64 // (SE/Naive)²
	EffectiveN   float64 // n/DesignEffect, at most n: independent answers that would tell as much
	Present, N   int     // answers
	Questions    int
	Values       []float64 // of each question, linearised: Mean + G/n·(k(g) - Mean·n(g)), whose mean is Mean and whose standard error is SE
	Warn         string
}

// ClusterRobust takes the question for the unit: answers to one question resemble
// each other. With G questions of n(g) answers, n in all, k(g) of which show it,
//
//	SE² = G/(G-1) · sum (k(g) - p n(g))² / n²
//
// which is the sandwich estimator of a mean with its small-sample factor (Liang
// and Zeger 1986, Biometrika 73:13; CR1 of Cameron and Miller 2015, J. Human
// Resources 50:317), that of a ratio (Cochran 1977, Sampling Techniques, section
// 6.4). Kish's design effect (1965) and the effective n follow from
// it. Questions with n = 0 are left out. SE is NaN for fewer than two questions;
// design effect and effective n are NaN where p is 0 or 1, since answers that
// all agree show no clustering. Warn says where answers to one question never
// vary: then the questions are all that was sampled.
func ClusterRobust(questions []Answers) Clustered {
	c := Clustered{Mean: math.NaN(), SE: math.NaN(), Naive: math.NaN(), DesignEffect: math.NaN(), EffectiveN: math.NaN()}
	for _, q := range questions {
		if q.N > 0 {
			c.Questions, c.N, c.Present = c.Questions+1, c.N+q.N, c.Present+q.Present
		}
	}
	if c.N == 0 {
		c.Warn = "nothing was measured"
		return c
	}
	g, n := float64(c.Questions), float64(c.N)
	c.Mean = float64(c.Present) / n
	c.Naive = math.Sqrt(c.Mean * (1 - c.Mean) / n)
	squares := 0.0
	for _, q := range questions {
		if q.N > 0 {
			d := float64(q.Present) - c.Mean*float64(q.N)
			squares += d * d
			c.Values = append(c.Values, c.Mean+g/n*d)
		}
	}
	if c.Questions < 2 {
		c.Warn = "one question gives no standard error: ask more"
		return c
	}
	c.SE = math.Sqrt(squares*g/(g-1)) / n
	if c.Naive > 0 {
		c.DesignEffect = c.SE * c.SE / (c.Naive * c.Naive)
		c.EffectiveN = n / max(1, c.DesignEffect)
	}
	if unvaried(questions, c.Mean) {
		c.Warn = fmt.Sprintf("answers to one question never differ: %d questions were sampled, and not %d answers", c.Questions, c.N)
	}
	return c
}

// unvaried says that no question has both outcomes where ten ought to, if
// answers were independent: chance is e^-10 at most.
func unvaried(questions []Answers, p float64) bool {
	expected := 0.0
	for _, q := range questions {
		if q.Present > 0 && q.Present < q.N {
			return false
		}
		if n := float64(q.N); q.N > 1 {
			expected += 1 - math.Pow(p, n) - math.Pow(1-p, n)
		}
	}
	return expected >= 10
}

// Interval is the 95 % interval of Mean; its N counts questions. It is Wilson's with
// SE² in the place of p(1-p)/n and Student's t in that of z, so it stays within
// [0,1] (Korn and Graubard 1998, Surv. Methodol. 24:193, for effective sizes with
// degrees of freedom), and is never narrower than that of as many independent
// answers.
//
// Where the spread between questions cannot be told, all answers to a question
// count as one: below MinReplicates questions, and where all answers agree. With
// one question the interval is of that question alone. Warn says so.
func (c Clustered) Interval() Interval {
	out := Interval{Mean: c.Mean, Lo: math.NaN(), Hi: math.NaN(), N: c.Questions}
	p, g := c.Mean, float64(c.Questions)
	switch {
	case c.N == 0:
		out.Warn = "nothing could be scored"
	case c.N == c.Questions:
		out.Lo, out.Hi = Proportion(c.Present, c.N)
	case c.Questions == 1:
		out.Lo, out.Hi = Proportion(c.Present, c.N)
		out.Warn = "one question was asked: the interval is of its answers and says nothing of other questions"
	case p == 0:
		out.Lo, out.Hi = Proportion(0, c.Questions)
		out.Warn = "no answer shows it: for the interval all answers to a question count as one"
	case p == 1:
		out.Lo, out.Hi = Proportion(c.Questions, c.Questions)
		out.Warn = "every answer shows it: for the interval all answers to a question count as one"
	case c.Questions < MinReplicates:
		out.Lo, out.Hi = score(p, z975*z975/g)
		out.Warn = fmt.Sprintf("%d questions are too few to tell how much questions differ: for the interval all answers to a question count as one", c.Questions)
	default:
		half := tQuantile(g-1) * c.SE
		lo, hi := score(p, half*half/(p*(1-p)))
		flatLo, flatHi := Proportion(c.Present, c.N)
		out.Lo, out.Hi = math.Min(lo, flatLo), math.Max(hi, flatHi)
	}
	return out
}
