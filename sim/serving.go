package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Serving is what a server of models offers: base models, each a kind of backend
// that is trained on a source when the server starts.
type Serving struct {
	Format  int                 `yaml:"serve" doc:"version of this file format: 1"`
	Seed    uint64              `yaml:"seed" doc:"decides names, and every draw for which a request has no seed"`
	Sources map[string]*Source  `yaml:"sources" doc:"documents from outside, by name; catalogue names such as web/everyday need no entry"`
	Backend *BackendSpec        `yaml:"backend" doc:"of every model that has none of its own"`
	Models  map[string]*Offered `yaml:"models" doc:"base models, by name"`

	resources *resources
	world     *World
}

// Offered is a base model of a server.
type Offered struct {
	Backend *BackendSpec `yaml:"backend" doc:"a kind of backend with its settings"`
	Source  string       `yaml:"source" doc:"what it is trained on; without one it has no weights, and can only be fine-tuned"`
}

// Decode reads one YAML document strictly into v, a pointer to a struct with
// yaml tags that holds its defaults. name stands in messages, what is what the
// document is called. Every fault is in the error, an *Invalid.
func Decode(name, what string, data []byte, overrides []Override, v any) error {
	var fs faults
	root, _, err := patchedTree(name, what, data, overrides, &fs)
	if root == nil {
		return err
	}
	newDecoder(name, &fs).into("", root, v)
	return fs.err()
}

// ParseServing reads what a server offers; files are relative to dir. Whoever
// calls it closes the result.
func ParseServing(name, dir string, data []byte, overrides []Override) (*Serving, error) {
	s := &Serving{Format: Format, Seed: 1}
	if err := Decode(name, "a server's file", data, overrides, s); err != nil {
		return nil, err
	}
	return s, s.Prepare(name, dir)
}

// Prepare opens what a server offers; name stands in messages, and files are
// relative to dir.
func (s *Serving) Prepare(name, dir string) error {
	s.resources = newResources(dir, Means{})
	s.world = &World{Experiment: &Experiment{Seed: s.Seed, Sources: s.Sources}}
	var fs faults
	fault := func(path, format string, args ...any) {
		fs.add(Fault{File: name, Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if s.Format != Format {
		fault("serve", "this program reads files of version %d; write serve: %d", Format, Format)
	}
	if len(s.Models) == 0 {
		fault("models", "there is nothing to serve; name a base model, such as models: {hl-base: {source: web/everyday}}")
	}
	for _, model := range slices.Sorted(maps.Keys(s.Models)) {
		path := join("models", model)
		o := s.Models[model]
		if o == nil {
			o = &Offered{}
			s.Models[model] = o
		}
		if o.Backend == nil {
			o.Backend = s.Backend
		}
		if o.Backend == nil {
			o.Backend = standIn()
		}
		if _, err := s.resources.backend(o.Backend); err != nil {
			fault(path, "%v", err)
		}
		if o.Source == "" {
			continue
		}
		if _, err := s.resources.source(s.world, o.Source); err != nil {
			fault(join(path, "source"), "%v", err)
		}
	}
	if err := fs.err(); err != nil {
		s.Close()
		return err
	}
	return nil
}

// standIn is the kind of backend that everybody has.
func standIn() *BackendSpec {
	kind, ok := lineage.Lookup("ngram")
	if !ok {
		return &BackendSpec{Kind: "ngram"}
	}
	return &BackendSpec{Kind: kind.Name, Config: kind.Config()}
}

// Close closes the sources.
func (s *Serving) Close() error { return s.resources.Close() }

// Open gives the backend of a model, and its digest: of what it is trained with.
func (s *Serving) Open(model string) (lineage.Backend, string, error) {
	o := s.Models[model]
	b, err := s.resources.backend(o.Backend)
	if err != nil || o.Source == "" {
		return b, "", err
	}
	src, err := s.resources.source(s.world, o.Source)
	if err != nil {
		return nil, "", err
	}
	seed := fmt.Appendf(nil, "%d", s.Seed)
	return b, digest([]byte(o.Backend.Kind), canonical(o.Backend.Config), []byte(src.digest), seed, []byte(model)), nil
}

// Train trains a model that has a source.
func (s *Serving) Train(ctx context.Context, model string, t lineage.Ticket) (lineage.Artifact, error) {
	o := s.Models[model]
	b, err := s.resources.backend(o.Backend)
	if err != nil {
		return nil, err
	}
	src, err := s.resources.source(s.world, o.Source)
	if err != nil {
		return nil, err
	}
	kind, _ := lineage.Lookup(o.Backend.Kind)
	return b.Train(ctx, lineage.Job{
		Learner: kind.Learners[0], Count: src.Len(), Examples: (&asked{source: src}).examples,
		Seed: at(s.Seed, "serve train", model, 0, 0).rand(0).Uint64(), Ticket: t,
	})
}
