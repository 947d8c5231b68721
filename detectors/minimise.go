package detectors

import "math"

const (
	history  = 8    // pairs that approximate the curvature
	maxSteps = 300  // of the minimiser
	flat     = 1e-5 // largest component of the gradient at which it stops
)

// minimise finds the minimum of a smooth convex function from w on, by
// limited-memory BFGS with a backtracking line search (Nocedal & Wright 2006,
// algorithms 7.4 and 7.5). value returns the function at w and fills the
// gradient. The order of every sum is fixed, so equal inputs give equal bits.
func minimise(w []float64, value func(w, gradient []float64) float64) []float64 {
	g, next, gNext := make([]float64, len(w)), make([]float64, len(w)), make([]float64, len(w))
	var moves, turns [][]float64 // steps taken, and changes of the gradient
	loss := value(w, g)
	for range maxSteps {
		if largest(g) < flat {
			break
		}
		d := direction(g, moves, turns)
		slope, step := dot(d, g), 1.0
		if len(moves) == 0 {
			step = 1 / math.Sqrt(dot(g, g))
		}
		var lossNext float64
		for {
			for i := range w {
				next[i] = w[i] + step*d[i]
			}
			lossNext = value(next, gNext)
			if lossNext <= loss+1e-4*step*slope {
				break
			}
			if step /= 2; step < 1e-12 {
				return w // as low as rounding lets it see
			}
		}
		move, turn := make([]float64, len(w)), make([]float64, len(w))
		for i := range w {
			move[i], turn[i] = next[i]-w[i], gNext[i]-g[i]
		}
		if dot(move, turn) > 0 {
			moves, turns = append(moves, move), append(turns, turn)
			if len(moves) > history {
				moves, turns = moves[1:], turns[1:]
			}
		}
		w, next, g, gNext, loss = next, w, gNext, g, lossNext
	}
	return w
}

// direction is −H·g for the inverse curvature H that the pairs tell of.
func direction(g []float64, moves, turns [][]float64) []float64 {
	d := make([]float64, len(g))
	for i, v := range g {
		d[i] = -v
	}
	share := make([]float64, len(moves))
	for k := len(moves) - 1; k >= 0; k-- {
		share[k] = dot(moves[k], d) / dot(moves[k], turns[k])
		add(d, -share[k], turns[k])
	}
	if k := len(moves) - 1; k >= 0 {
		scale := dot(moves[k], turns[k]) / dot(turns[k], turns[k])
		for i := range d {
			d[i] *= scale
		}
	}
	for k := range moves {
		back := dot(turns[k], d) / dot(moves[k], turns[k])
		add(d, share[k]-back, moves[k])
	}
	return d
}

func dot(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func add(to []float64, factor float64, from []float64) {
	for i, v := range from {
		to[i] += factor * v
	}
}

func largest(v []float64) (most float64) {
	for _, x := range v {
		most = max(most, math.Abs(x))
	}
	return most
}
