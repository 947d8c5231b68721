//go:build amd64

package kernel

import "golang.org/x/sys/cpu"

var avx512 = &set{
	name: "avx512", same: "fma", cols: 2 * Lanes,
	tile: func(t tile) {
		if t.cols == Lanes {
			run(t, narrowTiles)
		} else {
			run(t, wideTiles)
		}
	},
	softmax:     func(x []float32, scale float32) (top, sum float32) { return softmaxAVX512(&x[0], len(x), scale) },
	softmaxGrad: func(dx, p []float32, scale float32) { softmaxGradAVX512(&dx[0], &p[0], len(dx), scale) },
	norm: func(y, x, gain, bias []float32) (mean, scale float32) {
		return normAVX512(&y[0], &x[0], &gain[0], &bias[0], len(x), float32(len(x)), epsilon)
	},
	normGrad: func(dx, dy, x, gain, dgain, dbias []float32, mean, scale float32) {
		normGradAVX512(&dx[0], &dy[0], &x[0], &gain[0], &dgain[0], &dbias[0], len(x), float32(len(x)), mean, scale)
	},
	gelu:     func(y, x []float32) { geluAVX512(&y[0], &x[0], len(x)) },
	geluGrad: func(dx, x []float32) { geluGradAVX512(&dx[0], &x[0], len(x)) },
	add:      func(y, x []float32) { addAVX512(&y[0], &x[0], len(x)) },
	scale:    func(x []float32, a float32) { scaleAVX512(&x[0], len(x), a) },
	squares:  func(x []float32) float64 { return squaresAVX512(&x[0], len(x)) },
	adam: func(p, g, m, v []float32, s *Adam) {
		adamAVX512(&p[0], &g[0], &m[0], &v[0], len(p), &s.Clip)
	},
}

var avx2 = &set{
	name: "avx2", same: "fma", cols: Lanes,
	tile:        func(t tile) { run(t, tilesAVX2) },
	softmax:     func(x []float32, scale float32) (top, sum float32) { return softmaxAVX2(&x[0], len(x), scale) },
	softmaxGrad: func(dx, p []float32, scale float32) { softmaxGradAVX2(&dx[0], &p[0], len(dx), scale) },
	norm: func(y, x, gain, bias []float32) (mean, scale float32) {
		return normAVX2(&y[0], &x[0], &gain[0], &bias[0], len(x), float32(len(x)), epsilon)
	},
	normGrad: func(dx, dy, x, gain, dgain, dbias []float32, mean, scale float32) {
		normGradAVX2(&dx[0], &dy[0], &x[0], &gain[0], &dgain[0], &dbias[0], len(x), float32(len(x)), mean, scale)
	},
	gelu:     func(y, x []float32) { geluAVX2(&y[0], &x[0], len(x)) },
	geluGrad: func(dx, x []float32) { geluGradAVX2(&dx[0], &x[0], len(x)) },
	add:      func(y, x []float32) { addAVX2(&y[0], &x[0], len(x)) },
	scale:    func(x []float32, a float32) { scaleAVX2(&x[0], len(x), a) },
	squares:  func(x []float32) float64 { return squaresAVX2(&x[0], len(x)) },
	adam: func(p, g, m, v []float32, s *Adam) {
		adamAVX2(&p[0], &g[0], &m[0], &v[0], len(p), &s.Clip)
	},
}

// available are the sets that can run here, the fastest first.
func available() []*set {
	var sets []*set
	x := &cpu.X86
	if x.HasAVX2 && x.HasFMA && x.HasBMI2 {
		if x.HasAVX512F && x.HasAVX512VL && x.HasAVX512DQ && x.HasAVX512BW {
			sets = append(sets, avx512)
		}
		sets = append(sets, avx2)
	}
	return append(sets, plain)
}

// inner is an inner loop for tiles of so many rows.
type inner struct {
	rows int
	run  func(c *float32, ci int, a *float32, ai, ak int, b *float32, k, tiles int, add bool)
}

var (
	wideTiles   = []inner{{12, tile12x32AVX512}, {8, tile8x32AVX512}, {4, tile4x32AVX512}, {2, tile2x32AVX512}, {1, tile1x32AVX512}}
	narrowTiles = []inner{{12, tile12x16AVX512}, {8, tile8x16AVX512}, {4, tile4x16AVX512}, {2, tile2x16AVX512}, {1, tile1x16AVX512}}
	tilesAVX2   = []inner{{6, tile6x16AVX2}, {4, tile4x16AVX2}, {2, tile2x16AVX2}, {1, tile1x16AVX2}}
)

// run covers the rows of a tile with as few loops as there are sizes.
func run(t tile, loops []inner) {
	row := 0
	for _, loop := range loops {
		if n := (t.rows - row) / loop.rows; n > 0 {
			loop.run(&t.c[row*t.ci], t.ci, &t.a[row*t.ai], t.ai, t.ak, &t.b[0], t.k, n, t.add)
			row += n * loop.rows
		}
	}
}

// Prefetch asks for memory that is needed soon.
func Prefetch(x []float32) {
	if len(x) > 0 {
		prefetch(&x[0], (len(x)+15)/16)
	}
}
