package sim

import (
	"maps"
	"slices"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// Scope checks settings below one path of a world and words their faults.
type Scope struct {
	world *World
	path  string
	lines []string // of an intervention: those that it is for, none for all
}

// affected are the lines that an intervention is for.
func (s *Scope) affected() map[string]*Line {
	if len(s.lines) == 0 {
		return s.world.Lines
	}
	out := map[string]*Line{}
	for _, name := range s.lines {
		if line := s.world.Lines[name]; line != nil {
			out[name] = line
		}
	}
	return out
}

func (s *Scope) fault(key, format string, args ...any) {
	s.world.decoder.at(join(s.path, key), format, args...)
}

func (s *Scope) within(key string, v, lo, hi float64) {
	if !(v >= lo && v <= hi) {
		s.fault(key, "%v is not within [%v, %v]", v, lo, hi)
	}
}

func (s *Scope) atLeast(key string, v, lo int) {
	if v < lo {
		s.fault(key, "%d is less than %d", v, lo)
	}
}

func (s *Scope) oneOf(key, v string, known ...string) {
	if !slices.Contains(known, v) {
		s.fault(key, "%s", unknown("value", v, known))
	}
}

func (s *Scope) line(key, name string) {
	if s.world.Lines[name] == nil {
		s.fault(key, "%s", unknown("line", name, slices.Collect(maps.Keys(s.world.Lines))))
	}
}

func (s *Scope) behaviour(key, name string) {
	if s.world.Behaviours[name] == nil {
		s.fault(key, "%s", unknown("behaviour", name, slices.Collect(maps.Keys(s.world.Behaviours))))
	}
}

// seeded asks that a behaviour has seed documents.
func (s *Scope) seeded(key, name string) {
	if b := s.world.Behaviours[name]; b != nil && b.Seeds == "" && !b.lost() {
		s.fault(key, "%q has no seed documents; give behaviours.%s.seeds a source", name, name)
	}
}

func (s *Scope) optionalSource(key, name string) {
	if name != "" {
		s.source(key, name)
	}
}

func (s *Scope) source(key, name string) {
	if s.world.Sources[name] != nil {
		return
	}
	if _, ok := catalogue.Corpus(name); !ok {
		known := append(slices.Collect(maps.Keys(s.world.Sources)), catalogue.Corpora()...)
		s.fault(key, "%s", unknown("source", name, known))
	}
}

func (s *Scope) detector(key, name string) {
	if s.world.Detectors[name] != nil {
		return
	}
	if _, ok := detectors.Lookup(name); !ok {
		s.fault(key, "%s", unknown("detector", name, s.world.detectorNames()))
	}
}

func (w *World) detectorNames() []string {
	return append(slices.Collect(maps.Keys(w.Detectors)), detectorKinds()...)
}
