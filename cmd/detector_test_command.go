package cmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/detectors/protocol"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) detectorTest() *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "try out a detector of your own and say what is wrong with it and how to mend that; exits 1 where something is",
		ArgsUsage: "FILE | URL | -- COMMAND…",
		Description: "A file is run by what its ending says (.py python3, .js node, .sh sh, .rb ruby), else by itself. " +
			"The detector is asked ordinary, empty, multilingual, hostile and long texts, alone and together, twice and started anew.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "text", Usage: "a `text` that shows the behaviour; repeatable"},
			&cli.StringSliceFlag{Name: "set", Usage: "a setting, `key=value`, such as --set 'config={words: [spiral]}'"},
			&cli.IntFlag{Name: "rows", Value: 5000, Usage: "`number` of rows of the test of speed"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show all that was found, and what the detector prints"},
		},
		Action: func(c *cli.Context) error {
			if n := c.Int("rows"); n < 1 || n > 10_000_000 {
				return usage("--rows: %d is not within 1 and 10,000,000", n)
			}
			what, err := candidate(c)
			if err != nil {
				return err
			}
			trial := protocol.Trial{Env: detectors.Env{Dir: "."}, Texts: c.StringSlice("text"), Rows: c.Int("rows"), Now: time.Now}
			if c.Bool("verbose") {
				trial.Env.Log = p.means().Log
			}
			report, err := what.Conform(c.Context, trial)
			if err != nil {
				return err
			}
			if c.Context.Err() != nil {
				return fault{exitInterrupted, fmt.Errorf("interrupted")}
			}
			p.showReport(report, c.Bool("verbose"))
			if report.Failed() {
				return fault{exitFailed, fmt.Errorf("the detector does not keep the protocol yet")}
			}
			fmt.Fprintf(p.out, "\nIn an experiment:\n  detectors:\n    %s: %s\n", report.Ready.Name, asYAML(what))
			return nil
		},
	}
}

// candidate is a detector that the command line names.
func candidate(c *cli.Context) (conforming, error) {
	if c.NArg() == 0 {
		return nil, usage("detector test needs a file, an address, or -- and a command")
	}
	args := c.Args().Slice()
	kind, key := "command", "command"
	value := "[" + strings.Join(quotedAll(argvOf(args)), ", ") + "]"
	if len(args) == 1 && (strings.HasPrefix(args[0], "http://") || strings.HasPrefix(args[0], "https://")) {
		kind, key, value = "http", "url", quotedAll(args)[0]
	}
	settings := []string{key + "=" + value}
	var all []sim.Override
	for _, text := range append(settings, c.StringSlice("set")...) {
		o, err := sim.ParseOverride(text)
		if err != nil {
			return nil, usage("--set %v", err)
		}
		all = append(all, o)
	}
	config, err := sim.DetectorSettings(kind, all)
	if err != nil {
		return nil, err
	}
	return config.(conforming), nil
}

// conforming are settings of a detector that can be tried out.
type conforming interface {
	Conform(context.Context, protocol.Trial) (*protocol.Report, error)
}

var interpreters = map[string]string{".py": "python3", ".js": "node", ".mjs": "node", ".cjs": "node", ".sh": "sh", ".rb": "ruby"}

// argvOf is the command that runs what is named.
func argvOf(args []string) []string {
	if len(args) > 1 {
		return args
	}
	name := args[0]
	if by, ok := interpreters[filepath.Ext(name)]; ok {
		return []string{by, name}
	}
	if _, err := os.Stat(name); err == nil && !strings.ContainsRune(name, filepath.Separator) {
		name = "." + string(filepath.Separator) + name
	}
	return []string{name}
}

// word is a text that YAML takes as text without quotes.
var word = regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9./_-]{3,}$`)

func quotedAll(args []string) (all []string) {
	for _, a := range args {
		if !word.MatchString(a) || a == "true" || a == "false" || a == "null" {
			a = "'" + strings.ReplaceAll(a, "'", "''") + "'"
		}
		all = append(all, a)
	}
	return all
}

func asYAML(what conforming) string {
	switch c := what.(type) {
	case *protocol.Command:
		return "{kind: command, command: [" + strings.Join(quotedAll(c.Command), ", ") + "]}"
	case *protocol.HTTP:
		return "{kind: http, url: " + quotedAll([]string{c.URL})[0] + "}"
	}
	return "{}"
}

// showReport prints each check, what was found against it, and the way out.
func (p *program) showReport(r *protocol.Report, all bool) {
	if r.Ready.Name != "" {
		how := ""
		if !r.Ready.Deterministic {
			how = ", not deterministic"
		}
		fmt.Fprintf(p.out, "%s %s: batches of %d, threshold %.4g%s\n", r.Ready.Name, r.Ready.Version, r.Ready.Batch, r.Ready.Threshold, how)
	}
	for _, c := range r.Checks {
		mark := "ok  "
		if c.Failed() {
			mark = "FAIL"
		} else if len(c.Found) > 0 {
			mark = "note"
		}
		fmt.Fprintf(p.out, "%s  %s\n", mark, c.Claim)
		for i, found := range c.Found {
			if i == 3 && !all && len(c.Found) > 4 {
				fmt.Fprintf(p.out, "        and %d more; --verbose shows all\n", len(c.Found)-i)
				break
			}
			fmt.Fprintf(p.out, "        %s\n", found)
		}
		if len(c.Found) > 0 {
			fmt.Fprintf(p.out, "      → %s\n", c.Mend)
		}
	}
	if r.Speed > 0 {
		fmt.Fprintf(p.out, "%.0f rows a second\n", r.Speed)
	}
}
