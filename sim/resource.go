package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// source is an opened pool of documents from outside.
type source struct {
	name, digest string
	mean         float64 // tokens a document, once they were counted
	corpus.Pool
	pairs bool // its documents have a rejected side
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
	Price    func(address, model string) (Price, bool)                         // of what detectors ask; nil: no price is known
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
	settings  map[string][]byte // of backends, with those that are part of no identity
	opening   []string          // detectors that are being opened, each by the one before
	answers   *answers
	purse     lineage.Purse // of a run that goes on; nil outside of one
	closers   []io.Closer
}

func newResources(dir string, m Means) *resources {
	r := &resources{
		dir: dir, means: m, sources: map[string]*source{}, contents: map[string]*source{}, detectors: map[string]*Detector{},
		prompts: map[string]*prompts{}, collected: map[string]*prompts{}, backends: map[string]lineage.Backend{}, settings: map[string][]byte{},
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
	if s.pairs, err = paired(s); err != nil {
		return nil, fmt.Errorf("sources.%s: %w", name, err)
	}
	if s.Len() > 1<<31 {
		return nil, fmt.Errorf("sources.%s: %d documents are more than 2^31", name, s.Len())
	}
	r.sources[key] = s
	r.contents[s.digest] = s
	return s, nil
}

// paired tells whether the documents of a source are pairs, by the first one.
func paired(s *source) (bool, error) {
	doc, err := s.Document(0)
	return doc.Rejected != nil, err
}

// byDigest finds an opened source by its content, nil where there is none.
func (r *resources) byDigest(digest string) *source { return r.contents[digest] }

func (r *resources) open(name string, spec *Source) (*source, error) {
	if g := spec.Generate; g != nil {
		return &source{name: name, digest: digest([]byte(generateVersion), canonical(g)), Pool: g.documents()}, nil
	}
	if spec.Builtin != "" {
		data, ok := catalogue.Corpus(spec.Builtin)
		if !ok {
			return nil, fmt.Errorf("%s", unknown("catalogue corpus", spec.Builtin, catalogue.Corpora()))
		}
		list, err := corpus.Parse(spec.Builtin+".jsonl", strings.NewReader(string(data)), spec.Options)
		if err != nil {
			return nil, err
		}
		return &source{name: name, digest: digest(data, canonical(&spec.Options)), Pool: list}, nil
	}
	f, err := corpus.Open(r.path(spec.File), spec.Options)
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, f)
	return &source{name: name, digest: f.Digest(), Pool: f}, nil
}

func (r *resources) backend(spec *BackendSpec) (lineage.Backend, error) {
	key := spec.Kind + " " + string(canonical(spec.Config))
	whole, err := json.Marshal(spec.Config)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", spec.Kind, err)
	}
	if b := r.backends[key]; b != nil {
		// One backend serves all whose models are the same; that another would
		// be asked elsewhere, or with another key, must not pass in silence.
		if !bytes.Equal(r.settings[key], whole) {
			return nil, fmt.Errorf("backend %s: two lines or arms differ in settings of it that change no result (an address, a key, a limit), and one backend serves both; give them the same", spec.Kind)
		}
		return b, nil
	}
	r.settings[key] = whole
	kind, _ := lineage.Lookup(spec.Kind)
	b, err := kind.Open(spec.Config)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", spec.Kind, err)
	}
	r.backends[key] = b
	if c, ok := b.(io.Closer); ok {
		r.closers = append(r.closers, c)
	}
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
