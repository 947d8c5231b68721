package cmd

import (
	"fmt"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) status() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "tell how far a run is, also while it goes on",
		ArgsUsage: "FOLDER",
		Flags:     []cli.Flag{studyFlag, &cli.BoolFlag{Name: "json", Usage: "as JSON"}},
		Action: func(c *cli.Context) error {
			name, err := only(c, "the folder of a run")
			if err != nil {
				return err
			}
			ledger, study, err := folder(name).read(c.String("study"))
			if err != nil {
				return err
			}
			defer ledger.Close()
			arms, err := standing(ledger, study)
			if err != nil {
				return err
			}
			cost, err := sim.Spent(ledger)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				all := map[string]any{"study": study.Digest, "name": study.Name, "arms": arms}
				if cost != (sim.Spending{}) {
					all["cost"] = cost
				}
				p.emit(all)
				return nil
			}
			fmt.Fprintf(p.out, "%s, study %.12s: %d generations, %d replicates, lines %v\n", study.Name, study.Digest, study.Generations, study.Replicates, study.Lines)
			w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
			complete := true
			for _, a := range arms {
				fmt.Fprintf(w, "  %s\t%d of %d models%s\n", a.Arm, a.Done, a.Models, a.refused())
				complete = complete && a.Done+a.Blocked+a.Barred == a.Models
			}
			if err := w.Flush(); err != nil {
				return err
			}
			fmt.Fprint(p.out, spent(ledger))
			if !complete {
				fmt.Fprintf(p.out, "not complete; go on with:\n  %s\n", folder(name).command())
			}
			return nil
		},
	}
}

// armStanding is how much of an arm exists. Arms share models: the sum over
// arms counts those more than once.
type armStanding struct {
	Arm     string `json:"arm"`
	Done    int    `json:"done"`
	Models  int    `json:"models"`
	Blocked int    `json:"blocked,omitempty"` // that a provider refused, and that are not made
	Barred  int    `json:"barred,omitempty"`  // that descend from those
}

// refused tells of models that are settled and do not exist, "" of none.
func (a armStanding) refused() string {
	if a.Blocked+a.Barred == 0 {
		return ""
	}
	return fmt.Sprintf("; %d blocked by the provider, %d that descend from them", a.Blocked, a.Barred)
}

func standing(ledger lineage.Ledger, study lineage.Study) ([]armStanding, error) {
	have := map[lineage.ID]bool{}
	for key, err := range ledger.Keys("node/") {
		if err != nil {
			return nil, err
		}
		have[lineage.ID(key[len("node/"):])] = true
	}
	unmade, err := unmade(ledger, have)
	if err != nil {
		return nil, err
	}
	var all []armStanding
	for _, a := range study.Arms {
		s := armStanding{Arm: a.Name}
		for _, line := range a.Nodes {
			for _, ids := range line {
				for _, id := range ids {
					s.Models++
					switch n, gone := unmade[id]; {
					case gone && n.Ancestor != "":
						s.Barred++
					case gone:
						s.Blocked++
					case have[id]:
						s.Done++
					}
				}
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// unmade gives the records of nodes that a provider blocked, and of those that
// descend from them. Where nothing was ever blocked, no record is read.
func unmade(ledger lineage.Ledger, have map[lineage.ID]bool) (map[lineage.ID]lineage.Node, error) {
	any := false
	for _, err := range ledger.Keys("blocked/") {
		if err != nil {
			return nil, err
		}
		any = true
		break
	}
	if !any {
		return nil, nil
	}
	out := map[lineage.ID]lineage.Node{}
	for id := range have {
		var n lineage.Node
		if _, err := ledger.Load(lineage.NodeKey(id), &n); err != nil {
			return nil, err
		}
		if !n.Made() {
			out[id] = n
		}
	}
	return out, nil
}
