package cmd

import (
	"fmt"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"github.com/urfave/cli/v2"
)

// section is one kind of thing that is in the binary.
type section struct {
	name string
	rows func() [][2]string
}

var sections = []section{
	{"backends", func() (rows [][2]string) {
		for _, k := range lineage.Kinds() {
			rows = append(rows, [2]string{k.Name, fmt.Sprintf("%s (learns by %v)", k.About, k.Learners)})
		}
		return rows
	}},
	{"detectors", func() (rows [][2]string) {
		for _, k := range detectors.Kinds() {
			rows = append(rows, [2]string{k.Name, k.About})
		}
		return rows
	}},
	{"interventions", func() (rows [][2]string) {
		for _, k := range sim.InterventionKinds() {
			rows = append(rows, [2]string{k.Name, k.About})
		}
		return rows
	}},
	{"behaviours", func() [][2]string { return named(catalogue.Behaviours()) }},
	{"corpora", func() [][2]string { return named(catalogue.Corpora()) }},
	{"scenarios", func() [][2]string { return named(catalogue.Scenarios()) }},
}

func named(names []string) (rows [][2]string) {
	for _, n := range names {
		rows = append(rows, [2]string{n})
	}
	return rows
}

func (p *program) list() *cli.Command {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return &cli.Command{
		Name: "list", Usage: "show what is in this binary: " + strings.Join(names, ", "),
		ArgsUsage: "[" + strings.Join(names, "|") + "]",
		Action: func(c *cli.Context) error {
			want := c.Args().First()
			found := want == ""
			w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
			for _, s := range sections {
				if want != "" && want != s.name {
					continue
				}
				found = true
				fmt.Fprintf(w, "%s\n", s.name)
				for _, row := range s.rows() {
					fmt.Fprintf(w, "  %s\t%s\n", row[0], row[1])
				}
			}
			if !found {
				return usage("list knows %s, not %q", strings.Join(names, ", "), want)
			}
			return w.Flush()
		},
	}
}

func (p *program) schema() *cli.Command {
	return &cli.Command{
		Name: "schema", Usage: "print the JSON Schema of the experiment file, for editors and other tools",
		Action: func(c *cli.Context) error {
			_, err := p.out.Write(sim.Schema())
			return err
		},
	}
}

func (p *program) version() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the version of heirloom and of the modules in this binary",
		Action: func(c *cli.Context) error {
			fmt.Fprintln(p.out, "heirloom "+version())
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return nil
			}
			fmt.Fprintln(p.out, info.GoVersion)
			w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
			for _, m := range info.Deps {
				fmt.Fprintf(w, "  %s\t%s\n", m.Path, m.Version)
			}
			return w.Flush()
		},
	}
}

// version is the module's version, or the revision that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, dirty := info.Main.Version, ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") && len(s.Value) >= 12 {
			v = "devel-" + s.Value[:12]
		}
		if s.Key == "vcs.modified" && s.Value == "true" {
			dirty = "+changes"
		}
	}
	if strings.HasSuffix(v, "+dirty") {
		dirty = ""
	}
	return v + dirty
}

func (p *program) completion() *cli.Command {
	scripts := map[string]string{
		"bash": `_heirloom() { COMPREPLY=($(compgen -W "$("${COMP_WORDS[@]:0:COMP_CWORD}" --generate-bash-completion 2>/dev/null)" -f -- "${COMP_WORDS[COMP_CWORD]}")); }
complete -F _heirloom heirloom
`,
		"zsh": `#compdef heirloom
_heirloom() { local -a words_; words_=("${(@f)$("${words[@]:0:$((CURRENT-1))}" --generate-bash-completion 2>/dev/null)}"); _describe values words_; _files; }
compdef _heirloom heirloom
`,
		"fish": `complete -c heirloom -a '(set -l cmd (commandline -opc); $cmd --generate-bash-completion 2>/dev/null)'
`,
	}
	return &cli.Command{
		Name: "completion", Usage: "print a completion script: source <(heirloom completion bash)",
		ArgsUsage: "bash|zsh|fish",
		Action: func(c *cli.Context) error {
			script, ok := scripts[c.Args().First()]
			if !ok {
				return usage("completion knows bash, zsh and fish, not %q", c.Args().First())
			}
			fmt.Fprint(p.out, script)
			return nil
		},
	}
}
