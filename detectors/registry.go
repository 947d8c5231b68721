package detectors

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Env is what a detector may use of the world. A field that is nil is not to be
// had where the detector is opened; a detector that needs it says so in an error.
type Env struct {
	Open     func(name string) (io.ReadCloser, error)      // files that stand beside the experiment
	Dir      string                                        // the folder that relative names start from
	Detector func(name string) (Detector, string, error)   // another detector of the experiment, with its digest
	Endpoint func(name string, e Server) (Endpoint, error) // a server of language models; name says who asks
	Log      func(format string, args ...any)              // what goes wrong without being an error, one line each
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
