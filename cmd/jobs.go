package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) jobs() *cli.Command {
	return &cli.Command{
		Name: "jobs", Usage: "list what a run gave out to providers and to processes of this machine: trainings, batches",
		ArgsUsage:   "FOLDER",
		Description: "Without --look nobody is asked: what is shown is what the run last heard.",
		Flags: []cli.Flag{
			studyFlag, &cli.BoolFlag{Name: "look", Usage: "ask how each that goes on stands now"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON, one a line"},
		},
		Action: func(c *cli.Context) error {
			name, err := only(c, "the folder of a run")
			if err != nil {
				return err
			}
			all, err := folder(name).errands(c)
			if err != nil {
				return err
			}
			var faults []error
			for _, e := range all {
				if c.Bool("look") && !e.Work.Ended {
					if err := e.Look(c.Context); err != nil {
						faults = append(faults, fmt.Errorf("%s: %w", e.ID, err))
					}
				}
			}
			if err := p.showJobs(c, all); err != nil {
				return err
			}
			return asked(c.Context, faults)
		},
	}
}

// errands reads from a folder what its runs gave out.
func (f folder) errands(c *cli.Context) ([]*sim.Errand, error) {
	ledger, study, err := f.read(c.String("study"))
	if err != nil {
		return nil, err
	}
	defer ledger.Close()
	return sim.Errands(ledger, study, string(f))
}

func (p *program) showJobs(c *cli.Context, all []*sim.Errand) error {
	if c.Bool("json") {
		for _, e := range all {
			p.emit(e)
		}
		return nil
	}
	if len(all) == 0 {
		fmt.Fprintln(p.out, "nothing was given out")
		return nil
	}
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "id\tfor\twhat\twhere\tits id there\tstate\tmodel\tcost")
	for _, e := range all {
		cost := "-"
		if e.Work.Cost > 0 {
			cost = e.Work.Cost.String()
		}
		fmt.Fprintf(w, "%.20s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.For, e.Work.Kind, e.Work.Where,
			dash(e.Work.ID), dash(e.Work.State), dash(e.Work.Model), cost)
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// asked is the error of having asked about several things.
func asked(ctx context.Context, faults []error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(faults...)
}

func (p *program) cancel() *cli.Command {
	return &cli.Command{
		Name: "cancel", Usage: "end what a run has going on with providers and processes",
		ArgsUsage:   "FOLDER [ID…]",
		Description: "An ID is one that heirloom jobs shows, or the provider's own; without any, everything that goes on is ended. What has ended is left as it is. A run that goes on trains anew what was cancelled.",
		Flags:       []cli.Flag{studyFlag},
		Action: func(c *cli.Context) error {
			all, err := chosenErrands(c)
			if err != nil {
				return err
			}
			var faults []error
			ended := 0
			for _, e := range all {
				if e.Work.Ended {
					continue
				}
				if err := e.Cancel(c.Context); err != nil {
					faults = append(faults, fmt.Errorf("%s: %w", e.ID, err))
					continue
				}
				ended++
				fmt.Fprintf(p.out, "cancelled: %s %s at %s, for %s\n", e.Work.Kind, dash(e.Work.ID), e.Work.Where, e.For)
			}
			if ended+len(faults) == 0 {
				fmt.Fprintln(p.out, "nothing goes on")
			}
			return asked(c.Context, faults)
		},
	}
}

// chosenErrands reads from the folder that is named first those errands that the
// other arguments name.
func chosenErrands(c *cli.Context) ([]*sim.Errand, error) {
	if c.NArg() == 0 {
		return nil, usage("%s takes the folder of a run", c.Command.Name)
	}
	all, err := folder(c.Args().First()).errands(c)
	if err != nil {
		return nil, err
	}
	return chosen(all, c.Args().Tail())
}

// chosen gives the errands that IDs name, all where there are none.
func chosen(all []*sim.Errand, ids []string) ([]*sim.Errand, error) {
	if len(ids) == 0 {
		return all, nil
	}
	var list []*sim.Errand
	for _, id := range ids {
		found := slices.DeleteFunc(slices.Clone(all), func(e *sim.Errand) bool {
			return e.Work.ID != id && !strings.HasPrefix(string(e.ID), id)
		})
		if id == "" || len(found) != 1 {
			return nil, usage("%d jobs of the run have an id that begins with %q; heirloom jobs lists them", len(found), id)
		}
		list = append(list, found[0])
	}
	return list, nil
}

func (p *program) cleanup() *cli.Command {
	return &cli.Command{
		Name: "cleanup", Usage: "delete what a run left with providers: files, models",
		ArgsUsage:   "FOLDER [ID…]",
		Description: "Without --yes it only shows what there is. What goes on is left alone; heirloom cancel ends it. A run that goes on cannot use what was deleted.",
		Flags:       []cli.Flag{studyFlag, &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "delete it"}},
		Action: func(c *cli.Context) error {
			all, err := chosenErrands(c)
			if err != nil {
				return err
			}
			return p.clean(c, all)
		},
	}
}

func (p *program) clean(c *cli.Context, all []*sim.Errand) error {
	var faults []error
	found := false
	for _, e := range all {
		if !e.Work.Ended {
			if err := e.Look(c.Context); err != nil {
				faults = append(faults, fmt.Errorf("%s: whether it has ended cannot be told, so it is left: %w", e.ID, err))
				continue
			}
		}
		switch left := leftovers(e.Work); {
		case !e.Work.Ended:
			found = true
			fmt.Fprintf(p.out, "goes on, left alone: %s %s at %s, for %s\n", e.Work.Kind, dash(e.Work.ID), e.Work.Where, e.For)
		case !c.Bool("yes"):
			for _, what := range left {
				found = true
				fmt.Fprintf(p.out, "would delete at %s: %s, of %s\n", e.Work.Where, what, e.For)
			}
		default:
			removed, err := e.Remove(c.Context)
			for _, what := range removed {
				found = true
				fmt.Fprintf(p.out, "deleted at %s: %s, of %s\n", e.Work.Where, what, e.For)
			}
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", e.ID, err))
			}
		}
	}
	if !found && len(faults) == 0 {
		fmt.Fprintln(p.out, "nothing is left there")
	} else if found && !c.Bool("yes") {
		fmt.Fprintln(p.out, "nothing was deleted; --yes deletes it")
	}
	return asked(c.Context, faults)
}

// leftovers names what work left with its provider.
func leftovers(w lineage.Errand) (all []string) {
	if w.Model != "" {
		all = append(all, "model "+w.Model)
	}
	for _, f := range w.Files {
		all = append(all, "file "+f)
	}
	return all
}
