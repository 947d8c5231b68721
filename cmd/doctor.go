package cmd

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) doctor() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "check before a run whether its providers, servers and trainers will do: keys, models, prices, training files",
		ArgsUsage:   "FILE|SCENARIO",
		Description: "It asks the servers that the experiment names, and spends nothing. It exits with 1 where it finds a fault.",
		Flags:       []cli.Flag{setFlag, &cli.BoolFlag{Name: "json", Usage: "as JSON, a finding a line"}},
		Action: func(c *cli.Context) error {
			f, err := p.experiment(c)
			if err != nil {
				return err
			}
			study, err := sim.Compile(f)
			if err != nil {
				return err
			}
			defer study.Close()
			all, err := study.Check(c.Context)
			if err != nil {
				return err
			}
			for _, j := range study.Judges() {
				all = append(all, p.examineJudge(c.Context, study, j)...)
			}
			if err := c.Context.Err(); err != nil {
				return err
			}
			return p.diagnose(c, all)
		},
	}
}

// examineJudge checks a model that a detector asks: that its server answers, and
// knows it. An answer costs money, so none is asked for.
func (p *program) examineJudge(ctx context.Context, study *sim.Study, j sim.Judge) []sim.Finding {
	of := "detector " + j.Detector
	found := func(what, state, format string, a ...any) sim.Finding {
		return sim.Finding{Of: of, Finding: lineage.Finding{What: what, State: state, Detail: fmt.Sprintf(format, a...)}}
	}
	price := found("price", "warning", "not known for %s of %s; --max-cost refuses to run without --allow-unpriced", j.Model, j.Address)
	if _, ok := study.PriceOf(j); ok {
		price = found("price", "ok", "known for %s of %s", j.Model, j.Address)
	}
	return append([]sim.Finding{price}, p.reach(ctx, j, found)...)
}

// reach looks whether the server of a judge answers and knows its model.
func (p *program) reach(ctx context.Context, j sim.Judge, found func(what, state, format string, a ...any) sim.Finding) (all []sim.Finding) {
	config := openai.Defaults()
	config.Profile, config.BaseURL, config.KeyEnv, config.Model = "compatible", j.Address, p.keys[j.Address], j.Model
	if known, ok := openai.ProfileAt(j.Address); ok && !known.Local {
		config.Profile = known.Name
	}
	b, err := openai.New(config)
	if err != nil {
		return []sim.Finding{found("endpoint", "fault", "%v", err)}
	}
	for _, f := range b.Check(ctx, lineage.Work{}, nil) {
		if f.What != "price" {
			all = append(all, found(f.What, f.State, "%s", f.Detail))
		}
	}
	return all
}

// diagnose shows findings; a fault among them is the exit code.
func (p *program) diagnose(c *cli.Context, all []sim.Finding) error {
	faults := 0
	for _, f := range all {
		if f.State == "fault" {
			faults++
		}
	}
	if c.Bool("json") {
		for _, f := range all {
			p.emit(f)
		}
	} else if len(all) == 0 {
		fmt.Fprintln(p.out, "nothing of it reaches outside of this program")
	} else {
		w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
		for _, f := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.State, f.Of, f.What, f.Detail)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if faults > 0 {
		return fmt.Errorf("%d of %d checks found a fault; the run would not go through", faults, len(all))
	}
	return nil
}
