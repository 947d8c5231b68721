package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"github.com/urfave/cli/v2"
)

// defaultScenario is what init writes and the demo runs.
const defaultScenario = "trauma-narratives"

func (p *program) init() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "write a scenario of the catalogue as an experiment file to start from",
		ArgsUsage: "[SCENARIO]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "`file` to write; SCENARIO.yaml where it is not given"},
			&cli.BoolFlag{Name: "force", Usage: "replace the file where it exists"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usage("init takes one scenario; it was given %d arguments", c.NArg())
			}
			name := defaultScenario
			if c.NArg() == 1 {
				name = c.Args().First()
			}
			data, ok := catalogue.Scenario(name)
			if !ok {
				return usage("there is no scenario %q; there are: %v", name, catalogue.Scenarios())
			}
			path := c.String("out")
			if path == "" {
				path = name + ".yaml"
			}
			schema := filepath.Join(filepath.Dir(path), "heirloom.schema.json")
			head := "# yaml-language-server: $schema=heirloom.schema.json\n"
			if err := create(path, append([]byte(head), data...), c.Bool("force")); err != nil {
				return err
			}
			if err := create(schema, sim.Schema(), true); err != nil {
				return err
			}
			fmt.Fprintf(p.out, "%s is written; its schema for editors is %s\nLook at what it would do:  heirloom plan %s\nRun it:                    heirloom run %s\n",
				path, schema, quoted(path), quoted(path))
			return nil
		},
	}
}

// create writes a file that must not exist yet, unless it may be replaced.
func create(path string, data []byte, replace bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if replace {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, os.ErrExist) {
		return usage("%s exists; give another name, or --force to replace it", path)
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
