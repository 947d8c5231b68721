package lineage

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is one registered kind of backend.
type Kind struct {
	Name     string
	About    string     // one line for `heirloom list`
	Learners []Learner  // what it can do; the first is the default
	Config   func() any // a pointer to a fresh default configuration
	Open     func(config any) (Backend, error)
}

var kinds = map[string]Kind{}

// Register makes a kind of backend known by name, with the defaults of its
// configuration. C is a struct with yaml tags; unknown keys are refused before
// open is called. Register panics when the name is taken.
func Register[C any](name, about string, learners []Learner, defaults C, open func(C) (Backend, error)) {
	if _, taken := kinds[name]; taken {
		panic(fmt.Sprintf("lineage: backend %q is registered twice", name))
	}
	kinds[name] = Kind{
		Name: name, About: about, Learners: learners,
		Config: func() any { c := defaults; return &c },
		Open:   func(config any) (Backend, error) { return open(*config.(*C)) },
	}
}

// Lookup finds a kind of backend.
func Lookup(name string) (Kind, bool) {
	k, ok := kinds[name]
	return k, ok
}

// Kinds lists the registered kinds by name.
func Kinds() []Kind {
	all := make([]Kind, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b Kind) int { return strings.Compare(a.Name, b.Name) })
	return all
}
