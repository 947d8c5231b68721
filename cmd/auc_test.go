package cmd

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// Calibrations record the AUC of detectors, reports estimate that of popgen, and
// neither room may import the other.
func TestBothRoomsGiveOneAUCAndInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for n := range 200 {
		var scores []float64
		var labels []bool
		var of [2][]float64
		for i := range 10 + r.IntN(40) {
			positive, score := i < 5 || i >= 10 && r.IntN(2) == 0, float64(r.IntN(8))
			if n == 0 || positive && n%2 == 0 { // the first has no overlap
				score += 3
			}
			if n == 0 && positive {
				score += 20
			}
			scores, labels = append(scores, score), append(labels, positive)
			if positive {
				of[1] = append(of[1], score)
			} else {
				of[0] = append(of[0], score)
			}
		}
		auc, lo, hi := detectors.AUCInterval(scores, labels)
		if got := popgen.AUC(of[1], of[0]); !(math.Abs(got.Mean-auc) < 1e-12 && math.Abs(got.Lo-lo) < 1e-9 && math.Abs(got.Hi-hi) < 1e-9) {
			t.Errorf("case %d: a calibration has %v [%v, %v], a report %+v", n, auc, lo, hi, got)
		}
	}
}
