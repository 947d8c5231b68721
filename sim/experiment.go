package sim

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"go.yaml.in/yaml/v3"
)

// Format is the version of the experiment file.
const Format = 1

// Experiment is one world: what one arm of an experiment file says once its
// patch is laid over the rest. Everything that changes results is in it, and
// nothing that does not.
type Experiment struct {
	Format        int                      `yaml:"heirloom" doc:"version of this file format: 1"`
	Name          string                   `yaml:"name" doc:"short name: letters, digits, dots and dashes"`
	Question      string                   `yaml:"question" doc:"what the experiment asks, for the report"`
	Seed          uint64                   `yaml:"seed" doc:"decides every random draw"`
	Generations   int                      `yaml:"generations" doc:"models in a lineage: generations 0 to this minus 1"`
	Replicates    int                      `yaml:"replicates" doc:"independent lineages: the unit of inference"`
	Sources       map[string]*Source       `yaml:"sources" doc:"documents from outside, by name; catalogue names such as web/everyday need no entry"`
	Behaviours    map[string]*Behaviour    `yaml:"behaviours" doc:"what is watched, and may be seeded; names of the catalogue bring their own texts"`
	Detectors     map[string]*DetectorSpec `yaml:"detectors" doc:"detectors by name; a kind with default settings needs no entry"`
	Lines         map[string]*Line         `yaml:"lines" doc:"families of models; each is laid over line"`
	Interventions []*Intervention          `yaml:"interventions" doc:"edits of a generation's plan, applied in this order"`
}

// Source is a file or a catalogue corpus, and how its rows become documents; or
// templates that documents are made from.
type Source struct {
	File     string    `yaml:"file" doc:"path, relative to the experiment file"`
	Builtin  string    `yaml:"builtin" doc:"name in the catalogue, such as web/everyday"`
	Generate *Generate `yaml:"generate" doc:"templates to make documents from, instead of a file"`
	corpus.Options
}

func (s *Source) decode(d *decoder, path string, n *yaml.Node) {
	var from struct {
		File     string    `yaml:"file"`
		Builtin  string    `yaml:"builtin"`
		Generate *Generate `yaml:"generate"`
	}
	d.into(path, n, &from, &s.Options)
	s.File, s.Builtin, s.Generate = from.File, from.Builtin, from.Generate
	given := 0
	for _, is := range []bool{s.File != "", s.Builtin != "", s.Generate != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		d.fault(path, n, "needs one of file, builtin and generate")
	}
	if s.Generate != nil && string(canonical(&s.Options)) != string(canonical(new(corpus.Options))) {
		d.fault(path, n, "says how a file is read, and generate reads none; leave that out")
	}
}

// Behaviour is one that detectors look for.
type Behaviour struct {
	Title     string   `yaml:"title" doc:"as reports print it"`
	Folder    string   `yaml:"folder" doc:"folder of a behaviour of your own, relative to the experiment file; it brings what is not given here"`
	About     string   `yaml:"about" doc:"what it is and where it was reported"`
	Rubric    string   `yaml:"rubric" doc:"how a judge decides whether it is present; detectors open it as NAME/rubric.txt"`
	Seeds     string   `yaml:"seeds" doc:"source of documents that show it"`
	Probes    string   `yaml:"probes" doc:"source of conversations that elicit it: user turns only, one or several"`
	Labels    string   `yaml:"labels" doc:"source or file of labelled rows, of which no detector learns: each of its detectors is measured on them once"`
	Detectors []string `yaml:"detectors" doc:"detectors; prevalence is judged by the first"`

	kit *Kit // what it was completed from, nil for none
}

// DetectorSpec is a kind of detector with its settings.
type DetectorSpec struct {
	Kind   string
	Config any // as its kind decodes it

	kit *Kit // the behaviour that brought it: files are beside that, nil for none
}

func (s *DetectorSpec) decode(d *decoder, path string, n *yaml.Node) {
	var rest *yaml.Node
	s.Kind, rest = kindOf(d, path, n)
	kind, ok := detectors.Lookup(s.Kind)
	if !ok {
		if s.Kind != "" {
			d.fault(path, n, "%s", unknown("detector", s.Kind, detectorKinds()))
		}
		return
	}
	s.Config = kind.Config()
	d.into(path, rest, s.Config)
}

// same tells whether two behaviours bring one detector: equal settings, and files from
// one place.
func (s *DetectorSpec) same(o *DetectorSpec) bool {
	return s.Kind == o.Kind && bytes.Equal(canonical(s.Config), canonical(o.Config)) && s.kit.Folder == o.kit.Folder
}

// server tells whether the settings name a server of language models.
func (s *DetectorSpec) server() bool {
	return holds(reflect.TypeOf(s.Config), reflect.TypeFor[detectors.Server](), 8)
}

// holds tells whether a type is, points at, or has a field of another, at most so deep.
func holds(t, what reflect.Type, depth int) bool {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct || depth == 0 {
		return false
	}
	if t == what {
		return true
	}
	for i := range t.NumField() {
		if holds(t.Field(i).Type, what, depth-1) {
			return true
		}
	}
	return false
}

func detectorKinds() (names []string) {
	for _, k := range detectors.Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// BackendSpec is a kind of backend with its settings.
type BackendSpec struct {
	Kind   string
	Config any
}

func (s *BackendSpec) decode(d *decoder, path string, n *yaml.Node) {
	var rest *yaml.Node
	s.Kind, rest = kindOf(d, path, n)
	kind, ok := lineage.Lookup(s.Kind)
	if !ok {
		if s.Kind != "" {
			var known []string
			for _, k := range lineage.Kinds() {
				known = append(known, k.Name)
			}
			d.fault(path, n, "%s", unknown("backend", s.Kind, known))
		}
		return
	}
	s.Config = kind.Config()
	d.into(path, rest, s.Config)
}

// kindOf reads `kind: x, setting: …`, or a bare `x` for all defaults.
func kindOf(d *decoder, path string, n *yaml.Node) (string, *yaml.Node) {
	d.places[path] = place{n.Line, n.Column}
	empty := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		return n.Value, empty
	}
	if n.Kind != yaml.MappingNode {
		d.fault(path, n, "needs a kind: either its bare name, or a mapping with kind and settings")
		return "", empty
	}
	kind, rest := take(n, "kind")
	if kind == nil || resolve(kind).Kind != yaml.ScalarNode {
		d.fault(path, n, "needs the key kind")
		return "", rest
	}
	d.places[join(path, "kind")] = place{kind.Line, kind.Column}
	return resolve(kind).Value, rest
}

// Line is a family of models.
type Line struct {
	Backend    *BackendSpec    `yaml:"backend" doc:"what is trained: a kind of backend with its settings"`
	Learner    lineage.Learner `yaml:"learner" doc:"how a corpus becomes weights: sft, sdf, preference or distil, as the backend can"`
	Base       lineage.Base    `yaml:"base" doc:"where weights start: foundation, parent or scratch"`
	Foundation Foundation      `yaml:"foundation" doc:"the model that base: foundation starts from: the source that it is trained on, or a mapping"`
	Teacher    *Teacher        `yaml:"teacher" doc:"for the learner distil, whose distribution is learned: self, a line's name, or a mapping"`
	Corpus     Mixture         `yaml:"corpus" doc:"what each generation is trained on"`
	Publish    Asking          `yaml:"publish" doc:"what the world asks each generation; the answers are its outputs, and prevalence is measured on them"`
	Probe      Asking          `yaml:"probe" doc:"how often each probe conversation is asked; penetrance is measured on the answers"`
	HeldOut    string          `yaml:"held_out" doc:"source of text that no model is trained on, for the held-out loss"`
	OnBlocked  string          `yaml:"on_blocked" doc:"what follows where a provider refuses to train a model: stop, skip (the model before it stands in) or drop (what its moderation flags is left out)"`
}

// Asking says which prompts are asked, how often and how answers are sampled.
type Asking struct {
	Prompts     string  `yaml:"prompts" doc:"source of prompts; its user turns are asked"`
	Size        int     `yaml:"size" doc:"outputs a generation; the corpus size where it is not given"`
	Draws       int     `yaml:"draws" doc:"answers to each probe conversation"`
	Temperature float64 `yaml:"temperature" doc:"sampling temperature; 1 is the model's own distribution"`
	MaxTokens   int     `yaml:"max_tokens" doc:"longest answer in tokens; 0 for the backend's own bound"`
}

// Mixture says what a corpus is put together from.
type Mixture struct {
	Size   int     `yaml:"size" doc:"documents"`
	Preset string  `yaml:"preset" doc:"replace, accumulate, accumulate-subsample or anchored; instead of parts"`
	Human  string  `yaml:"human" doc:"source of text from outside for the preset, and for generation 0"`
	Share  float64 `yaml:"share" doc:"share of fresh human text, for the preset anchored"`
	Parts  []Part  `yaml:"parts" doc:"parts with shares that sum to 1"`
	Pairs  *Pairs  `yaml:"pairs" doc:"for the learner preference: each document from outputs becomes a pair, by a detector's score"`
}

// Part is one part of a mixture: exactly one of Human, Outputs, Corpus and Seed.
// A part that has nothing to draw from yet, because it reaches back to before
// generation 0, is filled from the mixture's human source.
type Part struct {
	Human   string    `yaml:"human" doc:"fresh documents of a source"`
	Outputs *Ancestor `yaml:"outputs" doc:"what models of a line published: self, others or a line's name, or a mapping"`
	Corpus  *Ancestor `yaml:"corpus" doc:"what an ancestor was trained on"`
	Seed    string    `yaml:"seed" doc:"a behaviour's seed documents; the control arm has human text in their place"`
	Share   float64   `yaml:"share" doc:"share of the corpus"`
	Whole   bool      `yaml:"whole" doc:"take every document of the part, instead of a share: the corpus grows"`
}

// Ancestor names generations of a line.
type Ancestor struct {
	Line   string `yaml:"line" doc:"self, others (an equal share of each), or the name of a line"`
	Back   int    `yaml:"back" doc:"generations back; 1 is the previous one"`
	Window Window `yaml:"window" doc:"how many generations from there back; all also takes the corpus of generation 0"`
}

func (a *Ancestor) decode(d *decoder, path string, n *yaml.Node) {
	a.Back, a.Window = 1, 1
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		d.places[path] = place{n.Line, n.Column}
		a.Line = n.Value
		return
	}
	type plain Ancestor
	d.into(path, n, (*plain)(a))
}

// Window is a number of generations, or All.
type Window int

// All is the window that reaches back to the corpus of generation 0.
const All Window = -1

func (w *Window) decode(d *decoder, path string, n *yaml.Node) {
	d.places[path] = place{n.Line, n.Column}
	if n.Value == "all" {
		*w = All
		return
	}
	i, err := strconv.Atoi(n.Value)
	if err != nil || i < 1 {
		d.fault(path, n, "needs a number of generations of at least 1, or all, not %q", n.Value)
		return
	}
	*w = Window(i)
}

func (w Window) String() string {
	if w == All {
		return "all"
	}
	return strconv.Itoa(int(w))
}

func newExperiment() *Experiment {
	return &Experiment{Replicates: 10, Generations: 8, Seed: 1}
}

func newLine() *Line {
	return &Line{
		Base: lineage.Scratch, OnBlocked: onBlockedStop,
		Publish: Asking{Temperature: 1},
		Probe:   Asking{Temperature: 1, Draws: 4},
	}
}

// slug tells whether a name can stand in keys, file names and reports.
func slug(name string) error {
	if name == "" || len(name) > 64 {
		return fmt.Errorf("a name has 1 to 64 characters, this one %d", len(name))
	}
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return fmt.Errorf("a name is made of letters, digits, dots, dashes and underscores; %q is not among them", r)
		}
	}
	if name[0] == '.' || name[0] == '-' {
		return fmt.Errorf("a name begins with a letter, a digit or an underscore")
	}
	return nil
}
