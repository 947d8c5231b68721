package cmd

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"
)

// Every check is a real experiment through the real runner, with an in-memory
// ledger, compared with a closed form. A row fails beyond this many standard
// errors of its own Monte Carlo.
const verifyBound = 3

// row is one comparison of an observation with theory.
type row struct {
	what                    string
	lineages                int
	observed, predicted, se float64
}

func (r row) z() float64 {
	if r.se == 0 {
		if r.observed == r.predicted {
			return 0
		}
		return math.Inf(1)
	}
	return (r.observed - r.predicted) / r.se
}

// check is a group of rows that one theory predicts.
type check struct {
	name, source string
	run          func(v *verifier) ([]row, error)
}

// verifier runs checks at a size: quick for tests, full for the published table.
type verifier struct {
	ctx     context.Context
	dir     string
	workers int
	size    string
}

// lineages is the number of replicates at the chosen size.
func (v *verifier) lineages(quick, usual, full int) int {
	switch v.size {
	case "quick":
		return quick
	case "full":
		return full
	}
	return usual
}

func (p *program) verify() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "run stand-in lineages against closed forms and print observed, predicted and z; exits 100 where one disagrees",
		ArgsUsage: "[CHECK…]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "quick", Usage: "fewer lineages, seconds instead of minutes"},
			&cli.BoolFlag{Name: "full", Usage: "all lineages and generations of the published table"},
			&cli.IntFlag{Name: "workers", Aliases: []string{"j"}, DefaultText: "one more than there are cores", Usage: "models made at once"},
		},
		Action: func(c *cli.Context) error {
			workers, err := workers(c)
			if err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "heirloom-verify-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			v := &verifier{ctx: c.Context, dir: dir, workers: workers}
			switch {
			case c.Bool("quick") && c.Bool("full"):
				return usage("--quick and --full exclude each other")
			case c.Bool("quick"):
				v.size = "quick"
			case c.Bool("full"):
				v.size = "full"
			}
			chosen, err := choose(c.Args().Slice())
			if err != nil {
				return err
			}
			return v.report(p.out, chosen)
		},
	}
}

func choose(names []string) (chosen []check, err error) {
	var known []string
	for _, c := range checks {
		known = append(known, c.name)
		if len(names) == 0 || slices.Contains(names, c.name) {
			chosen = append(chosen, c)
		}
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, usage("verify knows no check %q; it knows %s", n, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

func (v *verifier) report(out io.Writer, chosen []check) error {
	rows, failed := 0, 0
	for _, c := range chosen {
		started := time.Now()
		all, err := c.run(v)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Fprintf(out, "%s (%s), %s\n", c.name, c.source, time.Since(started).Round(100*time.Millisecond))
		w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
		fmt.Fprintln(w, "  quantity\tlineages\tobserved\tpredicted\tstandard error\tz\t")
		for _, r := range all {
			mark := ""
			if math.Abs(r.z()) > verifyBound {
				mark = "FAIL"
				failed++
			}
			fmt.Fprintf(w, "  %s\t%d\t%.4f\t%.4f\t%.4f\t%+.2f\t%s\n", r.what, r.lineages, r.observed, r.predicted, r.se, r.z(), mark)
		}
		rows += len(all)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	// 0.0027 is the two-sided normal tail beyond 3 standard errors.
	fmt.Fprintf(out, "%d of %d rows within %d standard errors; were all theories true, a fresh seed would fail one or more of them with probability %.3f at most\n",
		rows-failed, rows, verifyBound, 1-math.Pow(1-0.0027, float64(rows)))
	if failed > 0 {
		return fault{exitGate, fmt.Errorf("%d rows disagree with theory", failed)}
	}
	return nil
}
