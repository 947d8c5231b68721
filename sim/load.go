package sim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// World is one arm of an experiment file, or one cell of a sweep of an arm.
type World struct {
	Name     string
	About    string
	Control  bool              // nothing is seeded
	Baseline string            // the control arm that it is compared with
	Cell     map[string]string // the sweep's values, by path
	*Experiment
	decoder *decoder
	dir     string            // what names of files start from
	kits    kits              // shared by the worlds of a file
	brought map[string]string // detectors that behaviours brought, to the behaviour
}

// File is an experiment file, read and patched: its worlds are ready to plan.
type File struct {
	Name   string // as it was opened, for messages
	Dir    string // input files are relative to it
	Worlds []*World
	Text   string // the file as it was run, overrides written in
	Means  Means  // of the outside world; set before Compile, none by default
}

// ControlArm is the arm that every experiment has: the same worlds with nothing seeded.
const ControlArm = "control"

// MainArm is the name of the only other arm of a file that names no arms.
const MainArm = "seeded"

// Load reads an experiment file.
func Load(path, dir string, overrides []Override) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, dir, data, overrides)
}

// Parse reads an experiment from memory; name stands in messages. Every fault
// of every arm is in the error, an *Invalid.
func Parse(name, dir string, data []byte, overrides []Override) (*File, error) {
	var fs faults
	root, text, err := patchedTree(name, "an experiment", data, overrides, &fs)
	if root == nil {
		return nil, err
	}
	f := &File{Name: name, Dir: dir, Text: text}
	kits := kits{}
	for _, w := range spread(name, root, &fs) {
		w.decoder = newDecoder(name, &fs)
		w.decoder.taken = []string{"arms", "line", "sweep"}
		w.Experiment = w.decoder.experiment(w.tree)
		f.Worlds = append(f.Worlds, w.World)
	}
	for _, w := range f.Worlds {
		w.dir, w.kits = dir, kits
		w.check()
	}
	return f, fs.err()
}

// patchedTree reads one YAML document and writes the overrides into it; text is the
// result as YAML. Faults of overrides go to fs; root is nil where nothing was read.
func patchedTree(name, what string, data []byte, overrides []Override, fs *faults) (root *yaml.Node, text string, err error) {
	root = parseTree(name, what, data, fs)
	if root == nil {
		return nil, "", fs.err()
	}
	for _, o := range overrides {
		patched, err := o.on(root)
		if err != nil {
			fs.add(Fault{File: "--set " + o.Path, Message: err.Error()})
			continue
		}
		root = patched
	}
	written, err := yaml.Marshal(root)
	if err != nil {
		return nil, "", err
	}
	return root, string(written), nil
}

// maxValues bounds a file whose aliases are written out.
const maxValues = 200_000

// parseTree reads one YAML document, which is what it is called in messages, and writes aliases out, so that no later
// step meets a cycle.
func parseTree(name, what string, data []byte, fs *faults) *yaml.Node {
	var doc yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	if err := dec.Decode(&doc); err != nil {
		fault := "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")
		if errors.Is(err, io.EOF) {
			fault = "is empty; " + what + " is a mapping of keys to values"
			if what == "an experiment" {
				fault = "is empty; heirloom init writes an experiment to start from"
			}
		}
		fs.add(Fault{File: name, Message: fault})
		return nil
	}
	if dec.Decode(new(yaml.Node)) == nil {
		fs.add(Fault{File: name, Message: "holds more than one YAML document; " + what + " is one"})
	}
	budget := maxValues
	root, err := expand(doc.Content[0], nil, &budget)
	if err != nil {
		fs.add(Fault{File: name, Line: doc.Line, Message: err.Error()})
		return nil
	}
	if root.Kind != yaml.MappingNode {
		fs.add(Fault{File: name, Line: root.Line, Column: root.Column, Message: what + " is a mapping of keys to values, not a " + kindName(root)})
		return nil
	}
	return root
}

// expand copies a tree with its aliases and merge keys written out.
func expand(n *yaml.Node, inside []*yaml.Node, budget *int) (*yaml.Node, error) {
	if *budget--; *budget < 0 {
		return nil, fmt.Errorf("the file grows beyond 200,000 values when its aliases are written out")
	}
	if n.Kind == yaml.AliasNode {
		if slices.Contains(inside, n.Alias) {
			return nil, fmt.Errorf("the alias *%s stands within its own anchor", n.Value)
		}
		return expand(n.Alias, append(inside, n.Alias), budget)
	}
	out := *n
	out.Content, out.Anchor = nil, ""
	var under []*yaml.Node
	for i := 0; i < len(n.Content); i++ {
		c, err := expand(n.Content[i], inside, budget)
		if err != nil {
			return nil, err
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 && n.Content[i].Tag == "!!merge" {
			i++
			if c, err = expand(n.Content[i], inside, budget); err != nil {
				return nil, err
			}
			if c.Kind != yaml.SequenceNode {
				c = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{c}}
			}
			under = append(under, c.Content...)
			continue
		}
		out.Content = append(out.Content, c)
	}
	for _, u := range under {
		if u.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("line %d: << takes a mapping or a list of mappings, not a %s", u.Line, kindName(u))
		}
		for i := 0; i+1 < len(u.Content); i += 2 {
			if find(&out, u.Content[i].Value) < 0 {
				out.Content = append(out.Content, u.Content[i], u.Content[i+1])
			}
		}
	}
	return &out, nil
}

// experiment decodes one world: defaults, then the tree, with `line` laid under
// each of `lines`.
func (d *decoder) experiment(tree *yaml.Node) *Experiment {
	e := newExperiment()
	common, tree := take(tree, "line")
	lines, tree := take(tree, "lines")
	d.into("", tree, e)
	e.Lines = map[string]*Line{}
	if common != nil && resolve(common).Kind != yaml.MappingNode {
		d.fault("line", common, "needs a mapping of what all lines have in common")
		common = nil
	}
	if lines == nil {
		d.fault("lines", nil, "an experiment has at least one line; write lines: {main: {}}")
		return e
	}
	d.pairs("lines", lines, func(name string, k, n *yaml.Node) {
		line := newLine()
		path := join("lines", name)
		switch {
		case common != nil && isNull(n):
			n = common
		case common != nil:
			n = merge(common, n)
		}
		if n.Kind != yaml.MappingNode && !isNull(n) {
			d.fault(path, n, "needs a mapping")
			return
		}
		d.places[path] = place{k.Line, k.Column}
		d.into(path, n, line)
		e.Lines[name] = line
	})
	return e
}
