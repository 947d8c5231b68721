package cmd

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

func errorsOf(c lineage.Confusion) popgen.Detection {
	return popgen.Detection{TruePositives: c.TruePositives, FalseNegatives: c.FalseNegatives, FalsePositives: c.FalsePositives, TrueNegatives: c.TrueNegatives}
}

func youden(c lineage.Confusion) float64 { return errorsOf(c).Youden().Mean }

func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

// correction says whether rates can be corrected for the detector's errors, by the
// rule that reports go by.
func correction(c lineage.Confusion) string {
	if why := errorsOf(c).Refusal(); why != "" {
		return "rates cannot be corrected for its errors: " + why
	}
	return fmt.Sprintf("rates can be corrected for its errors: sensitivity + specificity - 1 is %.2f", youden(c))
}

// qualityTable shows how detectors did on labelled rows, by context.
type qualityTable struct{ *tabwriter.Writer }

// newQualityTable begins a table whose rows are named in the first columns.
func newQualityTable(out io.Writer, first string) qualityTable {
	w := qualityTable{tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)}
	fmt.Fprintln(w, first+"\trows\tshow it\tnot scorable\tsensitivity\t95 % interval\tspecificity\t95 % interval\tAUC\t95 % interval")
	return w
}

func (w qualityTable) detector(indent string, contexts []lineage.Confusion, all lineage.Confusion) {
	if len(contexts) > 1 || len(contexts) == 1 && contexts[0].Context != "" {
		for _, c := range contexts {
			name := c.Context
			if name == "" {
				name = "(none given)"
			}
			w.row(indent+name, c)
		}
	}
	w.row(indent+"all", all)
}

func (w qualityTable) row(name string, c lineage.Confusion) {
	positives, negatives := c.TruePositives+c.FalseNegatives, c.TrueNegatives+c.FalsePositives
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\t%s\n", name, positives+negatives, positives, c.NotScorable,
		proportion(c.TruePositives, positives), proportion(c.TrueNegatives, negatives), area(c))
}

// proportion is k of n with its interval, as two cells.
func proportion(k, n int) string {
	if n == 0 {
		return "–\t–"
	}
	lo, hi := popgen.Proportion(k, n)
	return fmt.Sprintf("%.3f\t%.3f – %.3f", float64(k)/float64(n), lo, hi)
}

func area(c lineage.Confusion) string {
	switch {
	case c.AUC == nil:
		return "–\t–"
	case c.AUCLo == nil || c.AUCHi == nil:
		return fmt.Sprintf("%.3f\t–", *c.AUC)
	}
	return fmt.Sprintf("%.3f\t%.3f – %.3f", *c.AUC, *c.AUCLo, *c.AUCHi)
}
