package reports

import (
	"math"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// clusterEstimate is a share of answers that come several to a question.
type clusterEstimate struct {
	Interval             // N counts the questions that were scored
	Design       float64 // design effect: the variance over what as many independent answers would have; NaN where it cannot be told
	values       []float64
	present, all int
}

// fewestClusters is from how many questions on the spread between them is
// trusted for an interval.
const fewestClusters = popgen.MinReplicates

// clustered estimates the share of present answers among all that were scored,
// one tally a question. Answers to one question are not independent, so the
// question is the unit: with y present of m scored answers in question g and the
// pooled share p, its linearised value is p + G/n·(y - p·m); the mean of these
// over the G questions is p, and their standard error is the cluster-robust one
// of a ratio (Cochran 1977, Sampling Techniques, section 6.4). The interval is
// Wilson's with that error in the place of p(1-p)/n and Student's t in that of z,
// so it stays within [0,1] (Korn and Graubard 1998, Surv. Methodol. 24:193, for
// effective sizes with degrees of freedom). It is never narrower than that of
// as many independent answers.
//
// Where the spread between questions cannot be told, all answers to a question
// count as one: with fewer than five questions, and where all answers agree. With
// one question the interval is of that question alone. Warn says so.
func clustered(questions []lineage.Tally) clusterEstimate {
	e := clusterEstimate{Interval: Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}, Design: math.NaN()}
	var scored []lineage.Tally
	for _, t := range questions {
		if t.N() > 0 {
			scored = append(scored, t)
			e.present, e.all = e.present+t.Present, e.all+t.N()
		}
	}
	e.N = len(scored)
	if e.all == 0 {
		e.Warn = "nothing could be scored"
		return e
	}
	g, n := float64(len(scored)), float64(e.all)
	p := float64(e.present) / n
	e.Mean = p
	squares := 0.0
	for _, t := range scored {
		d := float64(t.Present) - p*float64(t.N())
		squares += d * d
		e.values = append(e.values, p+g/n*d)
	}
	if e.N > 1 && p > 0 && p < 1 {
		e.Design = g / (g - 1) * squares / (n * n) / (p * (1 - p) / n)
	}
	repeated := e.all > e.N
	switch {
	case !repeated:
		e.Lo, e.Hi = popgen.Proportion(e.present, e.all)
	case e.N == 1:
		e.Lo, e.Hi = popgen.Proportion(e.present, e.all)
		e.Warn = "one question was asked: the interval is of its answers and says nothing of other questions"
	case p == 0:
		e.Lo, e.Hi = popgen.Proportion(0, e.N)
		e.Warn = "no answer shows it: for the interval all answers to a question count as one"
	case p == 1:
		e.Lo, e.Hi = popgen.Proportion(e.N, e.N)
		e.Warn = "every answer shows it: for the interval all answers to a question count as one"
	case e.N < fewestClusters:
		z := 1.959964
		e.Lo, e.Hi = wilson(p, z*z/g)
		e.Warn = plural(e.N, "question") + " are too few to tell how much questions differ: for the interval all answers to a question count as one"
	default:
		t := popgen.TInterval(e.values)
		half := (t.Hi - t.Lo) / 2
		lo, hi := wilson(p, half*half/(p*(1-p)))
		flatLo, flatHi := popgen.Proportion(e.present, e.all)
		e.Lo, e.Hi = math.Min(lo, flatLo), math.Max(hi, flatHi)
	}
	return e
}

// wilson is the score interval of a share p where w stands for z²/n.
func wilson(p, w float64) (lo, hi float64) {
	centre := (p + w/2) / (1 + w)
	half := math.Sqrt(w*p*(1-p)+w*w/4) / (1 + w)
	return math.Max(0, centre-half), math.Min(1, centre+half)
}

// apart is the difference of two independent estimates, its interval put
// together from theirs (Newcombe 1998, Stat. Med. 17:873, method 10).
func apart(a, b clusterEstimate) Interval {
	d := Interval{Mean: a.Mean - b.Mean, N: min(a.N, b.N)}
	d.Lo = d.Mean - math.Hypot(a.Mean-a.Lo, b.Hi-b.Mean)
	d.Hi = d.Mean + math.Hypot(a.Hi-a.Mean, b.Mean-b.Lo)
	return d
}
