package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
)

// checkCompositions refuses detectors that are made of what is not there, or of
// themselves.
func (w *World) checkCompositions() {
	for _, name := range slices.Sorted(maps.Keys(w.Detectors)) {
		s := &Scope{world: w, path: join("detectors", name)}
		for i, member := range w.members(name) {
			key := fmt.Sprintf("of[%d]", i)
			s.detector(key, member)
			if path := w.path(member, name, map[string]bool{}); path != nil {
				s.fault(key, "%q is made of itself: %s", name, strings.Join(append([]string{name}, path...), " → "))
			}
		}
	}
}

// members are the detectors that one is made of.
func (w *World) members(name string) []string {
	if spec := w.Detectors[name]; spec != nil {
		if c, ok := spec.Config.(detectors.Composite); ok {
			return c.Members()
		}
	}
	return nil
}

// path gives the way down from one detector to another, nil where there is none.
func (w *World) path(from, to string, seen map[string]bool) []string {
	if from == to {
		return []string{to}
	}
	if seen[from] {
		return nil
	}
	seen[from] = true
	for _, member := range w.members(from) {
		if rest := w.path(member, to, seen); rest != nil {
			return append([]string{from}, rest...)
		}
	}
	return nil
}
