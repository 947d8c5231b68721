package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// env is what a detector may use of the world while and after it is opened; w is
// nil for one that stands alone. It notes on the detector what it is made of.
func (r *resources) env(w *World, d *Detector) detectors.Env {
	kit := d.spec.kit
	env := detectors.Env{Dir: r.dir, Log: r.means.Log}
	if kit != nil && kit.Folder != "" {
		env.Dir = kit.Folder
	}
	env.Open = func(file string) (io.ReadCloser, error) { return r.file(w, kit, file) }
	if r.means.Endpoint != nil {
		env.Endpoint = func(name string, s detectors.Server) (detectors.Endpoint, error) {
			d.Server = true
			return r.endpoint(name, s)
		}
	}
	if w != nil {
		env.Detector = func(name string) (detectors.Detector, string, error) {
			part, err := r.detector(w, name)
			if err != nil {
				return nil, "", err
			}
			d.uses, d.Server = append(d.uses, part), d.Server || part.Server
			return part.Detector, part.Digest, nil
		}
	}
	return env
}

// file opens what a detector reads: NAME/training.jsonl and NAME/rubric.txt are made
// from a behaviour; all else stands beside the experiment, or beside the behaviour
// that brought the detector.
func (r *resources) file(w *World, kit *Kit, name string) (io.ReadCloser, error) {
	dir := r.dir
	if kit != nil && kit.Folder != "" {
		dir = kit.Folder
	}
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(dir, name)
	}
	behaviour, file := strings.TrimSuffix(filepath.ToSlash(filepath.Dir(name)), "/"), filepath.Base(name)
	if file == "training.jsonl" || file == "rubric.txt" {
		if text, ok, err := made(w, kit, behaviour, file); ok || err != nil {
			return io.NopCloser(bytes.NewReader(text)), err
		}
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && (file == "training.jsonl" || file == "rubric.txt") {
		return nil, fmt.Errorf("%w, and there is no behaviour %q that it could be made from", err, behaviour)
	}
	return f, err
}

// made gives the training rows or the rubric of a behaviour: of the one that brought
// the detector, of the experiment, of the catalogue. ok is false where none has the
// name.
func made(w *World, kit *Kit, behaviour, file string) (text []byte, ok bool, err error) {
	of, rubric := (*Kit)(nil), ""
	switch {
	case kit != nil && kit.called(behaviour):
		of, rubric = kit, kit.Rubric
	case w != nil && w.Behaviours[behaviour] != nil:
		of, rubric = w.Behaviours[behaviour].kit, w.Behaviours[behaviour].Rubric
	default:
		for _, name := range catalogue.Behaviours() {
			if name == behaviour {
				of = catalogueKit(name, new(faults))
				rubric = of.Rubric
			}
		}
		if of == nil {
			return nil, false, nil
		}
	}
	if w != nil && w.Behaviours[behaviour] != nil {
		rubric = or(w.Behaviours[behaviour].Rubric, rubric)
	}
	if file == "rubric.txt" {
		if rubric == "" {
			return nil, false, fmt.Errorf("the behaviour %s has no rubric; write one under rubric in its behaviour.yaml, or in the experiment under behaviours.%s.rubric", behaviour, behaviour)
		}
		return []byte(strings.TrimSpace(rubric) + "\n"), true, nil
	}
	if of == nil {
		return nil, false, nil
	}
	text, err = of.training()
	return text, err == nil, err
}
