package sim

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"go.yaml.in/yaml/v3"
)

// Detector is an opened detector under the name that an experiment gives it.
type Detector struct {
	Name, Kind, Digest string
	Server             bool // it needs a server of language models, or something that it is made of does
	detectors.Detector

	spec  *DetectorSpec
	uses  []*Detector // what it is made of
	alone *resources  // what it was opened with, where that is its own
}

// detector opens a detector of a world by name: of its detectors, or a kind
// with default settings.
func (r *resources) detector(w *World, name string) (*Detector, error) {
	if d := r.detectors[name]; d != nil {
		return d, nil
	}
	spec := w.Detectors[name]
	if spec == nil {
		kind, ok := detectors.Lookup(name)
		if !ok {
			return nil, fmt.Errorf("%s", unknown("detector", name, w.detectorNames()))
		}
		spec = &DetectorSpec{Kind: name, Config: kind.Config()}
	}
	if i := slices.Index(r.opening, name); i >= 0 {
		return nil, fmt.Errorf("detectors.%s: is made of itself: %s", name, strings.Join(append(r.opening[i:], name), " → "))
	}
	r.opening = append(r.opening, name)
	d, err := r.openDetector(w, name, spec)
	r.opening = r.opening[:len(r.opening)-1]
	if err != nil {
		return nil, err
	}
	r.detectors[name] = d
	return d, nil
}

// openDetector opens a detector of a world, or one that stands alone where w is nil.
func (r *resources) openDetector(w *World, name string, spec *DetectorSpec) (*Detector, error) {
	kind, ok := detectors.Lookup(spec.Kind)
	if !ok {
		return nil, fmt.Errorf("detectors.%s: %s", name, unknown("detector", spec.Kind, detectorKinds()))
	}
	d := &Detector{Name: name, Kind: spec.Kind, Server: spec.server(), spec: spec}
	opened, err := kind.Open(r.env(w, d), spec.Config)
	if err != nil {
		return nil, fmt.Errorf("detectors.%s: %w", name, err)
	}
	if c, ok := opened.(io.Closer); ok {
		r.closers = append(r.closers, c)
	}
	d.Detector, d.Digest = opened, detectors.Digest(spec.Kind, canonical(spec.Config), opened)
	return d, nil
}

// OpenDetector opens a detector outside an experiment: a kind with settings
// given as overrides. Files that it names are relative to dir. Whoever calls it
// closes it.
func OpenDetector(kind, dir string, settings []Override, m Means) (*Detector, error) {
	spec, err := detectorSpec(kind, settings)
	if err != nil {
		return nil, err
	}
	r := newResources(dir, m)
	return r.alone(func() (*Detector, error) { return r.openDetector(nil, kind, spec) })
}

// DetectorSettings gives the configuration of a kind of detector, a pointer,
// with settings given as overrides.
func DetectorSettings(kind string, settings []Override) (any, error) {
	spec, err := detectorSpec(kind, settings)
	if err != nil {
		return nil, err
	}
	return spec.Config, nil
}

func detectorSpec(kind string, settings []Override) (*DetectorSpec, error) {
	tree := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, o := range append([]Override{{"kind", kind}}, settings...) {
		patched, err := o.on(tree)
		if err != nil {
			return nil, fmt.Errorf("--set %s: %w", o.Path, err)
		}
		tree = patched
	}
	var fs faults
	spec := new(DetectorSpec)
	spec.decode(newDecoder("detector "+kind, &fs), "", tree)
	return spec, fs.err()
}

// record is what a ledger knows of the detector.
func (d *Detector) record() lineage.Detector {
	rec := lineage.Detector{Name: d.Name, Kind: d.Kind, Digest: d.Digest}
	if who, ok := d.Detector.(detectors.Identified); ok {
		rec.Judge = who.Identity()
	}
	return rec
}

// Close releases what a detector that was opened alone holds, with all that it is made
// of. Those of a study are closed with it.
func (d *Detector) Close() error {
	if d.alone == nil {
		return nil
	}
	return d.alone.Close()
}

// alone opens one detector with resources of its own.
func (r *resources) alone(open func() (*Detector, error)) (*Detector, error) {
	d, err := open()
	if err != nil {
		r.Close()
		return nil, err
	}
	d.alone = r
	return d, nil
}

// Detector opens one detector of an experiment by name, or a kind with its defaults.
func (f *File) Detector(name string) (*Detector, error) {
	w := f.Worlds[0]
	if w.Detectors[name] == nil {
		if _, ok := detectors.Lookup(name); !ok {
			known := append(slices.Collect(maps.Keys(w.Detectors)), detectorKinds()...)
			return nil, &Invalid{[]Fault{{File: f.Name, Path: "detectors", Message: unknown("detector", name, known)}}}
		}
	}
	r := newResources(f.Dir, f.Means)
	return r.alone(func() (*Detector, error) { return r.detector(w, name) })
}

// CatalogueDetector opens a detector that a behaviour of the catalogue brings; ok is
// false where none has the name.
func CatalogueDetector(name string, m Means) (d *Detector, ok bool, err error) {
	for _, behaviour := range catalogue.Behaviours() {
		k := catalogueKit(behaviour, new(faults))
		if k.Instruments[name] != nil {
			r := newResources("", m)
			d, err = r.alone(func() (*Detector, error) { return r.detector(k.world(), name) })
			return d, true, err
		}
	}
	return nil, false, nil
}

// CatalogueDetectors lists the detectors that behaviours of the catalogue bring.
func CatalogueDetectors() (names []string) {
	for _, behaviour := range catalogue.Behaviours() {
		for name := range catalogueKit(behaviour, new(faults)).Instruments {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Detectors opens the detectors that an experiment's behaviours use. Whoever
// calls it closes them.
func (f *File) Detectors() ([]*Detector, error) {
	s := &Study{resources: newResources(f.Dir, f.Means), truths: map[string]*Truth{}}
	if err := s.watch(f.Worlds[0]); err != nil {
		s.Close()
		return nil, err
	}
	for _, d := range s.detectors {
		d.alone = s.resources
	}
	return s.detectors, nil
}

// detect is Detect with its contract checked.
func (d *Detector) detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	results, err := d.Detect(ctx, us)
	if err != nil {
		return nil, fmt.Errorf("detector %s: %w", d.Name, err)
	}
	if len(results) != len(us) {
		return nil, fmt.Errorf("detector %s: gave %d results for %d texts", d.Name, len(results), len(us))
	}
	return results, nil
}
