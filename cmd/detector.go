package cmd

import "github.com/urfave/cli/v2"

// detector gathers the commands about detectors themselves; detect is the one
// that runs them.
func (p *program) detector() *cli.Command {
	return &cli.Command{
		Name: "detector", Usage: "make and examine detectors of your own",
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("there is no command %q of detector; heirloom detector --help lists them", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
		Subcommands: []*cli.Command{
			p.detectorInit(), p.detectorTest(),
		},
	}
}
