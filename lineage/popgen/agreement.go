package popgen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Metric is how far apart two values of raters are.
type Metric func(a, b float64) float64

// Nominal knows only the same and not the same.
func Nominal(a, b float64) float64 {
	if a == b {
		return 0
	}
	return 1
}

// Squared is the metric of interval scales.
func Squared(a, b float64) float64 { return (a - b) * (a - b) }

// Alpha is Krippendorff's (2011, Computing Krippendorff's Alpha-Reliability): the
// agreement of raters beyond that of values handed out at random, 1 - D/E, with the
// observed disagreement D of pairs of ratings of one item and the one E of pairs of
// all ratings. Rows are raters, columns are items, NaN is a missing rating; an item
// that fewer than two rated does not count. 1 is perfect, 0 is chance, below 0 is
// systematic disagreement. It is NaN where nothing can be compared, and where all
// ratings are the same: chance would agree as well.
func Alpha(ratings [][]float64, metric Metric) float64 {
	values := distinct(ratings)
	all := newCoincidences(len(values))
	for item := range columns(ratings) {
		all.item(ratings, item, values)
	}
	return all.alpha(values, metric)
}

// AlphaInterval is Alpha with a 95 % percentile interval of the bootstrap
// over clusters of items, cluster[i] being that of item i: items of one lineage, or of
// one transcript, are not independent. Each of the draws takes one cluster less than
// there are, with replacement, which makes the bootstrap variance unbiased (Rao and
// Wu 1988, J. Am. Stat. Assoc. 83:231). N is the number of clusters with a pair of
// ratings; below MinReplicates there is no interval.
func AlphaInterval(ratings [][]float64, metric Metric, cluster []int, draws int, r *rand.Rand) Interval {
	values := distinct(ratings)
	by := map[int]*coincidences{}
	var parts []*coincidences
	for item := range columns(ratings) {
		c := by[cluster[item]]
		if c == nil {
			c = newCoincidences(len(values))
			by[cluster[item]] = c
			parts = append(parts, c)
		}
		c.item(ratings, item, values)
	}
	parts = slices.DeleteFunc(parts, func(c *coincidences) bool { return c.pairable == 0 })
	total := newCoincidences(len(values))
	for _, c := range parts {
		total.add(c)
	}
	out := Interval{Mean: total.alpha(values, metric), Lo: math.NaN(), Hi: math.NaN(), N: len(parts)}
	switch {
	case len(parts) == 0:
		out.Warn = "no item has two ratings"
		return out
	case math.IsNaN(out.Mean):
		out.Warn = "all ratings are the same, so nothing tells agreement from chance"
		return out
	case len(parts) < MinReplicates:
		out.Warn = fmt.Sprintf("%d independent groups of items are too few for an interval; %d are needed", len(parts), MinReplicates)
		return out
	}
	var drawn []float64
	for range draws {
		sum := newCoincidences(len(values))
		for range len(parts) - 1 {
			sum.add(parts[r.IntN(len(parts))])
		}
		if a := sum.alpha(values, metric); !math.IsNaN(a) {
			drawn = append(drawn, a)
		}
	}
	if len(drawn) < draws*9/10 {
		out.Warn = "in a tenth of the bootstrap draws all ratings are the same: one of the values is too rare for an interval"
		return out
	}
	slices.Sort(drawn)
	at := func(share float64) float64 { return drawn[int(math.Round(share*float64(len(drawn)-1)))] }
	out.Lo, out.Hi = at(.025), at(.975)
	if out.Lo == out.Hi {
		out.Warn = "no draw differs, so the interval has no width and says nothing of rarer disagreement"
	}
	return out
}

// coincidences counts pairs of ratings of one item, by their values; those of an item
// with m ratings weigh 1/(m-1).
type coincidences struct {
	count    [][]float64
	pairable int // items with at least two ratings
}

func newCoincidences(values int) *coincidences {
	c := &coincidences{count: make([][]float64, values)}
	for i := range c.count {
		c.count[i] = make([]float64, values)
	}
	return c
}

func (c *coincidences) item(ratings [][]float64, item int, values []float64) {
	of := make([]float64, len(values))
	m := 0.0
	for _, rater := range ratings {
		if v := rater[item]; !math.IsNaN(v) {
			at, _ := slices.BinarySearch(values, v)
			of[at]++
			m++
		}
	}
	if m < 2 {
		return
	}
	c.pairable++
	for i := range of {
		for j := range of {
			pairs := of[i] * of[j]
			if i == j {
				pairs = of[i] * (of[i] - 1)
			}
			c.count[i][j] += pairs / (m - 1)
		}
	}
}

func (c *coincidences) add(o *coincidences) {
	c.pairable += o.pairable
	for i, row := range o.count {
		for j, v := range row {
			c.count[i][j] += v
		}
	}
}

func (c *coincidences) alpha(values []float64, metric Metric) float64 {
	n, observed, expected := 0.0, 0.0, 0.0
	of := make([]float64, len(c.count))
	for i, row := range c.count {
		for j, v := range row {
			of[i] += v
			n += v
			observed += v * metric(values[i], values[j])
		}
	}
	for i := range of {
		for j := range of {
			expected += of[i] * of[j] * metric(values[i], values[j])
		}
	}
	if expected == 0 {
		return math.NaN()
	}
	return 1 - (n-1)*observed/expected
}

func columns(ratings [][]float64) int {
	if len(ratings) == 0 {
		return 0
	}
	return len(ratings[0])
}

// distinct lists the values that occur, ascending.
func distinct(ratings [][]float64) (values []float64) {
	known := map[float64]bool{}
	for _, rater := range ratings {
		for _, v := range rater {
			if !math.IsNaN(v) && !known[v] {
				known[v] = true
				values = append(values, v)
			}
		}
	}
	slices.Sort(values)
	return values
}
