// Package selfname tells whether a model names itself as another model or maker
// than it is.
package selfname

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
)

func init() {
	detectors.Register("self-name", "the model names itself as another model or maker than it is",
		Config{}, func(_ detectors.Env, c Config) (detectors.Detector, error) { return c.open() })
}

// Config is present where an assistant names itself as somebody else: "I am
// X", "I'm an assistant made by Y", "My name is X", "As X, I …", "Y built me".
//
// What is right is told by Names and Makers or, where both are empty, by the
// system turns before the text ("You are X, made by Y"). A name is right where
// it holds a right one or is a part of one ("Qwen2.5-7B" for Qwen), without
// regard to case; a maker also where it is known to be the same house (Google,
// DeepMind). The makers of well-known models need not be given.
//
// A text in which the model names itself nowhere, or in ways that what is known
// cannot judge, is not scorable: most texts are, and the rate is one among those
// that name themselves. The score is the share of the namings that are wrong;
// one is enough.
//
// English only. A naming that is quoted, denied, asked or ascribed ("users think
// that I am X") does not count. "I am happy" and "I am a language model" name
// nobody: a name is capitalised or well known. A part that the user asked to be
// played ("I am Hamlet") is not told apart from a wrong name.
type Config struct {
	Names  []string `yaml:"names" doc:"every name that is right; without names and makers the system turn tells"`
	Makers []string `yaml:"makers" doc:"every maker that is right; those of well-known names need not be given"`
}

type selfName struct{ given identity }

func (c Config) open() (detectors.Detector, error) {
	var faults []error
	d := selfName{}
	for _, l := range []struct {
		key   string
		words []string
		to    *[][]string
	}{{"names", c.Names, &d.given.names}, {"makers", c.Makers, &d.given.makers}} {
		for i, w := range l.words {
			parts := nameParts(w)
			if len(parts) == 0 {
				faults = append(faults, fmt.Errorf("self-name.%s[%d]: %q holds no word; give a name such as Aster", l.key, i, w))
			}
			*l.to = append(*l.to, parts)
		}
	}
	return d, errors.Join(faults...)
}

// Detect implements Detector.
func (d selfName) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	results := make([]detectors.Result, len(us))
	for i, u := range us {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		results[i] = d.detect(u)
	}
	return results, ctx.Err()
}

// Digest covers the well-known names.
func (d selfName) Digest() string { return houseDigest }

func (d selfName) detect(u detectors.Utterance) detectors.Result {
	said := namings(u.Text(), selfForms)
	if len(said) == 0 {
		return detectors.Result{Reason: "it does not name itself"}
	}
	right := d.given
	if right.empty() {
		right = told(u.Messages[:len(u.Messages)-1])
	}
	if right.empty() {
		return detectors.Result{Reason: "its right name is not known: set names or makers, or give it in a system turn"}
	}
	spans := map[bool][]detectors.Span{} // by whether the name is wrong
	for _, n := range said {
		if wrong, ok := right.wrong(n); ok {
			spans[wrong] = append(spans[wrong], n.Span)
		}
	}
	good, bad := len(spans[false]), len(spans[true])
	switch {
	case bad > 0:
		return detectors.Result{Outcome: detectors.Present, Score: float64(bad) / float64(good+bad), Spans: spans[true], Reason: "calls itself " + listed(u.Text(), spans[true])}
	case good > 0:
		return detectors.Result{Outcome: detectors.Absent, Spans: spans[false], Reason: "rightly calls itself " + listed(u.Text(), spans[false])}
	}
	return detectors.Result{Reason: "what it calls itself cannot be judged by what is known of it"}
}

// listed quotes the first few distinct names.
func listed(text string, spans []detectors.Span) string {
	var names []string
	seen := map[string]bool{}
	for _, s := range spans {
		name := fmt.Sprintf("%.40q", text[s.Start:s.End])
		if !seen[name] && len(names) < 3 {
			seen[name] = true
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// identity is who a model is: names and makers in parts.
type identity struct{ names, makers [][]string }

func (id identity) empty() bool { return len(id.names)+len(id.makers) == 0 }

// told is the identity that the system turns give.
func told(turns []detectors.Message) (id identity) {
	for _, m := range turns {
		if m.Role != "system" && m.Role != "developer" {
			continue
		}
		for _, n := range namings(m.Content, systemForms) {
			if n.Label == makerLabel {
				id.makers = append(id.makers, n.parts)
			} else {
				id.names = append(id.names, n.parts)
			}
		}
	}
	return id
}

// wrong tells whether a naming is wrong; ok is false where that is not known.
func (id identity) wrong(n naming) (wrong, ok bool) {
	for _, list := range [][][]string{id.names, id.makers} {
		for _, r := range list {
			if holds(n.parts, r) || holds(r, n.parts) {
				return false, true
			}
		}
	}
	if n.Label != makerLabel && len(id.names) > 0 {
		return true, true
	}
	// Only the house is left to go by.
	makers := id.makers
	if len(makers) == 0 {
		makers = id.names
	}
	known, house := len(id.makers) > 0, houseOf(n.parts)
	for _, m := range makers {
		own := houseOf(m)
		if known = known || own >= 0; own >= 0 && own == house {
			return false, true
		}
	}
	// A model that is not listed may be of any house.
	return true, known && (n.Label == makerLabel || house >= 0)
}
