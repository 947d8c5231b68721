package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/heirloom-sim/heirloom/corpus"
	"go.yaml.in/yaml/v3"
)

// Generate writes documents from templates, for worlds that are simpler than text
// that people wrote: a latent class, such as the persona that speaks, and slots
// that depend on it to a stated degree.
type Generate struct {
	Count     int                `yaml:"count" doc:"documents"`
	Seed      uint64             `yaml:"seed" doc:"decides every draw; the seed of the experiment does not"`
	Classes   map[string]float64 `yaml:"classes" doc:"what a document can be of, such as personas, with relative weights"`
	Strength  float64            `yaml:"strength" doc:"probability that a slot with words by class has those of the document's class; another class's otherwise"`
	Slots     map[string]*Slot   `yaml:"slots" doc:"what stands for {name} in templates: a list of texts, texts by class, or {from, to} of numbers"`
	Documents []Template         `yaml:"documents" doc:"templates: lists of turns, user and assistant in turn, or mappings with system, turns, weight and class"`
}

// Slot is what can stand for one name. Words by class are drawn once a document,
// so that a document agrees with itself; others anew wherever the name stands.
type Slot struct {
	Any     []string            `yaml:"any"`
	ByClass map[string][]string `yaml:"by_class"`
	From    int                 `yaml:"from"`
	To      int                 `yaml:"to"`
}

func (s *Slot) decode(d *decoder, path string, n *yaml.Node) {
	d.places[path] = place{n.Line, n.Column}
	switch {
	case n.Kind == yaml.SequenceNode:
		d.value(path, n, reflect.ValueOf(&s.Any).Elem())
	case n.Kind == yaml.MappingNode && get(n, "from") != nil:
		var bounds struct {
			From int `yaml:"from"`
			To   int `yaml:"to"`
		}
		d.into(path, n, &bounds)
		s.From, s.To = bounds.From, bounds.To
	case n.Kind == yaml.MappingNode:
		s.ByClass = map[string][]string{}
		d.pairs(path, n, func(class string, _, v *yaml.Node) {
			var words []string
			if v.Kind == yaml.ScalarNode {
				words = []string{v.Value}
			} else {
				d.value(join(path, class), v, reflect.ValueOf(&words).Elem())
			}
			s.ByClass[class] = words
		})
	default:
		d.fault(path, n, "needs a list of texts, texts by class, or {from, to}")
	}
}

// Template is one form of a document.
type Template struct {
	System string   `yaml:"system"`
	Turns  []string `yaml:"turns"`
	Weight float64  `yaml:"weight"`
	Class  string   `yaml:"class"`
}

func (t *Template) decode(d *decoder, path string, n *yaml.Node) {
	t.Weight = 1
	if n.Kind == yaml.SequenceNode {
		d.places[path] = place{n.Line, n.Column}
		d.value(path, n, reflect.ValueOf(&t.Turns).Elem())
		return
	}
	type plain Template
	d.into(path, n, (*plain)(t))
}

func (g *Generate) decode(d *decoder, path string, n *yaml.Node) {
	g.Seed, g.Strength = 1, 1
	type plain Generate
	d.into(path, n, (*plain)(g))
	fault := func(key, format string, args ...any) { d.at(join(path, key), format, args...) }
	if g.Count < 1 || g.Count > 1_000_000 {
		fault("count", "%d is not within 1 to 1,000,000", g.Count)
	}
	if !(g.Strength >= 0 && g.Strength <= 1) {
		fault("strength", "%v is not within [0, 1]", g.Strength)
	}
	for _, class := range slices.Sorted(maps.Keys(g.Classes)) {
		if !(g.Classes[class] > 0) {
			fault("classes."+class, "%v is not above 0", g.Classes[class])
		}
		if !slices.ContainsFunc(g.Documents, func(t Template) bool { return t.Class == "" || t.Class == class }) {
			fault("documents", "no template is for the class %s", class)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.Slots)) {
		g.Slots[name].check(func(format string, args ...any) { fault("slots."+name, format, args...) }, g, name)
	}
	if len(g.Documents) == 0 {
		fault("documents", "needs templates, such as [[What is {n} plus one?, I cannot say.]]")
	}
	for i, t := range g.Documents {
		key := fmt.Sprintf("documents[%d]", i)
		if len(t.Turns) == 0 || !(t.Weight > 0) {
			fault(key, "needs turns, and a weight above 0")
		}
		if t.Class != "" && g.Classes[t.Class] == 0 {
			fault(key+".class", "%s", unknown("class", t.Class, slices.Collect(maps.Keys(g.Classes))))
		}
		for _, text := range append([]string{t.System}, t.Turns...) {
			g.names(text, func(name string) {
				if g.Slots[name] == nil {
					fault(key, "%s", unknown("slot", name, slices.Collect(maps.Keys(g.Slots))))
				}
			})
		}
	}
}

func (s *Slot) check(fault func(string, ...any), g *Generate, name string) {
	if s == nil {
		fault("is empty")
		return
	}
	if s.Any == nil && s.ByClass == nil && s.To < s.From {
		fault("to: %d is less than from, %d", s.To, s.From)
	}
	if s.ByClass != nil && !slices.Equal(slices.Sorted(maps.Keys(s.ByClass)), slices.Sorted(maps.Keys(g.Classes))) {
		fault("needs words for each of the classes %s", strings.Join(slices.Sorted(maps.Keys(g.Classes)), ", "))
	}
	for _, words := range append(slices.Collect(maps.Values(s.ByClass)), s.Any) {
		if words != nil && len(words) == 0 {
			fault("has no words to choose among")
		}
	}
	if path := g.cycle(name, nil); path != nil {
		fault("is made of itself: %s", strings.Join(path, " → "))
	}
}

var slotName = regexp.MustCompile(`\{([a-z][a-z0-9_-]*)\}`)

func (g *Generate) names(text string, each func(name string)) {
	for _, m := range slotName.FindAllStringSubmatch(text, -1) {
		each(m[1])
	}
}

// cycle gives the way from a slot to itself, nil where there is none.
func (g *Generate) cycle(name string, inside []string) (found []string) {
	if slices.Contains(inside, name) {
		return append(inside, name)
	}
	s := g.Slots[name]
	if s == nil {
		return nil
	}
	inside = append(slices.Clone(inside), name)
	for _, words := range append(slices.Collect(maps.Values(s.ByClass)), s.Any) {
		for _, text := range words {
			g.names(text, func(inner string) {
				if found == nil {
					found = g.cycle(inner, inside)
				}
			})
		}
	}
	return found
}

// generateVersion is part of a digest. It changes when the same words come to
// mean other documents.
const generateVersion = "generate 1"

// documents writes them all. Each has a generator of its own, so a larger count
// adds documents and changes none.
func (g *Generate) documents() corpus.List {
	classes := slices.Sorted(maps.Keys(g.Classes))
	weights := make([]float64, len(classes))
	for i, c := range classes {
		weights[i] = g.Classes[c]
	}
	out := make(corpus.List, g.Count)
	for i := range out {
		r := at(g.Seed, generateVersion, "", 0, 0).rand(i)
		w := writing{Generate: g, random: r, kept: map[string]string{}}
		if len(classes) > 0 {
			w.class = classes[weighted(r, weights)]
		}
		out[i].Messages = w.document()
		out[i].Origin.Index = i
	}
	return out
}

func weighted(r *rand.Rand, weights []float64) int {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	u := r.Float64() * sum
	for i, w := range weights {
		if u -= w; u < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// writing is one document in the making.
type writing struct {
	*Generate
	random *rand.Rand
	class  string
	kept   map[string]string // of slots by class
}

// document follows one of the templates that are for its class.
func (w *writing) document() (messages []corpus.Message) {
	weights := make([]float64, len(w.Documents))
	for i, t := range w.Documents {
		if t.Class == "" || t.Class == w.class {
			weights[i] = t.Weight
		}
	}
	t := w.Documents[weighted(w.random, weights)]
	if t.System != "" {
		messages = append(messages, corpus.Message{Role: "system", Content: w.fill(t.System)})
	}
	for i, text := range t.Turns {
		messages = append(messages, corpus.Message{Role: [2]string{"user", "assistant"}[i%2], Content: w.fill(text)})
	}
	return messages
}

func (w *writing) fill(text string) string {
	return slotName.ReplaceAllStringFunc(text, func(name string) string {
		name = name[1 : len(name)-1]
		s := w.Slots[name]
		switch {
		case s.Any != nil:
			return w.fill(s.Any[w.random.IntN(len(s.Any))])
		case s.ByClass == nil:
			return strconv.Itoa(s.From + w.random.IntN(s.To-s.From+1))
		}
		if _, ok := w.kept[name]; !ok {
			words := s.ByClass[w.taken(s)]
			w.kept[name] = w.fill(words[w.random.IntN(len(words))])
		}
		return w.kept[name]
	})
}

// taken is the class whose words a slot has: that of the document with
// probability Strength, any other alike otherwise.
func (w *writing) taken(s *Slot) string {
	classes := slices.Sorted(maps.Keys(s.ByClass))
	if len(classes) == 1 || w.random.Float64() < w.Strength {
		return w.class
	}
	classes = slices.DeleteFunc(classes, func(c string) bool { return c == w.class })
	return classes[w.random.IntN(len(classes))]
}
