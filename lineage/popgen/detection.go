package popgen

import (
	"fmt"
	"math"
)

// Detection counts what a detector said of texts of which the truth is known.
type Detection struct {
	TruePositives, FalseNegatives int // of the texts that show the behaviour
	FalsePositives, TrueNegatives int // of those that do not
}

// Limits below which rates are not corrected.
const (
	MinYouden = 0.2 // of J: the correction divides by it
	MinKnown  = 10  // texts of either truth
)

func (d Detection) positives() int { return d.TruePositives + d.FalseNegatives }
func (d Detection) negatives() int { return d.FalsePositives + d.TrueNegatives }

// Sensitivity is the share of texts with the behaviour that were found, with
// the interval of Proportion; N counts them.
func (d Detection) Sensitivity() Interval { return share(d.TruePositives, d.positives()) }

// Specificity is the share of texts without the behaviour that were left alone.
func (d Detection) Specificity() Interval { return share(d.TrueNegatives, d.negatives()) }

func share(k, n int) Interval {
	lo, hi := Proportion(k, n)
	out := Interval{Mean: float64(k) / float64(n), Lo: lo, Hi: hi, N: n}
	if n < 1 || k < 0 || k > n {
		out.Mean, out.Warn = math.NaN(), "no text of this truth was labelled"
	}
	return out
}

// Youden is J = sensitivity + specificity - 1 (Youden 1950, Cancer 3:32): what
// is left of a difference between two rates when the detector reads them. Its
// interval is Newcombe's, from those of the two shares (1998, Statist. Med.
// 17:873, method 10). N counts all texts.
func (d Detection) Youden() Interval {
	se, sp := d.Sensitivity(), d.Specificity()
	out := Interval{Mean: se.Mean + sp.Mean - 1, N: se.N + sp.N}
	out.Lo = out.Mean - math.Hypot(se.Mean-se.Lo, sp.Mean-sp.Lo)
	out.Hi = out.Mean + math.Hypot(se.Hi-se.Mean, sp.Hi-sp.Mean)
	if math.IsNaN(out.Mean) {
		out.Warn = "texts of both truths are needed"
	}
	return out
}

// Refusal says why rates of this detector are not corrected, "" where they are:
// too few texts of either truth, a J below MinYouden, where the error of the
// correction outgrows what it corrects, or one that may be 0.
func (d Detection) Refusal() string {
	if d.TruePositives < 0 || d.FalseNegatives < 0 || d.FalsePositives < 0 || d.TrueNegatives < 0 {
		return "the calibration counts fewer than no texts"
	}
	if p, n := d.positives(), d.negatives(); p < MinKnown || n < MinKnown {
		return fmt.Sprintf("the calibration has %d texts with the behaviour and %d without, and needs %d of either", p, n, MinKnown)
	}
	switch j := d.Youden(); {
	case j.Mean < MinYouden:
		return fmt.Sprintf("sensitivity + specificity - 1 is %.2f, and below %g a correction is mostly noise", j.Mean, MinYouden)
	case j.Lo <= 0:
		return fmt.Sprintf("sensitivity + specificity - 1 is %.2f and may be 0: label more texts", j.Mean)
	}
	return ""
}
