package cmd

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

// measured is a behaviour with what its labelled rows say of its detectors.
type measured struct {
	Behaviour string    `json:"behaviour"`
	Detectors []quality `json:"detectors"`
}

// measuredTable tells how good every detector of the behaviours is. What it prints is
// Markdown, for docs/catalogue.md.
func (p *program) measuredTable(c *cli.Context, names []string) error {
	all, faults := make([]measured, len(names)), make([]error, len(names))
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for i, name := range names {
		free <- struct{}{}
		wait.Go(func() {
			defer func() { <-free }()
			all[i], faults[i] = measuredOf(c, name)
		})
	}
	wait.Wait()
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	if c.Bool("json") {
		p.emit(all)
		return nil
	}
	rows := [][]string{{"behaviour", "detector", "rows", "show it", "sensitivity", "specificity", "AUC", "near", "far", "rates corrected"}}
	for _, b := range all {
		for k, q := range b.Detectors {
			name := b.Behaviour
			if k > 0 {
				name = ""
			}
			rows = append(rows, append([]string{name, oneLine(q.Name)}, q.cells()...))
		}
	}
	_, err := fmt.Fprint(p.out, markdown(rows))
	return err
}

func measuredOf(c *cli.Context, name string) (measured, error) {
	k, err := sim.OpenKit(name)
	if k == nil {
		err = usage("%w", err)
	}
	if err != nil {
		return measured{}, err
	}
	qualities, err := qualities(c, k)
	return measured{k.Name, qualities}, err
}

func (q quality) cells() []string {
	if q.All == nil {
		return []string{"", "", "", "", "", "", "", "not measured: " + oneLine(q.Unknown)}
	}
	d := errorsOf(*q.All)
	scored := d.TruePositives + d.FalseNegatives + d.FalsePositives + d.TrueNegatives
	rows := fmt.Sprint(scored)
	if q.All.NotScorable > 0 {
		rows = fmt.Sprintf("%d of %d", scored, scored+q.All.NotScorable)
	}
	verdict := "yes"
	if why := d.Refusal(); why != "" {
		verdict = "**no**"
	}
	if j := youden(*q.All); !math.IsNaN(j) {
		verdict += ", J = " + decimals(j)
	}
	return []string{rows, fmt.Sprint(d.TruePositives + d.FalseNegatives), withInterval(d.Sensitivity()), withInterval(d.Specificity()),
		areaCell(*q.All), contextCell(q.Calibration.Contexts, "near"), contextCell(q.Calibration.Contexts, "far"), verdict}
}

func withInterval(i popgen.Interval) string {
	if math.IsNaN(i.Mean) {
		return "–"
	}
	return fmt.Sprintf("%s (%s – %s)", decimals(i.Mean), decimals(i.Lo), decimals(i.Hi))
}

func areaCell(c lineage.Confusion) string {
	switch {
	case c.AUC == nil:
		return "–"
	case c.AUCLo == nil || c.AUCHi == nil:
		return decimals(*c.AUC)
	}
	return fmt.Sprintf("%s (%s – %s)", decimals(*c.AUC), decimals(*c.AUCLo), decimals(*c.AUCHi))
}

// contextCell is sensitivity and specificity in one context.
func contextCell(contexts []lineage.Confusion, name string) string {
	for _, c := range contexts {
		if c.Context == name {
			d := errorsOf(c)
			return decimals(d.Sensitivity().Mean) + ", " + decimals(d.Specificity().Mean)
		}
	}
	return "–"
}

// decimals writes a share as psychometrics does.
func decimals(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return strings.Replace(strings.TrimPrefix(fmt.Sprintf("%.2f", v), "0"), "-0", "−", 1)
}

// markdown aligns the columns of a table, of which the first row is the head.
func markdown(rows [][]string) string {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var w strings.Builder
	for n, row := range rows {
		for i, cell := range row {
			fmt.Fprintf(&w, "| %s%s ", cell, strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)))
		}
		w.WriteString("|\n")
		if n == 0 {
			for _, n := range width {
				w.WriteString("|" + strings.Repeat("-", n+2))
			}
			w.WriteString("|\n")
		}
	}
	return w.String()
}
