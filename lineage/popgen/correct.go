package popgen

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// RoganGladen is the prevalence behind k detections among n texts (Rogan and
// Gladen 1978, Am. J. Epidemiol. 107:71):
//
//	theta = (p + sp - 1) / J,  J = se + sp - 1
//
// with the interval of the delta method, theta ± z sqrt(V)/J,
//
//	V = p(1-p)/n + (1-theta)² sp(1-sp)/m0 + theta² se(1-se)/m1
//
// where m1 and m0 count the texts that se and sp were estimated from. It assumes
// that the detector errs on these texts as often as on those, whatever the
// prevalence. Estimate and bounds are cut to [0,1]; all are NaN where
// d.Refusal has a reason, which is Warn. Prefer AdjustedRoganGladen.
func RoganGladen(k, n int, d Detection) Interval {
	out, ok := d.corrected(k, n)
	if !ok {
		return out
	}
	se, sp := d.Sensitivity().Mean, d.Specificity().Mean
	j, p := se+sp-1, float64(k)/float64(n)
	theta := (p + sp - 1) / j
	v := p*(1-p)/float64(n) + (1-theta)*(1-theta)*sp*(1-sp)/float64(d.negatives()) + theta*theta*se*(1-se)/float64(d.positives())
	half := z975 * math.Sqrt(v) / j
	out.Lo, out.Hi = cut(theta-half, 0), cut(theta+half, 0)
	return out
}

// AdjustedRoganGladen is RoganGladen with the interval of Lee et al. 2025 (arXiv
// 2511.21140), which is that of Lang and Reiczigel 2014 (Prev. Vet. Med.
// 113:13): pseudo-counts, z² texts to the sample, half of them detected, and
// one text of either outcome to each side of the calibration,
//
//	p~ = (k + z²/2)/(n + z²),  se~ = (TP + 1)/(m1 + 2),  sp~ = (TN + 1)/(m0 + 2)
//
// give theta~ and V~ as above with n + z², m1 + 2 and m0 + 2, and the interval
// is theta~ + shift ± z sqrt(V~)/J~ with
//
//	shift = 2 z² (theta~ se~(1-se~)/(m1+2) - (1-theta~) sp~(1-sp~)/(m0+2))
//
// The estimate stays the unadjusted one, and the interval holds it.
func AdjustedRoganGladen(k, n int, d Detection) Interval {
	out, ok := d.corrected(k, n)
	if !ok {
		return out
	}
	z2 := z975 * z975
	size := float64(n) + z2
	p := (float64(k) + z2/2) / size
	a := d.adjusted()
	theta := (p + a.sp - 1) / a.j
	v := p*(1-p)/size + (1-theta)*(1-theta)*a.vsp + theta*theta*a.vse
	centre, half := theta+2*z2*(theta*a.vse-(1-theta)*a.vsp), z975*math.Sqrt(v)/a.j
	out.Lo, out.Hi = min(out.Mean, cut(centre-half, 0)), max(out.Mean, cut(centre+half, 0))
	return out
}

// corrected is the estimate without bounds; ok where bounds are due.
func (d Detection) corrected(k, n int) (out Interval, ok bool) {
	out = Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), N: n, Warn: d.Refusal()}
	if out.Warn != "" || n < 1 || k < 0 || k > n {
		return out, false
	}
	out.Mean, out.Warn = d.level(float64(k) / float64(n))
	return out, true
}

// level corrects a share, and says where that leaves [0,1].
func (d Detection) level(p float64) (theta float64, warn string) {
	sp := d.Specificity().Mean
	theta = (p + sp - 1) / d.Youden().Mean
	switch {
	case theta < 0:
		warn = "fewer were detected than false alarms alone would give: cut to 0"
	case theta > 1:
		warn = "more were detected than there would be if all showed it: cut to 1"
	}
	return cut(theta, 0), warn
}

// adjusted are sensitivity, specificity and their variances with one text more
// of either outcome on each side.
type adjusted struct{ se, sp, vse, vsp, j float64 }

func (d Detection) adjusted() adjusted {
	m1, m0 := float64(d.positives())+2, float64(d.negatives())+2
	a := adjusted{se: (float64(d.TruePositives) + 1) / m1, sp: (float64(d.TrueNegatives) + 1) / m0}
	a.vse, a.vsp, a.j = a.se*(1-a.se)/m1, a.sp*(1-a.sp)/m0, a.se+a.sp-1
	return a
}

// CorrectedMean is the mean prevalence over replicates, corrected for the
// detector's errors: present[r] of n[r] texts of replicate r were detected. All
// replicates share one calibration, so its error does not shrink with their
// number. The bounds are the theta at which
//
//	|p + sp~ - 1 - theta J~| = t(v) sqrt(A + (1-theta)² Vsp + theta² Vse)
//
// (Fieller 1954, J. R. Stat. Soc. B 16:175), with p the mean over the R
// replicates, A the variance of that mean, and the pseudo-counts of
// AdjustedRoganGladen in sp~, J~, Vsp and Vse. A is s²/R, which holds drift as
// well as sampling, and never less than sampling alone would give. The degrees
// of freedom v are Satterthwaite's (1946, Biometrics Bull. 2:110) over the
// components, R-1, m0-1 and m1-1, at each theta. The estimate is (p + sp - 1)/J
// cut to [0,1]. Replicates with n = 0 are left out. There are no bounds below
// MinReplicates, nor where no theta in [0,1] fits both the texts and the
// calibration; where d.Refusal has a reason there is nothing. Warn says why.
func CorrectedMean(present, n []int, d Detection) Interval {
	var ps []float64
	texts, found := 0, 0
	for r := range min(len(present), len(n)) {
		if n[r] > 0 {
			ps = append(ps, float64(present[r])/float64(n[r]))
			texts, found = texts+n[r], found+present[r]
		}
	}
	out := Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), N: len(ps), Warn: d.Refusal()}
	if out.Warn != "" {
		return out
	}
	if len(ps) == 0 {
		out.Warn = fewReplicates(0)
		return out
	}
	p := stat.Mean(ps, nil)
	out.Mean, out.Warn = d.level(p)
	if len(ps) < MinReplicates {
		out.Warn = fewReplicates(len(ps))
		return out
	}
	z2 := z975 * z975
	size := float64(texts) + z2
	sampled := (float64(found) + z2/2) / size
	of := stat.Variance(ps, nil) / float64(len(ps))
	a := d.adjusted()
	f := fieller{numerator: p + a.sp - 1, denominator: a.j, parts: []component{
		{variance: max(of, sampled*(1-sampled)/size), degrees: float64(len(ps) - 1), constant: 1},
		{variance: a.vsp, degrees: float64(d.negatives() - 1), constant: 1, slope: -1},
		{variance: a.vse, degrees: float64(d.positives() - 1), slope: 1},
	}}
	switch lo, hi := f.bound(-1), f.bound(1); {
	case math.IsInf(hi-lo, 0):
		out.Warn = smallCalibration
	case hi < 0:
		out.Warn = "fewer were detected than the calibration's false alarms allow: it does not fit these texts"
	case lo > 1:
		out.Warn = "more were detected than the calibration's misses allow: it does not fit these texts"
	default:
		out.Lo, out.Hi = min(out.Mean, cut(lo, 0)), max(out.Mean, cut(hi, 0))
	}
	return out
}

const smallCalibration = "the calibration is too small for an interval: label more texts"

// CorrectedDifference is a mean difference between two arms, a value a
// replicate, corrected for the detector's errors: both arms share them, so
// specificity cancels and the difference is d/J. The bounds are the delta at
// which |d - delta J~| = t(v) sqrt(s²/R + delta² (Vse + Vsp)), with v as in
// CorrectedMean. At delta = 0 this is the t-test of the raw differences:
// correction changes how large a difference is and never whether there is one.
// NaN values are left out.
func CorrectedDifference(differences []float64, d Detection) Interval {
	raw := TInterval(differences)
	out := Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), N: raw.N, Warn: d.Refusal()}
	if out.Warn != "" {
		return out
	}
	out.Mean, out.Warn = cut(raw.Mean/d.Youden().Mean, -1), raw.Warn
	if raw.N < MinReplicates {
		return out
	}
	half := (raw.Hi - raw.Lo) / 2 / tQuantile(float64(raw.N-1))
	a := d.adjusted()
	f := fieller{numerator: raw.Mean, denominator: a.j, parts: []component{
		{variance: half * half, degrees: float64(raw.N - 1), constant: 1},
		{variance: a.vsp, degrees: float64(d.negatives() - 1), slope: 1},
		{variance: a.vse, degrees: float64(d.positives() - 1), slope: 1},
	}}
	lo, hi := f.bound(-1), f.bound(1)
	if math.IsInf(hi-lo, 0) {
		out.Warn = smallCalibration
		return out
	}
	out.Lo, out.Hi = min(out.Mean, cut(lo, -1)), max(out.Mean, cut(hi, -1))
	return out
}

// cut keeps x at or above lo and at or below 1; NaN stays.
func cut(x, lo float64) float64 { return math.Max(lo, math.Min(1, x)) }

// fieller inverts the t-test of numerator = x denominator, the variance of
// numerator - x denominator being the sum of the parts' at x.
type fieller struct {
	numerator, denominator float64
	parts                  []component
}

// component is variance (constant + slope x)², estimated with so many degrees
// of freedom.
type component struct{ variance, degrees, constant, slope float64 }

// bound is the lower (side -1) or upper (side 1) end. For a given t it is a root
// of a quadratic; t follows from the degrees of freedom there, which vary
// slowly, so a few rounds find both. An end that does not exist is infinite.
func (f fieller) bound(side float64) float64 {
	x := f.numerator / f.denominator
	for range 60 {
		t := tQuantile(f.degrees(x))
		a, b, c := f.denominator*f.denominator, f.numerator*f.denominator, f.numerator*f.numerator
		for _, p := range f.parts {
			v := t * t * p.variance
			a, b, c = a-v*p.slope*p.slope, b+v*p.constant*p.slope, c-v*p.constant*p.constant
		}
		if a <= 0 {
			return math.Inf(int(side)) // the denominator may be 0
		}
		next := (b + side*math.Sqrt(max(0, b*b-a*c))) / a
		if math.Abs(next-x) < 1e-12 {
			return next
		}
		x = next
	}
	return x
}

// degrees are Satterthwaite's at x.
func (f fieller) degrees(x float64) float64 {
	sum, squares := 0.0, 0.0
	for _, p := range f.parts {
		v := p.variance * (p.constant + p.slope*x) * (p.constant + p.slope*x)
		sum, squares = sum+v, squares+v*v/p.degrees
	}
	if squares == 0 {
		return f.parts[0].degrees
	}
	return sum * sum / squares
}
