package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// tiles are the inner loops of products: C (+)= A·B for rows of C that are kept in
// registers while k goes by.
func (i isa) tiles() {
	sizes := []int{12, 8, 4, 2, 1}
	if !i.wide() {
		sizes = []int{6, 4, 2, 1}
	}
	for _, rows := range sizes {
		i.tile(rows, i.columns)
		if i.wide() {
			i.tile(rows, 1)
		}
	}
}

func (i isa) tile(rows, columns int) {
	text(fmt.Sprintf("tile%dx%d%s", rows, columns*i.lanes, i.name),
		"func(c *float32, ci int, a *float32, ai int, ak int, b *float32, k int, tiles int, add bool)")
	c, ci := Load(Param("c"), GP64()), Load(Param("ci"), GP64())
	a, ai, ak := Load(Param("a"), GP64()), Load(Param("ai"), GP64()), Load(Param("ak"), GP64())
	b, k := Load(Param("b"), GP64()), Load(Param("k"), GP64())
	for _, stride := range []Register{ci, ai, ak} {
		SHLQ(Imm(2), stride)
	}
	ai3 := GP64()
	LEAQ(Mem{Base: ai, Index: ai, Scale: 2}, ai3)

	tile := label("tile")
	Label(tile)
	sum := make([][]VecVirtual, rows)
	for r := range sum {
		for range columns {
			sum[r] = append(sum[r], i.reg())
		}
	}
	i.start(sum, c, ci)

	// Every fourth row has a pointer; those between are ai, 2·ai and 3·ai on.
	var bases []Register
	for r := 0; r < rows; r += 4 {
		p := GP64()
		if r == 0 {
			MOVQ(a, p)
		} else {
			LEAQ(Mem{Base: bases[len(bases)-1], Index: ai, Scale: 4}, p)
		}
		bases = append(bases, p)
	}
	at, left := GP64(), GP64()
	MOVQ(b, at)
	MOVQ(k, left)
	loop := label("k")
	Label(loop)
	var line []VecVirtual
	for j := range columns {
		line = append(line, i.copy(Mem{Base: at, Disp: 4 * i.lanes * j}))
	}
	for r := range rows {
		m := Mem{Base: bases[r/4]}
		switch r % 4 {
		case 1:
			m.Index, m.Scale = ai, 1
		case 2:
			m.Index, m.Scale = ai, 2
		case 3:
			m.Index, m.Scale = ai3, 1
		}
		x := i.broadcast(m)
		for j := range columns {
			VFMADD231PS(x, line[j], sum[r][j])
		}
	}
	for _, p := range bases {
		ADDQ(ak, p)
	}
	ADDQ(Imm(uint64(4*i.lanes*columns)), at)
	DECQ(left)
	JNE(LabelRef(loop))

	for r := range sum {
		for j, s := range sum[r] {
			VMOVUPS(s, Mem{Base: c, Disp: 4 * i.lanes * j})
		}
		ADDQ(ci, c)
	}
	for range rows {
		ADDQ(ai, a)
	}
	tiles := GP64()
	Load(Param("tiles"), tiles)
	DECQ(tiles)
	Store(tiles, Param("tiles"))
	JNE(LabelRef(tile))
	VZEROUPPER()
	RET()
}

// start sets the sums to 0 or to what is in C.
func (i isa) start(sum [][]VecVirtual, c, ci Register) {
	zero, begin := label("zero"), label("begin")
	add := Load(Param("add"), GP8())
	TESTB(add, add)
	JEQ(LabelRef(zero))
	at := GP64()
	MOVQ(c, at)
	for r := range sum {
		for j, s := range sum[r] {
			VMOVUPS(Mem{Base: at, Disp: 4 * i.lanes * j}, s)
		}
		ADDQ(ci, at)
	}
	JMP(LabelRef(begin))
	Label(zero)
	for r := range sum {
		for _, s := range sum[r] {
			if i.wide() {
				VPXORD(s, s, s)
			} else {
				VXORPS(s, s, s)
			}
		}
	}
	Label(begin)
}
