package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// exponential has what e^x is computed with: 2^n·e^r for x = n·log 2 + r, and a
// polynomial of degree 7 for e^r (coefficients of Cephes' expf).
type exponential struct {
	isa
	least, log2e, high, low Op
	c                       []Op
}

const leastExponent = -87

func (i isa) exponential() *exponential {
	e := &exponential{
		isa: i, least: i.constant(leastExponent), log2e: i.constant(1.44269504088896341),
		high: i.constant(0.693359375), low: i.constant(-2.12194440e-4),
	}
	for _, c := range []float32{
		1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 1,
	} {
		e.c = append(e.c, i.constant(c))
	}
	return e
}

// of replaces x by e^x; x is at most 88. Where it is less than -87 the result is 0
// if flush, and e^-87 otherwise. The order of operands lets a NaN through.
func (e *exponential) of(x VecVirtual, flush bool) {
	t := e.copy(e.least)
	VMAXPS(x, t, t)
	z, n := e.reg(), e.reg()
	VMULPS(e.log2e, t, z)
	VCVTPS2DQ(z, n)
	VCVTDQ2PS(n, z)
	VFNMADD231PS(e.high, z, t)
	VFNMADD231PS(e.low, z, t)
	p := e.copy(e.c[0])
	for _, c := range e.c[1:] {
		VFMADD213PS(c, t, p)
	}
	VPSLLD(Imm(23), n, n)
	VPADDD(n, p, p)
	switch {
	case !flush:
		VMOVAPS(p, x)
	case e.wide():
		k := K()
		VCMPPS(Imm(notLess), e.least, x, k)
		VMOVAPS_Z(p, k, x)
	default:
		VCMPPS(Imm(notLess), e.least, x, x)
		VANDPS(p, x, x)
	}
}

// notLess is the predicate of comparison that also holds for a NaN.
const notLess = 0x15

func (i isa) pointers(names ...string) []Register {
	var all []Register
	for _, name := range names {
		all = append(all, Load(Param(name), GP64()))
	}
	return all
}

func end() {
	VZEROUPPER()
	RET()
}

func (i isa) softmax() {
	text("softmax"+i.name, "func(x *float32, n int, scale float32) (top, sum float32)")
	p := i.pointers("x", "n")
	x, n := p[0], p[1]
	least := i.register(-3.4028234663852886e38)
	most := i.each(func() VecVirtual { return i.copy(least) })
	i.walk(n, func(r *row) {
		v := r.load(x)
		if r.masked { // what is not there must not be the largest
			if r.wide() {
				filled := i.copy(least)
				VMOVAPS(v, r.masks[0], filled)
				v = filled
			} else {
				VBLENDVPS(r.masks[r.part], v, least, v)
			}
		}
		VMAXPS(v, most[r.part], most[r.part])
	})
	top := i.fold(most, VMAXPS)
	scale := i.spread("scale")
	shift := i.fill(top)
	VMULPS(scale, shift, shift)
	Store(shift.AsX(), Return("top"))
	e := i.exponential()
	sum := i.each(i.zero)
	i.walk(n, func(r *row) {
		v := r.load(x)
		VFMSUB213PS(shift, scale, v)
		e.of(v, true)
		r.only(v)
		r.store(v, x)
		VADDPS(v, sum[r.part], sum[r.part])
	})
	total := i.fold(sum, VADDPS)
	Store(total, Return("sum"))
	one := i.register(1)
	inverse := i.fill(total)
	VDIVPS(inverse, one, inverse)
	i.walk(n, func(r *row) {
		v := r.load(x)
		VMULPS(inverse, v, v)
		r.store(v, x)
	})
	end()
}

func (i isa) softmaxGrad() {
	text("softmaxGrad"+i.name, "func(dx, p *float32, n int, scale float32)")
	args := i.pointers("dx", "p", "n")
	dx, p, n := args[0], args[1], args[2]
	sum := i.each(i.zero)
	i.walk(n, func(r *row) {
		VFMADD231PS(r.load(dx), r.load(p), sum[r.part])
	})
	dot := i.fill(i.fold(sum, VADDPS))
	scale := i.spread("scale")
	i.walk(n, func(r *row) {
		d, q := r.load(dx), r.load(p)
		VSUBPS(dot, d, d)
		VMULPS(scale, q, q)
		VMULPS(q, d, d)
		r.store(d, dx)
	})
	end()
}

// norm is layer norm with a first walk for the mean and a second for the variance.
func (i isa) norm() {
	text("norm"+i.name, "func(y, x, gain, bias *float32, n int, size, epsilon float32) (mean, scale float32)")
	args := i.pointers("y", "x", "gain", "bias", "n")
	y, x, gain, bias, n := args[0], args[1], args[2], args[3], args[4]
	size, epsilon := Load(Param("size"), XMM()), Load(Param("epsilon"), XMM())
	sum := i.each(i.zero)
	i.walk(n, func(r *row) {
		VADDPS(r.load(x), sum[r.part], sum[r.part])
	})
	average := i.fold(sum, VADDPS)
	VDIVSS(size, average, average)
	Store(average, Return("mean"))
	mean := i.fill(average)
	square := i.each(i.zero)
	i.walk(n, func(r *row) {
		v := r.load(x)
		VSUBPS(mean, v, v)
		r.only(v)
		VFMADD231PS(v, v, square[r.part])
	})
	variance := i.fold(square, VADDPS)
	VDIVSS(size, variance, variance)
	VADDSS(epsilon, variance, variance)
	VSQRTSS(variance, variance, variance)
	one := XMM()
	VBROADCASTSS(i.memory(1), one)
	VDIVSS(variance, one, one)
	Store(one, Return("scale"))
	scale := i.fill(one)
	i.walk(n, func(r *row) {
		v := r.load(x)
		VSUBPS(mean, v, v)
		VMULPS(scale, v, v)
		VFMADD213PS(r.load(bias), r.load(gain), v)
		r.store(v, y)
	})
	end()
}

func (i isa) normGrad() {
	text("normGrad"+i.name, "func(dx, dy, x, gain, dgain, dbias *float32, n int, size, mean, scale float32)")
	args := i.pointers("dx", "dy", "x", "gain", "dgain", "dbias", "n")
	dx, dy, x, gain, dgain, dbias, n := args[0], args[1], args[2], args[3], args[4], args[5], args[6]
	size := Load(Param("size"), XMM())
	mean, scale := i.spread("mean"), i.spread("scale")
	sum, dot := i.each(i.zero), i.each(i.zero)
	// Where there is no element, dy is 0 and so is what is added.
	i.walk(n, func(r *row) {
		h, d := r.load(x), r.load(dy)
		VSUBPS(mean, h, h)
		VMULPS(scale, h, h)
		g := r.load(dgain)
		VFMADD231PS(d, h, g)
		r.store(g, dgain)
		b := r.load(dbias)
		VADDPS(d, b, b)
		r.store(b, dbias)
		VMULPS(r.load(gain), d, d)
		VADDPS(d, sum[r.part], sum[r.part])
		VFMADD231PS(d, h, dot[r.part])
	})
	first, second := i.fold(sum, VADDPS), i.fold(dot, VADDPS)
	VDIVSS(size, first, first)
	VDIVSS(size, second, second)
	average, along := i.fill(first), i.fill(second)
	i.walk(n, func(r *row) {
		h, d := r.load(x), r.load(dy)
		VSUBPS(mean, h, h)
		VMULPS(scale, h, h)
		VFMSUB132PS(r.load(gain), average, d)
		VFNMADD231PS(along, h, d)
		VFMADD213PS(r.load(dx), scale, d)
		r.store(d, dx)
	})
	end()
}

// GELU(x) = x·s with s = 1/(1+e^-u) and u = x·(a + b·x²).
const (
	geluLinear = 2 * 0.7978845608028654
	geluCubic  = geluLinear * 0.044715
)

// sigmoid is s for x, and x² is left in square. u is kept under 80, where s is 1.
func (e *exponential) sigmoid(x VecVirtual, linear, cubic, most, one VecVirtual) (s, square VecVirtual) {
	square, u := e.reg(), e.reg()
	VMULPS(x, x, square)
	VMOVAPS(cubic, u)
	VFMADD213PS(linear, square, u)
	VMULPS(x, u, u)
	VMINPS(u, most, u)
	e.of(u, false)
	VADDPS(one, u, u)
	s = e.reg()
	VDIVPS(u, one, s)
	return s, square
}

func (i isa) gelu() {
	text("gelu"+i.name, "func(y, x *float32, n int)")
	args := i.pointers("y", "x", "n")
	y, x, n := args[0], args[1], args[2]
	e := i.exponential()
	linear, cubic, most, one := i.register(-geluLinear), i.register(-geluCubic), i.register(80), i.register(1)
	i.walk(n, func(r *row) {
		v := r.load(x)
		s, _ := e.sigmoid(v, linear, cubic, most, one)
		VMULPS(v, s, s)
		r.store(s, y)
	})
	end()
}

// geluGrad multiplies dx by s + x·s·(1−s)·(a + 3·b·x²).
func (i isa) geluGrad() {
	text("geluGrad"+i.name, "func(dx, x *float32, n int)")
	args := i.pointers("dx", "x", "n")
	dx, x, n := args[0], args[1], args[2]
	e := i.exponential()
	linear, cubic, most, one := i.register(-geluLinear), i.register(-geluCubic), i.register(80), i.register(1)
	slope, steep := i.constant(geluLinear), i.constant(3*geluCubic)
	i.walk(n, func(r *row) {
		v := r.load(x)
		s, square := e.sigmoid(v, linear, cubic, most, one)
		t := i.copy(steep)
		VFMADD213PS(slope, square, t)
		VMULPS(v, t, t)
		VSUBPS(s, one, v)
		VMULPS(s, t, t)
		VFMADD213PS(s, t, v)
		VMULPS(r.load(dx), v, v)
		r.store(v, dx)
	})
	end()
}

func (i isa) add() {
	text("add"+i.name, "func(y, x *float32, n int)")
	args := i.pointers("y", "x", "n")
	y, x, n := args[0], args[1], args[2]
	i.walk(n, func(r *row) {
		v := r.load(y)
		VADDPS(r.load(x), v, v)
		r.store(v, y)
	})
	end()
}

func (i isa) scale() {
	text("scale"+i.name, "func(x *float32, n int, a float32)")
	args := i.pointers("x", "n")
	a := i.spread("a")
	i.walk(args[1], func(r *row) {
		v := r.load(args[0])
		VMULPS(a, v, v)
		r.store(v, args[0])
	})
	end()
}

// squares sums in sums lanes of float64: two registers for each of float32.
func (i isa) squares() {
	text("squares"+i.name, "func(x *float32, n int) float64")
	args := i.pointers("x", "n")
	sum := i.each(i.zero)
	sum = append(sum, i.each(i.zero)...)
	i.walk(args[1], func(r *row) {
		v := r.load(args[0])
		for half := range 2 {
			var part Register = XMM()
			wide := i.reg()
			if i.wide() {
				part = YMM()
				VEXTRACTF64X4(Imm(uint64(half)), v, part)
			} else {
				VEXTRACTF128(Imm(uint64(half)), v, part)
			}
			VCVTPS2PD(part, wide)
			s := sum[2*r.part+half]
			VFMADD231PD(wide, wide, s)
		}
	})
	low := YMM()
	if i.wide() {
		VADDPD(sum[1], sum[0], sum[0])
		high := YMM()
		VEXTRACTF64X4(Imm(0), sum[0], low)
		VEXTRACTF64X4(Imm(1), sum[0], high)
		VADDPD(high, low, low)
	} else {
		VADDPD(sum[2], sum[0], sum[0])
		VADDPD(sum[3], sum[1], sum[1])
		VADDPD(sum[1], sum[0], low)
	}
	x, high := XMM(), XMM()
	VEXTRACTF128(Imm(0), low, x)
	VEXTRACTF128(Imm(1), low, high)
	VADDPD(high, x, x)
	VSHUFPD(Imm(1), x, x, high)
	VADDSD(high, x, x)
	Store(x, ReturnIndex(0))
	end()
}

// adam is one step; the fields of s are those of the struct Adam, in its order.
func (i isa) adam() {
	text("adam"+i.name, "func(p, grad, m, v *float32, n int, s *float32)")
	args := i.pointers("p", "grad", "m", "v", "n", "s")
	p, g, m, v, n, s := args[0], args[1], args[2], args[3], args[4], args[5]
	var with []VecVirtual
	for f := range 9 {
		with = append(with, i.broadcast(Mem{Base: s, Disp: 4 * f}))
	}
	clip, beta1, beta2, epsilon, keep, step, root, rest1, rest2 := with[0], with[1], with[2], with[3], with[4], with[5], with[6], with[7], with[8]
	i.walk(n, func(r *row) {
		grad := r.load(g)
		VMULPS(clip, grad, grad)
		first := r.load(m)
		VMULPS(beta1, first, first)
		VFMADD231PS(rest1, grad, first)
		r.store(first, m)
		second := r.load(v)
		VMULPS(beta2, second, second)
		VMULPS(grad, grad, grad)
		VFMADD231PS(rest2, grad, second)
		r.store(second, v)
		VSQRTPS(second, second)
		VFMADD213PS(epsilon, root, second)
		VMULPS(step, first, first)
		VDIVPS(second, first, first)
		w := r.load(p)
		VFMSUB132PS(keep, first, w)
		r.store(w, p)
	})
	end()
}

// prefetch asks for memory to be brought near, a cache line at a time.
func prefetch() {
	text("prefetch", "func(x *float32, lines int)")
	x, n := Load(Param("x"), GP64()), Load(Param("lines"), GP64())
	loop := label("loop")
	Label(loop)
	PREFETCHT1(Mem{Base: x})
	ADDQ(Imm(64), x)
	DECQ(n)
	JNE(LabelRef(loop))
	RET()
}
