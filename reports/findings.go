// Package reports turns a ledger into estimates and the estimates into a page,
// CSV and JSON.
//
//  1. Measure reads the study and its scores and counts: present, absent, not
//     scorable, by arm, line, replicate, generation and behaviour.
//  2. The counts become curves: a mean over replicates with its interval, the
//     paired difference from the control arm, and the band that copying without
//     selection would give; calibrations and labels in the ledger correct them
//     for the detector's errors.
//  3. Findings are drawn as one self-contained HTML file, or written as CSV and
//     JSON: the very numbers that are drawn.
//
// It never imports sim, detectors or a backend: an old ledger can always be
// read again, and reading never runs or pays for anything.
package reports

import "github.com/heirloom-sim/heirloom/lineage"

// Interval is an estimate with its 95 % interval. Lo and Hi are NaN where no
// interval is due (fewer than five replicates), and Warn says why.
type Interval struct {
	Mean, Lo, Hi float64
	N            int    // replicates it rests on
	Warn         string // "" or one sentence
}

// Point is one generation of a curve.
type Point struct {
	Generation int
	Prevalence Interval      // over replicates; Mean is NaN where nothing could be scored
	Difference Interval      // from the control arm, paired by replicate; N is 0 on the control itself
	Pooled     lineage.Tally // all replicates together: measurement, not inference
	Neutral    Band          // what copying alone would give; Valid is false before the last seeding
	Asked      Asked         // of probes

	// Corrected for the detector's errors. Method is "" where that was not
	// possible, and then Corrected.Warn says why.
	Corrected           Interval
	Method              string
	CorrectedDifference Interval // its Method is DifferenceMethod
	DifferenceMethod    string
	CorrectedNeutral    Band // Neutral in the same terms; Valid with a calibration alone
}

// Methods of correction.
const (
	RoganGladen = "rogan-gladen" // by a calibration: popgen.CorrectedMean
	PPI         = "ppi++"        // by labels of texts of this very point: popgen.LabelledMean
)

// Asked says how much the answers to probes can tell: answers to one question
// resemble each other, and few questions are a small sample of what could be
// asked.
type Asked struct {
	Questions    int
	DesignEffect float64  // of the answers of all replicates together, by question
	EffectiveN   float64  // independent answers that would tell as much
	Interval     Interval // of the penetrance over lineages and questions, by bootstrap
}

// Band is the neutral-drift expectation of the mean over replicates and of a
// single replicate: 95 % of the latter fall within Lo and Hi.
type Band struct {
	Valid          bool
	Mean, Lo, Hi   float64 // of a single lineage
	MeanLo, MeanHi float64 // of the mean over the replicates
}

// Curve follows one behaviour in one line of one arm. Part is lineage.Outputs
// (prevalence: what the model says to the world) or lineage.Probes (penetrance:
// what it says when asked); the two are never pooled.
type Curve struct {
	Arm, Line, Behaviour, Detector, Part string
	Points                               []Point
	Replicates                           [][]lineage.Tally // [replicate][generation]
	Trend                                Trend
	Note                                 string // for the caption: what the neutral band starts from and leaves out, or how far the questions of probes carry
}

// Trend summarises a curve from From on, the last generation that was taught
// from seeds (0 where none was): what it publishes is the first text that is
// only copied. Reproduction, HalfLife and Slope are given where at least half of
// the replicates that were scored have five carriers or more from From to To, all
// generations together. Elsewhere they would follow the detector's errors: they
// are NaN with N = 0, and Warn says why. So are Reproduction and HalfLife where
// the excess rests on one replicate.
type Trend struct {
	From, To     int      // generations
	Reproduction Interval // excess over the control in a generation, as a share of that in the one before: below 1 it dies out
	HalfLife     Interval // generations; +Inf where nothing decays
	Slope        Interval // of the logit a generation: the selection coefficient
	Lost         int      // replicates with no carrier at To
	Fixed        int      // replicates with only carriers at To
	Replicates   int
}

// Dose is how much of a behaviour was seeded into one generation of a line.
type Dose struct {
	Arm, Line, Behaviour string
	Generation           int
	Seeds, Documents     float64 // seeds, and documents of the whole corpus: means over replicates
}

// Sample is one text that a reader may look at, with what a detector saw in it.
// A text of a model that several arms share is shown once, under the first.
type Sample struct {
	ID                                   string // node/part/index
	Arm, Line, Behaviour, Detector, Part string
	Replicate, Generation                int
	Outcome                              uint8
	Score                                float64
	Reason                               string
	Prompt, Text                         string
	Spans                                []lineage.Span    // of Text
	Turns                                []lineage.Message // of a survey, in the place of Prompt: what stood before Text
	TurnsCut                             int               // turns before those
}

// Findings are everything that a report shows.
type Findings struct {
	Study    lineage.Study
	Title    string // the headline finding, one sentence
	Lead     int    // index of the verdict that Title speaks of, -1 for none
	Setup    string // two lines: what was done, what a generation is, n, detector
	Verdicts []Verdict
	Elicited []Verdict // the same of probes, a family of comparisons of its own
	Curves   []Curve
	Doses    []Dose
	Nodes    map[lineage.ID]lineage.Node
	Quality  []Quality
	Samples  []Sample
	LeftOut  int       // texts that were read and are not among Samples
	Missing  []string  // nodes of the study that the ledger lacks: a partial run
	Blocked  []Blocked // what providers refused, by arm, line and generation; Nodes has none of those that were not made
	Warnings []string
}

// Verdict is the answer for one behaviour in one line of one arm, at the last
// generation: whether it differs from the control, and from copying alone.
type Verdict struct {
	Part                 string // lineage.Outputs or lineage.Probes
	Arm, Line, Behaviour string
	Seeded               bool     // the behaviour was seeded in this line of this arm
	Generation           int      // the last one that was measured
	Final                Interval // prevalence in it
	Peak                 Interval
	PeakGeneration       int
	Versus               Interval // its difference from control
	Corrected            Interval // Final corrected for the detector's errors; Method is "" where it was not
	Method               string
	CorrectedVersus      Interval // Versus likewise; P and Q are of Versus, since correction cannot make a difference
	P                    float64  // sign-flip test of Versus, two-sided; exact up to 40 replicates
	Q                    float64  // P after control of the false-discovery rate over all verdicts
	Against              string   // "above", "within" or "below" the neutral band of the mean, "" without one
	Sentence             string
}

// Quality is how good a detector is at telling a behaviour, on texts of which
// the truth is known, and whether rates are corrected with it.
type Quality struct {
	Behaviour, Detector string
	Judges              bool          // prevalence is by this detector
	Sets                []LabelledSet // whose counts are added up
	Pooled              Told          // of all sets and contexts: what rates are corrected with
	Contexts            []Told
	Youden              Interval // sensitivity + specificity - 1
	Refused             string   // why rates are not corrected with it; "" where they are
	Generations         []Held   // on texts of the study itself, where labels know them
}

// LabelledSet is where a calibration's rows are from.
type LabelledSet struct {
	Digest, Source, Method string
	Texts                  int
}

// Told is how a detector did on labelled texts. Sensitivity and specificity are
// among those it could score.
type Told struct {
	Context                       string
	Counts                        lineage.Confusion
	Sensitivity, Specificity, AUC Interval
}

// Held is how a detector did on labelled texts of one generation, all arms and
// lines together: whether it still holds where text has drifted.
type Held struct {
	Part       string
	Generation int
	Told
}
