package popgen

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

var none = math.NaN()

// The two examples of Krippendorff (2011), sections A and C.
func TestAlphaIsThatOfItsPaper(t *testing.T) {
	four := [][]float64{
		{1, 2, 3, 3, 2, 1, 4, 1, 2, none, none, none},
		{1, 2, 3, 3, 2, 2, 4, 1, 2, 5, none, 3},
		{none, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, none},
		{1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, none},
	}
	for name, c := range map[string]struct {
		ratings [][]float64
		metric  Metric
		want    float64
		within  float64
	}{
		"two observers, two values": {[][]float64{
			{0, 1, 0, 0, 0, 0, 0, 0, 1, 0},
			{1, 1, 1, 0, 0, 1, 0, 0, 0, 0}}, Nominal, .095, 5e-4},
		"four observers, five values, some missing": {four, Nominal, .743, 5e-4},
		"the same on an interval scale":             {four, Squared, .849, 5e-4},
		"by hand, D = 2/8 and E = 2·3·5/(8·7)":      {[][]float64{{0, 0, 1, 0}, {0, 0, 1, 1}}, Nominal, 1 - (2./8)/(30./56), 1e-12},
	} {
		near(t, name, Alpha(c.ratings, c.metric), c.want, c.within)
	}
}

func TestAlphaIsNotToBeHadWithoutVariation(t *testing.T) {
	for name, ratings := range map[string][][]float64{
		"nothing": nil, "one rater": {{0, 1, 1}}, "all the same": {{1, 1}, {1, 1}}, "no item in common": {{1, none}, {none, 0}},
	} {
		if got := Alpha(ratings, Nominal); !math.IsNaN(got) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Raters agree with probability .8 beyond chance on items of twelve clusters, whose
// shares of ones differ. With 1,500 draws a coverage of .95 has a standard error of
// .0056; percentile intervals of twelve clusters are known to be somewhat narrow, and
// .90 to .98 is asked for, which a true coverage of .95 leaves with a chance below 1e-7.
func TestAlphaIntervalCoversTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	world := func(clusters int) (ratings [][]float64, cluster []int) {
		ratings = make([][]float64, 2)
		for c := range clusters {
			share := .2 + .6*r.Float64()
			for range 15 {
				bit := func() float64 {
					if r.Float64() < share {
						return 1
					}
					return 0
				}
				a := bit()
				b := a
				if r.Float64() > .8 {
					b = bit()
				}
				ratings[0], ratings[1], cluster = append(ratings[0], a), append(ratings[1], b), append(cluster, c)
			}
		}
		return ratings, cluster
	}
	many, _ := world(200_000)
	truth := Alpha(many, Nominal)
	covered := 0
	const worlds = 1500
	for range worlds {
		ratings, cluster := world(12)
		if in := AlphaInterval(ratings, Nominal, cluster, 400, r); in.Lo <= truth && truth <= in.Hi {
			covered++
		}
	}
	if share := float64(covered) / worlds; share < .90 || share > .98 {
		t.Errorf("alpha %.3f is covered in %.3f of the worlds", truth, share)
	}
}

func TestAlphaHasNoIntervalFromFewClusters(t *testing.T) {
	ratings := [][]float64{{0, 1, 0, 1, 0, 1}, {0, 1, 1, 1, 0, 0}}
	in := AlphaInterval(ratings, Nominal, []int{0, 0, 1, 1, 2, 2}, 100, rand.New(rand.NewPCG(1, 1)))
	if in.N != 3 || !math.IsNaN(in.Lo) || !strings.Contains(in.Warn, "too few") || in.Mean != Alpha(ratings, Nominal) {
		t.Errorf("%+v", in)
	}
}
