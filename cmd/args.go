package cmd

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder moves the flags of a command before its positional arguments, where
// the flag parser looks for them: `run file.yaml --workers 2` means what it says.
// Everything after a bare -- stays where it is.
func reorder(app *cli.App, args []string) []string {
	at := 1
	for at < len(args) && strings.HasPrefix(args[at], "-") {
		at++
	}
	if at >= len(args) {
		return args
	}
	c := app.Command(args[at])
	if c == nil {
		return args
	}
	for at+1 < len(args) {
		sub := subcommand(c, args[at+1])
		if sub == nil {
			break
		}
		c, at = sub, at+1
	}
	valued := map[string]bool{}
	for _, f := range c.Flags {
		if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() {
			for _, name := range f.Names() {
				valued[name] = true
			}
		}
	}
	var flags, rest []string
	for i := at + 1; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			rest = append(rest, arg)
			continue
		}
		flags = append(flags, arg)
		name := strings.TrimLeft(arg, "-")
		if valued[name] && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	return append(append(append([]string(nil), args[:at+1]...), flags...), rest...)
}

func subcommand(c *cli.Command, name string) *cli.Command {
	for _, sub := range c.Subcommands {
		if sub.HasName(name) {
			return sub
		}
	}
	return nil
}
