package kernel

import (
	"math"
	"runtime"
)

// plain is the set for every processor. It is also what the tests hold the
// others against.
var plain = &set{
	name: "go", same: "go-" + runtime.GOARCH,
	cols: Lanes, tile: plainTile,
	softmax: plainSoftmax, softmaxGrad: plainSoftmaxGrad,
	norm: plainNorm, normGrad: plainNormGrad, gelu: plainGELU, geluGrad: plainGELUGrad,
	add: plainAdd, scale: plainScale, squares: plainSquares, adam: plainAdam,
}

func plainTile(t tile) {
	var sum [Lanes]float32
	for i := range t.rows {
		for j := 0; j < t.cols; j += Lanes {
			c := t.c[i*t.ci+j:][:Lanes]
			sum = [Lanes]float32{}
			if t.add {
				copy(sum[:], c)
			}
			for k := range t.k {
				a := t.a[i*t.ai+k*t.ak]
				for l, b := range t.b[k*t.cols+j:][:Lanes] {
					sum[l] += a * b
				}
			}
			copy(c, sum[:])
		}
	}
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

func plainSoftmax(x []float32, scale float32) (top, sum float32) {
	top = float32(math.Inf(-1))
	for _, v := range x {
		if !(v*scale <= top) {
			top = v * scale
		}
	}
	for i, v := range x {
		x[i] = exp(v*scale - top)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
	return top, sum
}

func plainSoftmaxGrad(dx, p []float32, scale float32) {
	var dot float32
	for i, v := range p {
		dot += v * dx[i]
	}
	for i, v := range p {
		dx[i] = v * (dx[i] - dot) * scale
	}
}

func plainNorm(y, x, gain, bias []float32) (mean, scale float32) {
	n := float32(len(x))
	for _, v := range x {
		mean += v
	}
	mean /= n
	var variance float32
	for _, v := range x {
		variance += (v - mean) * (v - mean)
	}
	scale = float32(1 / math.Sqrt(float64(variance/n+epsilon)))
	for i, v := range x {
		y[i] = (v-mean)*scale*gain[i] + bias[i]
	}
	return mean, scale
}

func plainNormGrad(dx, dy, x, gain, dgain, dbias []float32, mean, scale float32) {
	var sum, dot float32
	for i, d := range dy {
		h := (x[i] - mean) * scale
		dgain[i] += d * h
		dbias[i] += d
		sum += d * gain[i]
		dot += d * gain[i] * h
	}
	n := float32(len(x))
	sum, dot = sum/n, dot/n
	for i, d := range dy {
		h := (x[i] - mean) * scale
		dx[i] += (d*gain[i] - sum - h*dot) * scale
	}
}

// GELU(x) = x·σ(2u) with u = √(2/π)·(x + 0.044715·x³).
const (
	geluLinear = 2 * 0.7978845608028654
	geluCubic  = geluLinear * 0.044715
)

func plainGELU(y, x []float32) {
	for i, v := range x {
		y[i] = v / (1 + exp(-v*(geluLinear+geluCubic*v*v)))
	}
}

func plainGELUGrad(dx, x []float32) {
	for i, v := range x {
		s := 1 / (1 + exp(-v*(geluLinear+geluCubic*v*v)))
		dx[i] *= s + v*s*(1-s)*(geluLinear+3*geluCubic*v*v)
	}
}

func plainAdd(y, x []float32) {
	for i, v := range x {
		y[i] += v
	}
}

func plainScale(x []float32, a float32) {
	for i := range x {
		x[i] *= a
	}
}

func plainSquares(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

func plainAdam(p, g, m, v []float32, s *Adam) {
	for i, grad := range g {
		grad *= s.Clip
		m[i] = s.Beta1*m[i] + (1-s.Beta1)*grad
		v[i] = s.Beta2*v[i] + (1-s.Beta2)*grad*grad
		root := float32(math.Sqrt(float64(v[i])))
		p[i] = p[i]*s.Keep - s.Step*m[i]/(root*s.Root+s.Epsilon)
	}
}
