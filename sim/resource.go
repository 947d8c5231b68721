package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"go.yaml.in/yaml/v3"
)

// source is an opened pool of documents from outside.
type source struct {
	name, digest string
	corpus.Pool
}

// Detector is an opened detector under the name that an experiment gives it.
type Detector struct {
	Name, Kind, Digest string
	Server             bool // it needs a server of language models, or something that it is made of does
	detectors.Detector

	spec  *DetectorSpec
	uses  []*Detector // what it is made of
	alone *resources  // what it was opened with, where that is its own
}

// prompts are conversations to be asked, under their digest.
type prompts struct {
	digest string
	lineage.Prompts
}

// Means are what an experiment may use of the outside world beside its files.
// None of it is part of an experiment: a result that depends on an answer from
// outside depends on the answer, which is recorded.
type Means struct {
	Endpoint func(name string, s detectors.Server) (detectors.Endpoint, error) // nil: no servers
	Log      func(format string, args ...any)                                  // nil: silence
	Answers  lineage.Ledger                                                    // where answers of servers are recorded outside a run; nil: in memory
}

// resources are what the worlds of a study share: everything opened once.
type resources struct {
	dir       string
	means     Means
	sources   map[string]*source // by name and specification
	contents  map[string]*source // by digest
	detectors map[string]*Detector
	prompts   map[string]*prompts // by digest
	collected map[string]*prompts // by the sources that they are made of
	backends  map[string]lineage.Backend
	opening   []string // detectors that are being opened, each by the one before
	answers   *answers
	closers   []io.Closer
}

func newResources(dir string, m Means) *resources {
	r := &resources{
		dir: dir, means: m, sources: map[string]*source{}, contents: map[string]*source{}, detectors: map[string]*Detector{},
		prompts: map[string]*prompts{}, collected: map[string]*prompts{}, backends: map[string]lineage.Backend{},
		answers: newAnswers(),
	}
	r.answers.bind(m.Answers)
	return r
}

// Close closes everything once, however often it is called.
func (r *resources) Close() error {
	var first error
	closers := r.closers
	r.closers = nil
	for _, c := range closers {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (r *resources) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.dir, name)
}

// source opens a source of a world by name: of its sources, or of the catalogue.
func (r *resources) source(w *World, name string) (*source, error) {
	spec := w.Sources[name]
	if spec == nil {
		spec = &Source{Builtin: name}
	}
	key := name + " " + string(canonical(spec))
	if s := r.sources[key]; s != nil {
		return s, nil
	}
	s, err := r.open(name, spec)
	if err != nil {
		return nil, fmt.Errorf("sources.%s: %w", name, err)
	}
	if s.Len() == 0 {
		return nil, fmt.Errorf("sources.%s: no document of it is left; look at where, label and the file", name)
	}
	if s.Len() > 1<<31 {
		return nil, fmt.Errorf("sources.%s: %d documents are more than 2^31", name, s.Len())
	}
	r.sources[key] = s
	r.contents[s.digest] = s
	return s, nil
}

// byDigest finds an opened source by its content, nil where there is none.
func (r *resources) byDigest(digest string) *source { return r.contents[digest] }

func (r *resources) open(name string, spec *Source) (*source, error) {
	if spec.Builtin != "" {
		data, ok := catalogue.Corpus(spec.Builtin)
		if !ok {
			return nil, fmt.Errorf("%s", unknown("catalogue corpus", spec.Builtin, catalogue.Corpora()))
		}
		list, err := corpus.Parse(spec.Builtin+".jsonl", strings.NewReader(string(data)), spec.Options)
		if err != nil {
			return nil, err
		}
		return &source{name, digest(data, canonical(&spec.Options)), list}, nil
	}
	f, err := corpus.Open(r.path(spec.File), spec.Options)
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, f)
	return &source{name, f.Digest(), f}, nil
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

func (r *resources) backend(spec *BackendSpec) (lineage.Backend, error) {
	key := spec.Kind + " " + string(canonical(spec.Config))
	if b := r.backends[key]; b != nil {
		return b, nil
	}
	kind, _ := lineage.Lookup(spec.Kind)
	b, err := kind.Open(spec.Config)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", spec.Kind, err)
	}
	r.backends[key] = b
	return b, nil
}

// publishing gives the prompts of a source: its system and user turns.
func (r *resources) publishing(w *World, name string) (*prompts, error) {
	s, err := r.source(w, name)
	if err != nil {
		return nil, err
	}
	return r.asked(s.digest, func(p *lineage.Prompts) error { return appendPrompts(p, s, "") })
}

// asked makes the prompts of some sources once.
func (r *resources) asked(sources string, collect func(*lineage.Prompts) error) (*prompts, error) {
	if p, ok := r.collected[sources]; ok {
		return p, nil
	}
	var p lineage.Prompts
	if err := collect(&p); err != nil {
		return nil, err
	}
	kept, err := r.keep(p)
	r.collected[sources] = kept
	return kept, err
}

// questions gives the probe conversations of all behaviours, in their order, or
// nil where none is asked.
func (r *resources) questions(w *World) (*prompts, error) {
	var all []*source
	var of []string
	key := "questions"
	for _, name := range w.behaviourNames() {
		b := w.Behaviours[name]
		if b.Probes == "" {
			continue
		}
		s, err := r.source(w, b.Probes)
		if err != nil {
			return nil, err
		}
		all, of = append(all, s), append(of, name)
		key += " " + name + " " + s.digest
	}
	if len(all) == 0 {
		return nil, nil
	}
	return r.asked(key, func(p *lineage.Prompts) error {
		for i, s := range all {
			if err := appendPrompts(p, s, of[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func appendPrompts(p *lineage.Prompts, s *source, behaviour string) error {
	for i := range s.Len() {
		doc, err := s.Document(i)
		if err != nil {
			return err
		}
		var turns []lineage.Message
		users := 0
		for _, m := range doc.Messages {
			if m.Role == "user" {
				users++
			}
			if m.Role != "assistant" {
				turns = append(turns, m)
			}
		}
		if users == 0 || turns[len(turns)-1].Role != "user" {
			return fmt.Errorf("sources.%s: document %d cannot be asked: a prompt ends with a user turn", s.name, i+1)
		}
		p.Conversations = append(p.Conversations, turns)
		if behaviour != "" {
			p.Behaviours = append(p.Behaviours, behaviour)
		}
	}
	return nil
}

func (r *resources) keep(p lineage.Prompts) (*prompts, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	d := digest(data)
	if r.prompts[d] == nil {
		r.prompts[d] = &prompts{d, p}
	}
	return r.prompts[d], nil
}

// digest names content: 32 hexadecimal characters of its SHA-256, the length of
// each part included.
func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d ", len(p))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// canonical is a value as JSON with sorted keys, named as the experiment file
// names them, so that renaming a Go field changes no identity.
func canonical(v any) []byte {
	data, err := json.Marshal(plain(reflect.ValueOf(v)))
	if err != nil {
		panic(fmt.Sprintf("sim: %T cannot be canonical: %v", v, err))
	}
	return data
}

// plain turns a configuration into maps, lists and scalars.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		m := map[string]any{}
		fields(v, func(name string, field reflect.Value) { m[name] = plain(field) })
		return m
	case reflect.Map:
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[it.Key().String()] = plain(it.Value())
		}
		return m
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	}
	return v.Interface()
}

// fields goes over the fields with yaml tags, those of embedded structs
// included, that are part of an identity: the tag identity:"no" marks a setting
// that decides how fast an answer comes and never which.
func fields(v reflect.Value, each func(name string, field reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("identity") == "no" {
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
			each(name, v.Field(i))
		} else if f.Anonymous && f.Type.Kind() == reflect.Struct {
			fields(v.Field(i), each)
		}
	}
}
