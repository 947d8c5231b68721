package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"github.com/urfave/cli/v2"
)

// detector is the parent of what is done with detectors beside running them.
func (p *program) detector() *cli.Command {
	return &cli.Command{
		Name: "detector", Usage: "make detectors of your own, examine them, measure them against labels and people",
		Subcommands: []*cli.Command{p.detectorInit(), p.detectorTest(), p.calibrate(), p.label(), p.agree()},
		Action:      p.parent("detector"),
	}
}

// parent answers a command that is nothing without one of its own.
func (p *program) parent(name string) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() > 0 {
			return usage("%s has no command %q; heirloom %s --help lists them", name, c.Args().First(), name)
		}
		return cli.ShowSubcommandHelp(c)
	}
}

var (
	experimentFlag = &cli.StringFlag{Name: "experiment", Usage: "the detector is one of an experiment `file`"}
	behaviourFlag  = &cli.StringFlag{Name: "behaviour", Aliases: []string{"b"}, Usage: "`name` of the behaviour in the run"}
	jsonFlag       = &cli.BoolFlag{Name: "json", Usage: "as JSON"}
)

// openDetector opens the detector that the command line names: of an experiment, a kind with
// settings, or one that a behaviour of the catalogue brings.
func openDetector(c *cli.Context, name string, m sim.Means) (*sim.Detector, error) {
	settings, err := overrides(c)
	if err != nil {
		return nil, err
	}
	if path := c.String("experiment"); path != "" {
		f, err := sim.Load(path, filepath.Dir(path), settings)
		if err != nil {
			return nil, err
		}
		f.Means = m
		return f.Detector(name)
	}
	if _, kind := detectors.Lookup(name); kind {
		return sim.OpenDetector(name, ".", settings, m)
	}
	brought := sim.CatalogueDetectors()
	switch {
	case !slices.Contains(brought, name):
		var kinds []string
		for _, k := range detectors.Kinds() {
			kinds = append(kinds, k.Name)
		}
		return nil, usage("there is no detector %q; kinds are %s, and behaviours of the catalogue bring %s; one of an experiment needs --experiment FILE",
			name, strings.Join(kinds, ", "), strings.Join(slices.Compact(brought), ", "))
	case len(settings) > 0:
		return nil, usage("--set: the detector %s of the catalogue comes with its settings; name a kind to give your own", name)
	}
	d, _, err := sim.CatalogueDetector(name, m)
	return d, err
}

// write opens the ledger of a finished or interrupted run for writing, with the study
// that the command line names.
func (f folder) write(prefix string) (*store.Store, lineage.Study, error) {
	var study lineage.Study
	if info, err := os.Stat(f.ledger()); err != nil || !info.IsDir() {
		return nil, study, usage("%s is not the folder of a run: it has no ledger; heirloom run makes one", f)
	}
	ledger, err := store.Create(f.ledger(), store.Options{})
	if errors.Is(err, store.ErrHeld) {
		return nil, study, fmt.Errorf("%w\nAnother heirloom is writing there, such as a run that goes on; wait for it or stop it", err)
	}
	if err != nil {
		return nil, study, err
	}
	if err := f.find(ledger, prefix, &study); err != nil {
		ledger.Close()
		return nil, study, err
	}
	return ledger, study, nil
}

// behaviour is the one that the command line names, or the only one of a study.
func behaviour(c *cli.Context, study lineage.Study) (string, error) {
	var names []string
	for _, b := range study.Behaviours {
		names = append(names, b.Name)
	}
	name := c.String("behaviour")
	if name == "" && len(names) == 1 {
		return names[0], nil
	}
	if !slices.Contains(names, name) {
		return "", usage("--behaviour %q: the study watches %s; name one of them", name, strings.Join(names, ", "))
	}
	return name, nil
}

// truthOf is the labelled rows that the catalogue has of a behaviour, nil for none.
func truthOf(behaviour string) (*sim.Truth, error) {
	if !slices.Contains(catalogue.Behaviours(), behaviour) {
		return nil, nil
	}
	k, err := sim.OpenKit(behaviour)
	if err != nil {
		return nil, err
	}
	return k.Truth()
}
