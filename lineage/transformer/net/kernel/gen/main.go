// Command gen writes the kernels in assembly for AVX-512 and for AVX2 with FMA.
// Both are made by the same functions from the same steps, so that they give the
// same bits; run "go generate" in the directory above.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64")
	for _, i := range []isa{{"AVX512", 16, 12, 2}, {"AVX2", 8, 6, 2}} {
		i.tiles()
		i.softmax()
		i.softmaxGrad()
		i.norm()
		i.normGrad()
		i.gelu()
		i.geluGrad()
		i.add()
		i.scale()
		i.squares()
		i.adam()
	}
	prefetch()
	Generate()
}
