package cmd

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) plan() *cli.Command {
	return &cli.Command{
		Name: "plan", Usage: "show what a run would do and cost, and what exists already; runs and asks nothing",
		ArgsUsage: "FILE|SCENARIO",
		Flags: []cli.Flag{
			setFlag, outFlag,
			&cli.BoolFlag{Name: "explain", Usage: "say why the first missing model of each stage has to be made"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON, a stage a line"},
		},
		Action: func(c *cli.Context) error {
			f, err := p.experiment(c)
			if err != nil {
				return err
			}
			f.Means = p.means()
			study, err := sim.Compile(f)
			if err != nil {
				return err
			}
			defer study.Close()
			ledger, err := runFolder(c, f).peek()
			if err != nil {
				return err
			}
			defer ledger.close()
			stages, err := study.Plan(ledger, c.Bool("explain"))
			if err != nil {
				return err
			}
			if c.Bool("json") {
				for _, s := range stages {
					p.emit(s)
				}
				if all, err := study.Cost(ledger); err != nil || all != nil {
					p.emit(map[string]any{"Total": all})
					return err
				}
				return nil
			}
			if err := p.showPlan(study, stages); err != nil {
				return err
			}
			return p.showBill(study, ledger, stages)
		},
	}
}

// peeked is the ledger of a folder for reading, or an empty one.
type peeked struct {
	lineage.Ledger
	close func() error
}

func (f folder) peek() (peeked, error) {
	if _, err := os.Stat(f.ledger()); errors.Is(err, os.ErrNotExist) {
		return peeked{new(lineage.Memory), func() error { return nil }}, nil
	}
	r, err := store.Read(f.ledger())
	if err != nil {
		return peeked{}, err
	}
	return peeked{r, r.Close}, nil
}

func (p *program) showPlan(study *sim.Study, stages []sim.Stage) error {
	rec := study.Record
	fmt.Fprintf(p.out, "%s: %d arms, lines %v, %d generations, %d replicates; %d distinct models\n",
		rec.Name, len(rec.Arms), rec.Lines, rec.Generations, rec.Replicates, study.Nodes())
	for _, a := range rec.Arms {
		fmt.Fprintln(p.out, strings.TrimSuffix("  arm "+a.Name+": "+a.About, ": "))
		for _, e := range a.Events {
			on := "all lines"
			if len(e.Lines) > 0 {
				on = fmt.Sprint(e.Lines)
			}
			fmt.Fprintf(p.out, "    generations %d-%d, %s: %s\n", e.From, e.To, on, e.What)
		}
	}
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "arm\tgeneration\tline\tmodels\texist\tshared\tto make\tdocuments\tsamples")
	make, samples := 0, 0
	for _, s := range stages {
		todo := s.Nodes - s.Exist - s.Shared
		make += todo
		samples += todo * s.Requests
		documents := fmt.Sprint(s.Documents)
		if s.Documents < 0 {
			documents = "grows"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%d\t%d\t%s\t%d\n", s.Arm, s.Generation, s.Line, s.Nodes, s.Exist, s.Shared, todo, documents, s.Requests)
		if s.Why != "" {
			fmt.Fprintf(w, "  %.12s %s\n", s.Sample, s.Why)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "to make: %d models, %d samples; foundations come on top\n", make, samples)
	return nil
}
