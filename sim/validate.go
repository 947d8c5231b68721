package sim

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// check completes a decoded world from the catalogue and adds a fault for
// everything that cannot be.
func (w *World) check() {
	s := &Scope{world: w, path: ""}
	if w.Format != Format {
		s.fault("heirloom", "this program reads experiments of version %d; write heirloom: %d", Format, Format)
	}
	if err := slug(w.Experiment.Name); err != nil {
		s.fault("name", "%v", err)
	}
	s.within("generations", float64(w.Generations), 1, 10_000)
	s.within("replicates", float64(w.Replicates), 1, 1_000_000)
	for _, name := range w.behaviourNames() {
		b := w.Behaviours[name]
		if b == nil {
			b = &Behaviour{}
			w.Behaviours[name] = b
		}
		w.completeBehaviour(name, b)
		if !b.lost() {
			b.check(&Scope{world: w, path: join("behaviours", name)})
		}
	}
	if len(w.Behaviours) == 0 {
		s.fault("behaviours", "there is nothing to watch; name a behaviour, such as behaviours: {trauma-narrative: {}}")
	}
	for name, line := range w.Lines {
		scope := &Scope{world: w, path: join("lines", name)}
		if err := slug(name); err != nil {
			scope.fault("", "%v", err)
		}
		line.check(scope)
	}
	for _, iv := range w.Interventions {
		if iv.Edit != nil {
			iv.check(&Scope{world: w, path: iv.path})
		}
	}
	w.checkCompositions()
	w.checkCuration()
}

// completeBehaviour fills what is not given from the behaviour's folder, or from the
// catalogue's entry of that name.
func (w *World) completeBehaviour(name string, b *Behaviour) {
	if b.kit = w.kit(name, b); b.kit != nil {
		b.Title, b.About, b.Rubric = or(b.Title, b.kit.Title), or(b.About, b.kit.About), or(b.Rubric, b.kit.Rubric)
		if b.Detectors == nil {
			b.Detectors = b.kit.Detectors
		}
		for _, detector := range slices.Sorted(maps.Keys(b.kit.Instruments)) {
			w.instrument(name, detector, b.kit.Instruments[detector])
		}
		for file, field := range map[string]*string{"seeds": &b.Seeds, "probes": &b.Probes, "labelled": &b.Labels} {
			if b.kit.has(file) {
				w.bring(name+"/"+file, b.kit)
				*field = or(*field, name+"/"+file)
			}
		}
		if b.kit.Folder != "" && b.kit.has("neutral") {
			w.bring(name+"/neutral", b.kit)
		}
	}
	b.Title = or(b.Title, name)
}

// lost tells whether the folder of a behaviour is not there: what else is missing
// follows from that.
func (b *Behaviour) lost() bool { return b.Folder != "" && b.kit == nil }

// bring makes a text of a behaviour's folder a source, unless the experiment has one
// of that name. Those of the catalogue are sources already.
func (w *World) bring(source string, k *Kit) {
	if k.Folder == "" || w.Sources[source] != nil {
		return
	}
	if w.Sources == nil {
		w.Sources = map[string]*Source{}
	}
	file := filepath.Base(source) + ".jsonl"
	w.Sources[source] = &Source{File: filepath.Join(k.given, file)}
}

// entry is a behaviour.yaml.
type entry struct {
	Title       string                   `yaml:"title"`
	About       string                   `yaml:"about"`
	Reported    []Report                 `yaml:"reported"`
	Rubric      string                   `yaml:"rubric"`
	Detectors   []string                 `yaml:"detectors"`
	Instruments map[string]*DetectorSpec `yaml:"instruments"`
}

// Report tells where a behaviour was reported, in which models, and what was seen.
type Report struct {
	Source string   `yaml:"source"`
	Models []string `yaml:"models"`
	What   string   `yaml:"what"`
}

// instrument takes over a detector that a behaviour brings, unless the experiment
// has one of that name.
func (w *World) instrument(behaviour, name string, spec *DetectorSpec) {
	if spec == nil || spec.Config == nil {
		return // its fault is told where it stands
	}
	if other, twice := w.brought[name]; twice {
		if w.Detectors[name].same(spec) {
			return
		}
		(&Scope{world: w, path: join("behaviours", behaviour)}).fault("", "brings a detector %q, and so does %s; say which is meant by an entry detectors.%s, or rename one in its behaviour.yaml", name, other, name)
		return
	}
	if w.Detectors[name] != nil {
		return
	}
	if w.Detectors == nil {
		w.Detectors = map[string]*DetectorSpec{}
	}
	if w.brought == nil {
		w.brought = map[string]string{}
	}
	w.Detectors[name], w.brought[name] = spec, behaviour
}

func (b *Behaviour) check(s *Scope) {
	if err := slug(s.path[strings.IndexByte(s.path, '.')+1:]); err != nil {
		s.fault("", "%v", err)
	}
	s.optionalSource("seeds", b.Seeds)
	s.optionalSource("probes", b.Probes)
	if len(b.Detectors) == 0 {
		s.fault("detectors", "a behaviour needs a detector; name one, such as detectors: [trauma-narrative]")
	}
	if b.kit != nil && slices.Equal(b.Detectors, b.kit.Detectors) {
		return // checked where they stand
	}
	for i, name := range b.Detectors {
		s.detector(fmt.Sprintf("detectors[%d]", i), name)
	}
}

func (l *Line) check(s *Scope) {
	if l.Backend == nil {
		s.fault("backend", "a line needs a backend; write backend: ngram")
	} else if kind, ok := lineage.Lookup(l.Backend.Kind); ok {
		if l.Learner == "" {
			l.Learner = kind.Learners[0]
		}
		if !slices.Contains(kind.Learners, l.Learner) {
			s.fault("learner", "the backend %s cannot learn by %q; it can %v", kind.Name, l.Learner, kind.Learners)
		}
		if b, err := kind.Open(l.Backend.Config); err != nil {
			s.fault("backend", "%v", err)
		} else if _, ok := b.(lineage.Screener); !ok && l.OnBlocked == onBlockedDrop {
			s.fault("on_blocked", "the provider of the backend %s does not tell which documents it would not take, so there are none to drop; write stop or skip", kind.Name)
		}
	}
	s.oneOf("on_blocked", l.OnBlocked, onBlockedStop, onBlockedSkip, onBlockedDrop)
	s.oneOf("base", string(l.Base), string(lineage.Foundation), string(lineage.Parent), string(lineage.Scratch))
	if l.Base == lineage.Foundation && l.Foundation.Source == "" {
		s.fault("foundation", "base: foundation needs the source that the foundation is trained on")
	}
	l.Foundation.check(&Scope{world: s.world, path: join(s.path, "foundation")})
	if (l.Learner == lineage.Distil) != (l.Teacher != nil) {
		s.fault("teacher", "learner: distil and a teacher go together; a teacher is written teacher: self, or a line's name, or {foundation: SOURCE}")
	} else if l.Teacher != nil {
		l.Teacher.check(&Scope{world: s.world, path: join(s.path, "teacher")}, l)
	}
	if pairs := l.Corpus.Pairs; pairs != nil {
		pairs.check(&Scope{world: s.world, path: join(s.path, "corpus.pairs")})
		if l.Learner != lineage.Preference {
			s.fault("corpus.pairs", "pairs are for learner: preference, and this line learns by %s", l.Learner)
		}
	}
	s.optionalSource("held_out", l.HeldOut)
	l.Corpus.check(&Scope{world: s.world, path: join(s.path, "corpus")})
	l.Publish.check(&Scope{world: s.world, path: join(s.path, "publish")})
	l.Probe.check(&Scope{world: s.world, path: join(s.path, "probe")})
	if l.Publish.Prompts == "" {
		s.fault("publish.prompts", "needs the source of what the world asks, such as web/prompts")
	} else {
		s.source("publish.prompts", l.Publish.Prompts)
	}
}

// maxDocuments bounds a corpus, so that a slip of the keyboard is a fault and
// not an allocation.
const maxDocuments = 1e8

func (a *Asking) check(s *Scope) {
	s.within("size", float64(a.Size), 0, maxDocuments)
	s.within("draws", float64(a.Draws), 0, 1e6)
	s.atLeast("max_tokens", a.MaxTokens, 0)
	if !(a.Temperature > 0 && a.Temperature <= 100) {
		s.fault("temperature", "%v is not above 0 and at most 100", a.Temperature)
	}
}

func (m *Mixture) check(s *Scope) {
	s.within("size", float64(m.Size), 1, maxDocuments)
	s.optionalSource("human", m.Human)
	if m.start() == "" {
		s.fault("human", "needs a source of human text, at least for generation 0, such as human: web/everyday")
	}
	if m.Preset != "" {
		s.oneOf("preset", m.Preset, slices.Collect(maps.Keys(presets))...)
		if len(m.Parts) > 0 {
			s.fault("parts", "preset and parts exclude each other")
		}
		s.within("share", m.Share, 0, 1)
		return
	}
	if len(m.Parts) == 0 {
		s.fault("parts", "needs parts, or a preset: replace, accumulate, accumulate-subsample or anchored")
		return
	}
	sum, shared := 0.0, 0
	for i := range m.Parts {
		m.Parts[i].check(&Scope{world: s.world, path: join(s.path, fmt.Sprintf("parts[%d]", i))})
		if !m.Parts[i].Whole {
			sum += m.Parts[i].Share
			shared++
		}
	}
	if shared > 0 && math.Abs(sum-1) > 1e-9 {
		s.fault("parts", "the shares sum to %v, not to 1", sum)
	}
}

func (p *Part) check(s *Scope) {
	kinds := 0
	if p.Human != "" {
		kinds++
		s.source("human", p.Human)
	}
	if p.Seed != "" {
		kinds++
		s.behaviour("seed", p.Seed)
		s.seeded("seed", p.Seed)
	}
	for key, a := range map[string]*Ancestor{"outputs": p.Outputs, "corpus": p.Corpus} {
		if a == nil {
			continue
		}
		kinds++
		s.atLeast(key+".back", a.Back, 1)
		if a.Line == "others" && len(s.world.Lines) < 2 {
			s.fault(key, "there are no other lines than this one")
		} else if a.Line != "self" && a.Line != "others" {
			s.line(key, a.Line)
		}
	}
	if kinds != 1 {
		s.fault("", "a part is exactly one of human, outputs, corpus and seed; this one is %d of them", kinds)
	}
	if p.Whole && p.Share != 0 {
		s.fault("share", "whole and share exclude each other")
	}
	s.within("share", p.Share, 0, 1)
}

func (iv *Intervention) check(s *Scope) {
	for i, name := range iv.Lines {
		s.line(fmt.Sprintf("lines[%d]", i), name)
	}
	if iv.At != nil && (iv.From != nil || iv.To != nil) {
		s.fault("at", "at and from/to exclude each other")
	}
	last := s.world.Generations - 1
	switch from, to := iv.span(s.world.Generations); {
	case from < 0 || from > last:
		s.fault("", "would never apply: it begins at generation %d, and generations are 0 to %d", from, last)
	case to < from || to > last:
		s.fault("", "ends at generation %d, which is not within %d to %d", to, from, last)
	}
	s.lines = iv.Lines
	iv.Edit.Check(s)
}

// checkCuration refuses a choice among more outputs than a part can give.
func (w *World) checkCuration() {
	for _, iv := range w.Interventions {
		c, ok := iv.Edit.(*Curate)
		if !ok {
			continue
		}
		for name, line := range w.Lines {
			if len(iv.Lines) > 0 && !slices.Contains(iv.Lines, name) {
				continue
			}
			for _, part := range line.Corpus.expanded() {
				for _, p := range w.named(part, name) {
					w.checkChoice(iv.path, c, line, &p)
				}
			}
		}
	}
}

func (w *World) checkChoice(path string, c *Curate, reader *Line, p *Part) {
	if p.Outputs == nil {
		return
	}
	if p.Whole {
		w.decoder.at(path, "a part that takes all outputs of %s leaves nothing to choose among; give it a share", p.Outputs.Line)
		return
	}
	writer := w.Lines[p.Outputs.Line]
	if writer == nil || p.Outputs.Window != 1 {
		return
	}
	have := writer.Publish.Size
	if have == 0 {
		have = writer.Corpus.Size
	}
	if need := int(math.Round(p.Share*float64(reader.Corpus.Size))) * c.BestOf; need > have {
		w.decoder.at(join(path, "best_of"), "needs %d outputs to choose from and line %s publishes %d; set lines.%s.publish.size to %d", need, p.Outputs.Line, have, p.Outputs.Line, need)
	}
}
