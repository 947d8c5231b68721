package cmd

import (
	"fmt"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/lineage"
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
			if c.Bool("json") {
				p.emit(map[string]any{"study": study.Digest, "name": study.Name, "arms": arms})
				return nil
			}
			fmt.Fprintf(p.out, "%s, study %.12s: %d generations, %d replicates, lines %v\n", study.Name, study.Digest, study.Generations, study.Replicates, study.Lines)
			w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
			complete := true
			for _, a := range arms {
				fmt.Fprintf(w, "  %s\t%d of %d models\n", a.Arm, a.Done, a.Models)
				complete = complete && a.Done == a.Models
			}
			if err := w.Flush(); err != nil {
				return err
			}
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
	Arm    string `json:"arm"`
	Done   int    `json:"done"`
	Models int    `json:"models"`
}

func standing(ledger lineage.Ledger, study lineage.Study) ([]armStanding, error) {
	have := map[lineage.ID]bool{}
	for key, err := range ledger.Keys("node/") {
		if err != nil {
			return nil, err
		}
		have[lineage.ID(key[len("node/"):])] = true
	}
	var all []armStanding
	for _, a := range study.Arms {
		s := armStanding{Arm: a.Name}
		for _, line := range a.Nodes {
			for _, ids := range line {
				for _, id := range ids {
					s.Models++
					if have[id] {
						s.Done++
					}
				}
			}
		}
		all = append(all, s)
	}
	return all, nil
}
