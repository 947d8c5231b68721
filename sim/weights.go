package sim

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"go.yaml.in/yaml/v3"
)

// Foundation is a model that is trained once, on a source from outside, and that
// other models start from or learn from.
type Foundation struct {
	Source         string          `yaml:"source" doc:"source that it is trained on, every document of it"`
	Learner        lineage.Learner `yaml:"learner" doc:"sft or sdf; as the line learns where that is one of them, else sft"`
	Initialisation string          `yaml:"initialisation" doc:"any name: lines whose foundations have one name, source and backend start from the same weights; the name of the line where it is not given"`
	PerReplicate   bool            `yaml:"per_replicate" doc:"train one for every replicate, so that replicates do not share their initial weights"`
}

func (f *Foundation) decode(d *decoder, path string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		d.places[path] = place{n.Line, n.Column}
		d.scalar(path, n, reflect.ValueOf(&f.Source).Elem())
		return
	}
	type plain Foundation
	d.into(path, n, (*plain)(f))
}

func (f *Foundation) check(s *Scope) {
	s.optionalSource("source", f.Source)
	if f.Learner != "" {
		s.oneOf("learner", string(f.Learner), string(lineage.SFT), string(lineage.SDF))
	}
	if f.Initialisation != "" {
		if err := slug(f.Initialisation); err != nil {
			s.fault("initialisation", "%v", err)
		}
	}
}

// over gives the foundation that a change makes of another: its source stays
// where the change names none.
func (f Foundation) over(was Foundation) Foundation {
	if f == (Foundation{}) {
		return was
	}
	f.Source = or(f.Source, was.Source)
	return f
}

// Teacher is the model whose distribution a student is trained on: an ancestor,
// or a foundation.
type Teacher struct {
	Line       string      `yaml:"line" doc:"self, or the name of a line"`
	Back       int         `yaml:"back" doc:"generations back; 1 is the previous one"`
	Foundation *Foundation `yaml:"foundation" doc:"a foundation instead of an ancestor: a source, or a mapping"`
}

func (t *Teacher) decode(d *decoder, path string, n *yaml.Node) {
	t.Back = 1
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		d.places[path] = place{n.Line, n.Column}
		d.scalar(path, n, reflect.ValueOf(&t.Line).Elem())
		return
	}
	type plain Teacher
	d.into(path, n, (*plain)(t))
}

func (t *Teacher) check(s *Scope, student *Line) {
	if (t.Line == "") == (t.Foundation == nil) {
		s.fault("", "a teacher is either a line or a foundation; write teacher: self, or teacher: {foundation: SOURCE}")
		return
	}
	if t.Foundation != nil {
		t.Foundation.check(&Scope{world: s.world, path: join(s.path, "foundation")})
		if t.Foundation.Source == "" {
			s.fault("foundation.source", "needs the source that the teacher is trained on")
		}
		return
	}
	s.atLeast("back", t.Back, 1)
	if t.Line == "self" {
		return
	}
	s.line("line", t.Line)
	if other := s.world.Lines[t.Line]; other != nil && other.Backend != nil && student.Backend != nil && other.Backend.Kind != student.Backend.Kind {
		s.fault("line", "%s is a line of %s and its student one of %s: soft labels need the same kind of backend; let the student learn from the outputs", t.Line, other.Backend.Kind, student.Backend.Kind)
	}
}

// plainLearner is how a model of a backend learns where it has neither a teacher
// nor pairs: as asked where that needs neither, else from the documents.
func plainLearner(asked lineage.Learner, backend string) lineage.Learner {
	if asked != lineage.Distil && asked != lineage.Preference {
		return asked
	}
	kind, _ := lineage.Lookup(backend)
	if slices.Contains(kind.Learners, lineage.SFT) {
		return lineage.SFT
	}
	return kind.Learners[0]
}

// weights settles the weight channel. A first generation without a parent
// starts from the foundation where there is one.
func (b *shaping) weights() error {
	s, p := b.shape, b.plan
	if p.Base == lineage.Parent {
		if p.Generation > 0 {
			s.base = b.ref(p.Line, p.Generation-1)
			return nil
		}
		if p.Foundation.Source == "" {
			s.Base = lineage.Scratch
			return nil
		}
		s.Base = lineage.Foundation
	}
	if s.Base != lineage.Foundation {
		return nil
	}
	f, err := b.founder(p.Foundation)
	if err != nil {
		return err
	}
	s.foundation, s.Foundation = f, f.name()
	return nil
}

// founder gives the shape of a foundation with the backend of the plan.
func (b *shaping) founder(of Foundation) (*shape, error) {
	s, p := b.shape, b.plan
	src, err := b.source(b.world, of.Source)
	if err != nil {
		return nil, err
	}
	learner := of.Learner
	if learner == "" {
		learner = plainLearner(p.Learner, p.Backend.Kind)
	}
	f := &shape{backend: s.backend, base: -1, before: -1, perReplicate: of.PerReplicate}
	f.recipe = recipe{
		Version: recipeVersion, Seed: s.Seed, Line: or(of.Initialisation, p.Line), Generation: -1,
		Backend: s.Backend, Config: s.Config, Learner: learner, Base: lineage.Scratch, Size: src.Len(),
		Blocks: []block{{Pool: "foundation:" + src.name, Segments: []segment{outside(src, "")}, Count: whole}},
	}
	return f, f.seal()
}

// name is what recipes call a foundation by: its node, or where every replicate
// has its own, what these have in common.
func (s *shape) name() lineage.ID {
	if s.perReplicate {
		return lineage.ID("each " + s.digest)
	}
	return s.id(-1, nil)
}

// mentor is the teacher of a recipe.
type mentor struct {
	Ref        int        `json:"ref"` // index in Refs; -1 for a foundation
	Foundation lineage.ID `json:"foundation,omitempty"`
}

// learner settles how the corpus is learned. A generation that reaches back to
// before the first for its teacher, or whose corpus has no pairs yet, learns
// from the documents.
func (b *shaping) learner() error {
	s, p := b.shape, b.plan
	switch p.Learner {
	case lineage.Preference:
		if !slices.ContainsFunc(s.Blocks, func(blk block) bool { return blk.pairs() }) {
			s.Learner = plainLearner(p.Learner, p.Backend.Kind)
			return nil
		}
		return s.unpaired()
	case lineage.Distil:
		t := p.Teacher
		switch {
		case t == nil:
			return fmt.Errorf("generation %d of %s: distil without a teacher", p.Generation, p.Line)
		case t.Foundation != nil:
			f, err := b.founder(*t.Foundation)
			if err != nil {
				return err
			}
			s.taught, s.Teacher = f, &mentor{-1, f.name()}
		case p.Generation-t.Back >= 0:
			line := t.Line
			if line == "self" {
				line = p.Line
			}
			s.Teacher = &mentor{Ref: b.ref(line, p.Generation-t.Back)}
		default:
			s.Learner = plainLearner(p.Learner, p.Backend.Kind)
		}
	}
	return nil
}
