package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa is a set of instructions to generate for.
type isa struct {
	name    string
	lanes   int // elements of a register
	columns int // registers of a tile's row
}

// sums is the number of partial sums of a sum over a row, the same for every isa.
const sums = 16

// text begins a function; what its pointers point to may stay on the stack.
func text(name, signature string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
}

func (i isa) wide() bool { return i.lanes == 16 }

// parts is how many registers hold the sums.
func (i isa) parts() int { return sums / i.lanes }

func (i isa) reg() VecVirtual {
	if i.wide() {
		return ZMM()
	}
	return YMM()
}

func (i isa) zero() VecVirtual {
	r := i.reg()
	if i.wide() {
		VPXORD(r, r, r)
	} else {
		VXORPS(r, r, r)
	}
	return r
}

// broadcast fills a register with an element of memory.
func (i isa) broadcast(m Op) VecVirtual {
	r := i.reg()
	VBROADCASTSS(m, r)
	return r
}

// spread fills a register with the element that a parameter is.
func (i isa) spread(name string) VecVirtual {
	x := Load(Param(name), XMM()).(VecVirtual)
	r := i.reg()
	VBROADCASTSS(x, r)
	return r
}

var constants = map[uint32]Mem{}

// memory is 32 bytes full of a number.
func (i isa) memory(x float32) Mem {
	bits := math.Float32bits(x)
	m, ok := constants[bits]
	if !ok {
		m = GLOBL(fmt.Sprintf("constant_%08x", bits), RODATA|NOPTR)
		for k := range 8 {
			DATA(4*k, U32(bits))
		}
		constants[bits] = m
	}
	return m
}

// constant is a register full of a number, or memory where registers are few.
func (i isa) constant(x float32) Op {
	if i.wide() {
		return i.broadcast(i.memory(x))
	}
	return i.memory(x)
}

// register is a constant in a register.
func (i isa) register(x float32) VecVirtual {
	c := i.constant(x)
	if r, ok := c.(VecVirtual); ok {
		return r
	}
	return i.copy(c)
}

func (i isa) copy(from Op) VecVirtual {
	r := i.reg()
	VMOVUPS(from, r)
	return r
}

// row is a walk along slices of the same length, sums elements at a time and the
// rest behind a mask.
type row struct {
	isa
	at     Register // bytes from the start
	part   int      // of the elements at hand
	masked bool
	masks  []Register // one a part
}

func (r *row) mem(base Register) Mem {
	return Mem{Base: base, Index: r.at, Scale: 1, Disp: 4 * r.lanes * r.part}
}

// load reads elements; those after the end are 0.
func (r *row) load(base Register) VecVirtual {
	x := r.reg()
	switch {
	case !r.masked:
		VMOVUPS(r.mem(base), x)
	case r.wide():
		VMOVUPS_Z(r.mem(base), r.masks[0], x)
	default:
		VMASKMOVPS(r.mem(base), r.masks[r.part], x)
	}
	return x
}

func (r *row) store(x VecVirtual, base Register) {
	switch {
	case !r.masked:
		VMOVUPS(x, r.mem(base))
	case r.wide():
		VMOVUPS(x, r.masks[0], r.mem(base))
	default:
		VMASKMOVPS(x, r.masks[r.part], r.mem(base))
	}
}

// only puts 0 where there is no element.
func (r *row) only(x VecVirtual) {
	switch {
	case !r.masked:
	case r.wide():
		VMOVAPS_Z(x, r.masks[0], x)
	default:
		VANDPS(x, r.masks[r.part], x)
	}
}

var (
	maskTable Mem
	labels    int
)

func label(what string) string {
	labels++
	return fmt.Sprintf("%s%d", what, labels)
}

// walk calls body for every part of n elements.
func (i isa) walk(n Register, body func(r *row)) {
	loop, tail, done := label("loop"), label("tail"), label("done")
	at, left := GP64(), GP64()
	XORQ(at, at)
	MOVQ(n, left)
	r := &row{isa: i, at: at}
	Label(loop)
	CMPQ(left, Imm(sums))
	JLT(LabelRef(tail))
	for r.part = range i.parts() {
		body(r)
	}
	ADDQ(Imm(4*sums), at)
	SUBQ(Imm(sums), left)
	JMP(LabelRef(loop))
	Label(tail)
	TESTQ(left, left)
	JEQ(LabelRef(done))
	r.masked = true
	r.masks = i.masks(left)
	for r.part = range i.parts() {
		body(r)
	}
	Label(done)
}

// masks are those of the first elements, fewer than sums.
func (i isa) masks(n Register) []Register {
	if i.wide() {
		bits, k := GP64(), K()
		MOVQ(I64(-1), bits)
		BZHIQ(n, bits, bits)
		KMOVW(bits.As32(), k)
		return []Register{k}
	}
	if maskTable.Base == nil {
		maskTable = GLOBL("masks", RODATA|NOPTR)
		for k := range 2 * sums {
			bits := uint32(0)
			if k < sums {
				bits = math.MaxUint32
			}
			DATA(4*k, U32(bits))
		}
	}
	at := GP64()
	LEAQ(maskTable.Offset(4*sums), at)
	back := GP64()
	MOVQ(n, back)
	SHLQ(Imm(2), back)
	SUBQ(back, at)
	low, high := YMM(), YMM()
	VMOVUPS(Mem{Base: at}, low)
	VMOVUPS(Mem{Base: at, Disp: 4 * i.lanes}, high)
	return []Register{low, high}
}

// fold adds up, or whatever op does, the sums in one order into every lane of an
// XMM.
func (i isa) fold(s []VecVirtual, op func(...Op)) VecVirtual {
	if i.wide() {
		low, high := YMM(), YMM()
		VEXTRACTF64X4(Imm(0), s[0], low)
		VEXTRACTF64X4(Imm(1), s[0], high)
		op(high, low, low)
		return i.foldHalf(low, op)
	}
	low := YMM()
	op(s[1], s[0], low)
	return i.foldHalf(low, op)
}

func (i isa) foldHalf(y VecVirtual, op func(...Op)) VecVirtual {
	x, high := XMM(), XMM()
	VEXTRACTF128(Imm(0), y, x)
	VEXTRACTF128(Imm(1), y, high)
	op(high, x, x)
	VSHUFPS(Imm(0b01001110), x, x, high)
	op(high, x, x)
	VSHUFPS(Imm(0b10110001), x, x, high)
	op(high, x, x)
	return x
}

// fill copies the lowest element of x to all of a register.
func (i isa) fill(x VecVirtual) VecVirtual {
	r := i.reg()
	VBROADCASTSS(x, r)
	return r
}

func (i isa) each(f func() VecVirtual) []VecVirtual {
	var all []VecVirtual
	for range i.parts() {
		all = append(all, f())
	}
	return all
}
