package detectors

import "math"

// A learner fits weights for features 0 … dims−1, and a bias after them, to
// rows of present features; the two labels weigh the same whatever their
// numbers. margin reads them.
type learner struct {
	fit    func(rows [][]int32, labels []bool, dims int) []float64
	method string
	// unit scales every row to length 1, so that long texts do not shout.
	unit bool
}

var learnerOf = map[string]learner{
	"naive-bayes": {fit: naiveBayes, method: "naive Bayes on present words and word pairs"},
	"logistic":    {fit: logistic, method: "L2-regularised logistic regression on present words and word pairs", unit: true},
}

// margin is positive where the row looks like the positives.
func (l learner) margin(weights []float64, row []int32) float64 {
	sum := 0.0
	for _, f := range row {
		sum += weights[f]
	}
	if l.unit && len(row) > 0 {
		sum /= math.Sqrt(float64(len(row)))
	}
	return sum + weights[len(weights)-1]
}

// naiveBayes weighs a feature by the logarithm of its share among the feature
// occurrences of the positives over that among the negatives, each count raised
// by one. Features that no row has weigh nothing.
func naiveBayes(rows [][]int32, labels []bool, dims int) []float64 {
	counts := [2][]float64{make([]float64, dims), make([]float64, dims)}
	var total [2]float64
	for i, row := range rows {
		k := index(labels[i])
		for _, f := range row {
			counts[k][f]++
		}
		total[k] += float64(len(row))
	}
	seen := 0.0
	for f := range dims {
		if counts[0][f]+counts[1][f] > 0 {
			seen++
		}
	}
	weights := make([]float64, dims+1)
	for f := range dims {
		if a, b := counts[1][f], counts[0][f]; a+b > 0 {
			weights[f] = math.Log((a+1)/(total[1]+seen)) - math.Log((b+1)/(total[0]+seen))
		}
	}
	return weights
}

// ridge is λ of (λ/2)|w|² beside the mean loss; rows have length 1.
const ridge = 1e-4

// logistic minimises the mean log-loss, weighted so that both labels count
// alike, plus (ridge/2)|w|², the bias included.
func logistic(rows [][]int32, labels []bool, dims int) []float64 {
	var of [2]float64
	for _, l := range labels {
		of[index(l)]++
	}
	l := learner{unit: true}
	return minimise(make([]float64, dims+1), func(w, gradient []float64) float64 {
		loss := 0.0
		for f, v := range w {
			loss += ridge / 2 * v * v
			gradient[f] = ridge * v
		}
		for i, row := range rows {
			y, weight := -1.0, 1/(2*of[index(labels[i])])
			if labels[i] {
				y = 1
			}
			z := y * l.margin(w, row)
			loss += weight * (max(-z, 0) + math.Log1p(math.Exp(-math.Abs(z))))
			g := -y * weight * sigmoid(-z)
			gradient[dims] += g
			g /= math.Sqrt(max(1, float64(len(row))))
			for _, f := range row {
				gradient[f] += g
			}
		}
		return loss
	})
}

// platt fits p = 1/(1+e^−(a·margin+b)) to margins by Newton's method, with
// equal weight for the two labels and Platt's targets (n+1)/(n+2) and 1/(n+2),
// which keep a finite where the margins separate the labels. a is at least
// a hair above 0: a score never falls as the margin grows.
func platt(margins []float64, labels []bool) (a, b float64) {
	var of [2]float64
	for _, l := range labels {
		of[index(l)]++
	}
	spread := 0.0
	for _, m := range margins {
		spread = max(spread, math.Abs(m))
	}
	spread = max(spread, 1e-9)
	target := [2]float64{1 / (of[0] + 2), (of[1] + 1) / (of[1] + 2)}
	for range 100 {
		var ga, gb, haa, hab, hbb float64
		for i, m := range margins {
			k := index(labels[i])
			x, weight := m/spread, 1/of[k]
			p := sigmoid(a*x + b)
			g, h := weight*(p-target[k]), weight*p*(1-p)
			ga, gb = ga+g*x, gb+g
			haa, hab, hbb = haa+h*x*x, hab+h*x, hbb+h
		}
		haa, hbb = haa+1e-9, hbb+1e-9
		det := haa*hbb - hab*hab
		da, db := (hbb*ga-hab*gb)/det, (haa*gb-hab*ga)/det
		if size := math.Hypot(da, db); size > 5 {
			da, db = da*5/size, db*5/size // far from the optimum Newton overshoots
		}
		a, b = a-da, b-db
		if math.Abs(da)+math.Abs(db) < 1e-10 {
			break
		}
	}
	return max(a, 1e-6) / spread, b
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
