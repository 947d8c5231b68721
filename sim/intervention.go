package sim

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Edit changes the plan of one generation of one line. It is decoded from the
// experiment file, so its fields carry yaml and doc tags. The envelope around
// it (name, lines, at, from, to) says where it applies; an author of an
// intervention writes none of that.
type Edit interface {
	// Check adds a fault for every setting that cannot be.
	Check(s *Scope)
	// Apply edits the plan. It is called only for the lines and generations that
	// the envelope names, and must depend on nothing but the plan.
	Apply(p *Plan)
	// String says in one line what it does, for plan and report.
	String() string
}

// InterventionKind is one registered kind of intervention.
type InterventionKind struct {
	Name  string
	About string
	New   func() Edit // with defaults
}

var interventions = map[string]InterventionKind{}

// RegisterIntervention makes a kind of intervention known by name. defaults is
// copied for each use; *C must be an Edit. It panics when the name is taken.
func RegisterIntervention[C any, P interface {
	*C
	Edit
}](name, about string, defaults C) {
	if _, taken := interventions[name]; taken {
		panic(fmt.Sprintf("sim: intervention %q is registered twice", name))
	}
	interventions[name] = InterventionKind{name, about, func() Edit { c := defaults; return P(&c) }}
}

// InterventionKinds lists the registered kinds by name.
func InterventionKinds() []InterventionKind {
	var all []InterventionKind
	for _, k := range interventions {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b InterventionKind) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// envelope is what every intervention has in common.
type envelope struct {
	Name  string   `yaml:"name" doc:"a name, so that overrides and sweeps can point at it as interventions[name]"`
	Lines []string `yaml:"lines" doc:"lines that it applies to; all where it is not given"`
	At    *int     `yaml:"at" doc:"the one generation that it applies to"`
	From  *int     `yaml:"from" doc:"first generation that it applies to; 0 where it is not given"`
	To    *int     `yaml:"to" doc:"last generation that it applies to; the last one where it is not given"`
}

// Intervention is an edit and where it applies.
type Intervention struct {
	envelope
	Kind string
	Edit Edit
	path string
}

func (iv *Intervention) decode(d *decoder, path string, n *yaml.Node) {
	iv.path = path
	var rest *yaml.Node
	iv.Kind, rest = kindOf(d, path, n)
	kind, ok := interventions[iv.Kind]
	if !ok {
		if iv.Kind != "" {
			var known []string
			for name := range interventions {
				known = append(known, name)
			}
			d.fault(join(path, "kind"), n, "%s", unknown("intervention", iv.Kind, known))
		}
		return
	}
	iv.Edit = kind.New()
	d.into(path, rest, &iv.envelope, iv.Edit)
}

// span gives the generations that it applies to, both inclusive.
func (e *envelope) span(generations int) (from, to int) {
	from, to = 0, generations-1
	if e.From != nil {
		from = *e.From
	}
	if e.To != nil {
		to = *e.To
	}
	if e.At != nil {
		from, to = *e.At, *e.At
	}
	return from, to
}

func (iv *Intervention) applies(line string, generation, generations int) bool {
	from, to := iv.span(generations)
	return from <= generation && generation <= to && (len(iv.Lines) == 0 || slices.Contains(iv.Lines, line))
}
