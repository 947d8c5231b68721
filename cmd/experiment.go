package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"github.com/urfave/cli/v2"
)

var setFlag = &cli.StringSliceFlag{
	Name: "set", Usage: "replace a setting of the experiment, `path=value`; repeatable, such as --set line.corpus.size=200",
}

var outFlag = &cli.StringFlag{
	Name: "out", Aliases: []string{"o"}, Usage: "`folder` of the run; NAME.heirloom where it is not given",
}

// only gives the one positional argument of a command.
func only(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", usage("%s takes one argument, %s; it was given %d", c.Command.Name, what, c.NArg())
	}
	return c.Args().First(), nil
}

// experiment reads the experiment that the command line names: a file, or a
// scenario of the catalogue where no file has that name.
func (p *program) experiment(c *cli.Context) (*sim.File, error) {
	f, err := found(c)
	if err == nil {
		f.Means = p.means()
	}
	return f, err
}

func found(c *cli.Context) (*sim.File, error) {
	name, err := only(c, "an experiment file or the name of a scenario")
	if err != nil {
		return nil, err
	}
	overrides, err := overrides(c)
	if err != nil {
		return nil, err
	}
	f, err := sim.Load(name, filepath.Dir(name), overrides)
	if !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	data, ok := catalogue.Scenario(name)
	if !ok {
		return nil, usage("there is no file %s, and no scenario of that name; heirloom list scenarios shows those that there are", name)
	}
	return sim.Parse(name+".yaml", ".", data, overrides)
}

func overrides(c *cli.Context) (all []sim.Override, err error) {
	for _, text := range c.StringSlice("set") {
		o, err := sim.ParseOverride(text)
		if err != nil {
			return nil, usage("--set %v", err)
		}
		all = append(all, o)
	}
	return all, nil
}

// folder is where a run of the experiment lies.
type folder string

func runFolder(c *cli.Context, f *sim.File) folder {
	if out := c.String("out"); out != "" {
		return folder(out)
	}
	if c.Bool(dryRunFlag.Name) {
		return folder(f.Worlds[0].Experiment.Name + dryFolder)
	}
	return folder(f.Worlds[0].Experiment.Name + ".heirloom")
}

func (f folder) ledger() string     { return filepath.Join(string(f), "ledger") }
func (f folder) report() string     { return filepath.Join(string(f), "report.html") }
func (f folder) experiment() string { return filepath.Join(string(f), "experiment.yaml") }

// again is the command that resumes a run.
func again(c *cli.Context, f folder) string { return resume(c, f, c.String("max-cost")) }

// resume is the same with another cap, "" for none.
func resume(c *cli.Context, f folder, maxCost string) string {
	command := fmt.Sprintf("heirloom run %s", quoted(c.Args().First()))
	for _, s := range c.StringSlice("set") {
		command += " --set " + quoted(s)
	}
	if c.String("out") != "" {
		command += " --out " + quoted(string(f))
	}
	if maxCost != "" {
		command += " --max-cost " + quoted(maxCost)
	}
	for _, flag := range []string{"allow-unpriced", "yes", dryRunFlag.Name} {
		if c.Bool(flag) {
			command += " --" + flag
		}
	}
	return command
}

// quoted is an argument as a shell takes it.
func quoted(s string) string {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '/' || r == '.' || r == '-' || r == '_' || r == '=' || r == ',') {
			return "'" + replaceQuotes(s) + "'"
		}
	}
	if s == "" {
		return "''"
	}
	return s
}

func replaceQuotes(s string) string { return strings.ReplaceAll(s, "'", `'\''`) }
