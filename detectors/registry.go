package detectors

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Env is what a detector may use of the world while it is opened: the files
// that stand beside the experiment.
type Env struct {
	Open func(name string) (io.ReadCloser, error)
}

// Kind is one registered kind of detector.
type Kind struct {
	Name   string
	About  string     // one line for `heirloom list`
	Config func() any // a pointer to a fresh default configuration
	Open   func(env Env, config any) (Detector, error)
}

var kinds = map[string]Kind{}

// Register makes a kind of detector known by name, with the defaults of its
// configuration. C is a struct with yaml tags; unknown keys are refused before
// open is called. Register panics when the name is taken.
func Register[C any](name, about string, defaults C, open func(Env, C) (Detector, error)) {
	if _, taken := kinds[name]; taken {
		panic(fmt.Sprintf("detectors: %q is registered twice", name))
	}
	kinds[name] = Kind{
		Name: name, About: about,
		Config: func() any { c := defaults; return &c },
		Open:   func(env Env, config any) (Detector, error) { return open(env, *config.(*C)) },
	}
}

// Lookup finds a kind of detector.
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
