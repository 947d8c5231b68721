package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) label() *cli.Command {
	return &cli.Command{
		Name: "label", Usage: "draw texts of a run for somebody to label, and take their labels over",
		Subcommands: []*cli.Command{p.labelDraw(), p.labelAdd()},
		Action:      p.parent("detector label"),
	}
}

func (p *program) labelDraw() *cli.Command {
	return &cli.Command{
		Name: "draw", Usage: "draw texts at random within each generation, in a random order",
		ArgsUsage: "FOLDER",
		Description: "Every text of the chosen arms and lines has the same chance within its generation, over all replicates; a model that arms share counts once. " +
			"Whoever labels replaces null in label by true or false, and leaves it where the text cannot be judged. Arm, line, generation and the detector's verdict are left out, since they would lead the hand.",
		Flags: []cli.Flag{
			behaviourFlag, studyFlag,
			&cli.IntFlag{Name: "per-generation", Value: 20, Usage: "`texts` to draw from each generation"},
			&cli.StringSliceFlag{Name: "arm", Usage: "only texts of this `arm`; repeatable"},
			&cli.StringSliceFlag{Name: "line", Usage: "only texts of this `line`; repeatable"},
			&cli.StringFlag{Name: "part", Value: lineage.Outputs, Usage: "outputs, or probes: the answers to the behaviour's own `probes`"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "decides the draw"},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "JSONL `file` to write, - for stdout"},
			&cli.BoolFlag{Name: "force", Usage: "replace the file where it exists"},
			&cli.BoolFlag{Name: "open", Usage: "also tell arm, line, replicate, generation and the detector's verdict: not for labelling"},
		},
		Action: func(c *cli.Context) error {
			name, err := only(c, "the folder of a run")
			if err != nil {
				return err
			}
			out := c.String("out")
			if out == "" {
				return usage("label draw needs --out FILE")
			}
			ledger, study, err := folder(name).read(c.String("study"))
			if err != nil {
				return err
			}
			defer ledger.Close()
			of, err := behaviour(c, study)
			if err != nil {
				return err
			}
			d := sim.Drawing{
				Behaviour: of, Part: c.String("part"), PerGeneration: c.Int("per-generation"),
				Arms: c.StringSlice("arm"), Lines: c.StringSlice("line"), Seed: c.Uint64("seed"), Open: c.Bool("open"),
			}
			if err := d.Check(study); err != nil {
				return usage("label draw: %w", err)
			}
			rows, absent, err := d.Draw(ledger, study)
			if err != nil {
				return err
			}
			if err := p.writeRows(out, rows, c.Bool("force")); err != nil {
				return err
			}
			if absent > 0 {
				fmt.Fprintf(p.err, "%d models of the study do not exist yet, and nothing is drawn from them\n", absent)
			}
			if out != "-" {
				fmt.Fprintf(p.out, "%d texts to label are in %s\nGive each a label, true or false, and take them over:\n  heirloom detector label add %s %s --behaviour %s --labeller NAME\n",
					len(rows), out, quoted(name), quoted(out), of)
			}
			return nil
		},
	}
}

// writeRows writes JSONL in which no character steers a terminal or an editor.
func (p *program) writeRows(path string, rows []sim.Drawn, replace bool) error {
	var text bytes.Buffer
	e := json.NewEncoder(escaping{&text})
	e.SetEscapeHTML(false)
	for _, r := range rows {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	if path == "-" {
		_, err := p.data().Write(text.Bytes())
		return err
	}
	return create(path, text.Bytes(), replace)
}

func (p *program) labelAdd() *cli.Command {
	return &cli.Command{
		Name: "add", Usage: "take over the labels of texts that label draw drew",
		ArgsUsage: "FOLDER FILE.jsonl",
		Flags: []cli.Flag{
			behaviourFlag, studyFlag,
			&cli.StringFlag{Name: "labeller", Usage: "`name` of who labelled: a person, or the judge that stands in for one"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return usage("label add takes two arguments, the folder of a run and a file of labelled rows; it was given %d", c.NArg())
			}
			labeller := strings.TrimSpace(c.String("labeller"))
			if labeller == "" {
				return usage("label add needs --labeller NAME: agreement is told between names")
			}
			path := c.Args().Get(1)
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			ledger, study, err := folder(c.Args().First()).write(c.String("study"))
			if err != nil {
				return err
			}
			defer ledger.Close()
			of, err := behaviour(c, study)
			if err != nil {
				return err
			}
			labels, skipped, err := sim.ReadLabels(ledger, study, of, labeller, path, data)
			if err != nil {
				return err
			}
			if err := keepLabels(ledger, labels); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			positive := 0
			for _, r := range labels.Rows {
				if r.Positive {
					positive++
				}
			}
			fmt.Fprintf(p.out, "%d labels of %s by %s are kept, %d of them positive; %d rows have none\n", len(labels.Rows), of, labeller, positive, skipped)
			return ledger.Sync()
		},
	}
}

func keepLabels(l lineage.Ledger, labels lineage.Labels) error {
	err := l.Save(lineage.LabelsKey(labels.Behaviour, labels.File), labels)
	if !errors.Is(err, lineage.ErrRewritten) {
		return err
	}
	var old lineage.Labels
	if _, err := l.Load(lineage.LabelsKey(labels.Behaviour, labels.File), &old); err != nil {
		return err
	}
	return usage("this file was taken over before, as labelled by %s; records are never changed, and whoever else labelled has a file of their own", old.Labeller)
}
