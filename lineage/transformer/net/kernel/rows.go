package kernel

// Softmax replaces x by the softmax of scale·x, and returns the largest scale·x and
// the sum of exp(scale·x − top). The sum is NaN where an element is.
func Softmax(x []float32, scale float32) (top, sum float32) { return active.softmax(x, scale) }

// SoftmaxGrad replaces the gradient dx of probabilities p by the gradient of what
// p is the softmax of: p·(dx − Σ p·dx)·scale.
func SoftmaxGrad(dx, p []float32, scale float32) { active.softmaxGrad(dx, p[:len(dx)], scale) }

// epsilon is added to the variance in layer norm, as in GPT-2.
const epsilon = 1e-5

// Norm is layer norm: y = (x − mean)·scale·gain + bias, with scale one over the
// standard deviation of x (Ba et al. 2016).
func Norm(y, x, gain, bias []float32) (mean, scale float32) {
	n := len(gain)
	return active.norm(y[:n], x[:n], gain[:n], bias[:n])
}

// NormGrad adds to dx, dgain and dbias what the gradient dy of layer norm's
// result comes to.
func NormGrad(dx, dy, x, gain, dgain, dbias []float32, mean, scale float32) {
	n := len(gain)
	active.normGrad(dx[:n], dy[:n], x[:n], gain[:n], dgain[:n], dbias[:n], mean, scale)
}

// GELU is y = x·Φ(x) with the tanh approximation (Hendrycks and Gimpel 2016), as
// in GPT-2.
func GELU(y, x []float32) { active.gelu(y[:len(x)], x) }

// GELUGrad multiplies dx by the derivative of GELU at x.
func GELUGrad(dx, x []float32) { active.geluGrad(dx[:len(x)], x) }

// Add is y += x.
func Add(y, x []float32) { active.add(y[:len(x)], x) }

// Scale is x ← a·x.
func Scale(x []float32, a float32) { active.scale(x, a) }

// Squares is Σ x², in float64.
func Squares(x []float32) float64 { return active.squares(x) }

// Adam is one step of AdamW (Loshchilov and Hutter 2019) with its corrections
// for bias folded in:
//
//	m ← Beta1·m + (1−Beta1)·Clip·g
//	v ← Beta2·v + (1−Beta2)·(Clip·g)²
//	p ← p·Keep − Step·m / (√v·Root + Epsilon)
type Adam struct {
	Clip, Beta1, Beta2, Epsilon float32
	Keep                        float32 // 1 − rate·decay
	Step                        float32 // rate / (1 − Beta1^t)
	Root                        float32 // 1 / √(1 − Beta2^t)
	rest1, rest2                float32 // 1 − Beta1, 1 − Beta2
}

// AdamW takes a step: it changes p, m and v.
func AdamW(p, g, m, v []float32, s Adam) {
	n := len(p)
	s.rest1, s.rest2 = 1-s.Beta1, 1-s.Beta2
	active.adam(p, g[:n], m[:n], v[:n], &s)
}
