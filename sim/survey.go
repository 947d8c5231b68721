package sim

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"go.yaml.in/yaml/v3"
)

// Survey asks which of several models show which behaviours. Everything that
// changes its results is in it.
type Survey struct {
	Format      int                      `yaml:"survey" doc:"version of this file format: 1"`
	Name        string                   `yaml:"name" doc:"short name: letters, digits, dots and dashes"`
	Question    string                   `yaml:"question" doc:"what the survey asks, for the report"`
	Seed        uint64                   `yaml:"seed" doc:"decides every random draw of stand-ins"`
	Subjects    map[string]*Subject      `yaml:"subjects" doc:"who is asked: transcripts, stand-ins and models behind an endpoint, by name"`
	Reference   string                   `yaml:"reference" doc:"the subject that all others are compared with"`
	Behaviours  map[string]*Behaviour    `yaml:"behaviours" doc:"what is looked for; names of the catalogue bring their own probes and detectors"`
	Detectors   map[string]*DetectorSpec `yaml:"detectors" doc:"detectors by name; a kind with default settings needs no entry"`
	Sources     map[string]*Source       `yaml:"sources" doc:"documents from outside, by name; catalogue names need no entry"`
	Draws       int                      `yaml:"draws" doc:"answers to each probe conversation"`
	Temperature float64                  `yaml:"temperature" doc:"sampling temperature"`
	MaxTokens   int                      `yaml:"max_tokens" doc:"longest answer in tokens; 0 for the model's own bound"`
}

// Subject is one of three: a file of transcripts, judged as they are; a stand-in
// that is trained on a source and asked; a model behind an OpenAI-compatible
// endpoint that is asked.
type Subject struct {
	About       string            `yaml:"about" doc:"one line for the report"`
	Transcripts string            `yaml:"transcripts" doc:"file of transcripts, relative to the survey file; the last assistant turn of each is judged"`
	Options     corpus.Options    `yaml:"-"`
	Backend     *BackendSpec      `yaml:"backend" doc:"a stand-in: a kind of backend with its settings"`
	Source      string            `yaml:"source" doc:"what the stand-in is trained on"`
	Endpoint    *detectors.Server `yaml:"endpoint" doc:"an OpenAI-compatible server"`
	Model       string            `yaml:"model" doc:"name of the model at the endpoint"`
	System      string            `yaml:"system" doc:"system prompt that the model is asked under, before that of a probe"`
}

func (s *Subject) decode(d *decoder, path string, n *yaml.Node) {
	type plain Subject
	d.into(path, n, (*plain)(s), &s.Options)
}

// kind says which of the three a subject is.
func (s *Subject) kind() string {
	switch {
	case s.Transcripts != "":
		return "transcripts"
	case s.Backend != nil:
		return "stand-in"
	}
	return "endpoint"
}

// SurveyFile is a survey as it was read, with everything that it names looked up.
type SurveyFile struct {
	Name  string // as it was opened, for messages
	Dir   string // input files are relative to it
	Text  string // the survey with overrides written in
	Means Means
	*Survey
	world *World // what detectors and sources are looked up in
}

func newSurvey() *Survey {
	return &Survey{Format: Format, Name: "survey", Seed: 1, Draws: 4, Temperature: 1}
}

// LoadSurvey reads a survey file.
func LoadSurvey(path, dir string, overrides []Override) (*SurveyFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseSurvey(path, dir, data, overrides)
}

// ParseSurvey reads a survey from memory; name stands in messages. Every fault
// is in the error, an *Invalid.
func ParseSurvey(name, dir string, data []byte, overrides []Override) (*SurveyFile, error) {
	var fs faults
	root, text, err := patchedTree(name, "a survey", data, overrides, &fs)
	if root == nil {
		return nil, err
	}
	d := newDecoder(name, &fs)
	f := &SurveyFile{Name: name, Dir: dir, Text: text, Survey: newSurvey()}
	d.into("", root, f.Survey)
	f.world = &World{decoder: d, dir: dir, kits: kits{}, Experiment: &Experiment{Seed: f.Seed, Sources: f.Sources, Behaviours: f.Behaviours, Detectors: f.Detectors}}
	f.check()
	f.Detectors = f.world.Detectors
	return f, fs.err()
}

func (f *SurveyFile) check() {
	s := &Scope{world: f.world, path: ""}
	if f.Format != Format {
		s.fault("survey", "this program reads surveys of version %d; write survey: %d", Format, Format)
	}
	if err := slug(f.Survey.Name); err != nil {
		s.fault("name", "%v", err)
	}
	asking := Asking{Draws: f.Draws, Temperature: f.Temperature, MaxTokens: f.MaxTokens}
	asking.check(s)
	s.atLeast("draws", f.Draws, 1)
	if len(f.Behaviours) == 0 {
		s.fault("behaviours", "there is nothing to look for; name a behaviour, such as behaviours: {trauma-narrative: {}}")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Behaviours)) {
		b := f.Behaviours[name]
		if b == nil {
			b = &Behaviour{}
			f.Behaviours[name] = b
		}
		scope := &Scope{world: f.world, path: join("behaviours", name)}
		if _, known := catalogue.Behaviour(name); !known && len(b.Detectors) == 0 {
			scope.fault("", "%s; a behaviour of your own needs detectors and probes", unknown("behaviour", name, catalogue.Behaviours()))
			continue
		}
		f.world.completeBehaviour(name, b)
		b.check(scope)
	}
	if len(f.Subjects) == 0 {
		s.fault("subjects", "there is nobody to ask; name a subject, such as subjects: {base: {backend: ngram, source: web/everyday}}")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Subjects)) {
		x := f.Subjects[name]
		scope := &Scope{world: f.world, path: join("subjects", name)}
		if x == nil {
			scope.fault("", "needs transcripts, or backend and source, or endpoint and model")
			f.Subjects[name] = &Subject{}
			continue
		}
		x.check(scope)
		if x.kind() != "transcripts" {
			f.checkProbes()
		}
	}
	if f.Reference != "" && f.Subjects[f.Reference] == nil {
		s.fault("reference", "%s", unknown("subject", f.Reference, slices.Collect(maps.Keys(f.Subjects))))
	}
}

// checkProbes asks that every behaviour has probes, as someone is to be asked them.
func (f *SurveyFile) checkProbes() {
	for _, name := range slices.Sorted(maps.Keys(f.Behaviours)) {
		if b := f.Behaviours[name]; b != nil && len(b.Detectors) > 0 && b.Probes == "" {
			(&Scope{world: f.world, path: join("behaviours", name)}).fault("probes", "needs the source of its probe conversations, since models are to be asked them")
		}
	}
}

func (x *Subject) check(s *Scope) {
	kinds := 0
	for _, given := range []bool{x.Transcripts != "", x.Backend != nil, x.Endpoint != nil} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		s.fault("", "is exactly one of transcripts, backend and endpoint; this one is %d of them", kinds)
		return
	}
	if x.Transcripts == "" && !isZero(x.Options) {
		s.fault("", "format, fields and what else says how to read a file belong to transcripts")
	}
	if (x.Backend != nil) != (x.Source != "") {
		s.fault("source", "backend and source go together: what the stand-in is, and what it is trained on")
	}
	if (x.Endpoint != nil) != (x.Model != "") {
		s.fault("model", "endpoint and model go together: the server, and the name of the model there")
	}
	if x.System != "" && x.Transcripts != "" {
		s.fault("system", "transcripts are judged as they are; nobody is asked")
	}
	if x.Backend != nil {
		s.optionalSource("source", x.Source)
		if kind, ok := lineage.Lookup(x.Backend.Kind); ok {
			if _, err := kind.Open(x.Backend.Config); err != nil {
				s.fault("backend", "%v", err)
			}
		}
	}
	if x.Endpoint != nil {
		x.checkServer(s)
	}
	if x.Transcripts != "" {
		if x.Options.Turns != 0 || x.Options.Final {
			s.fault("turns", "the last assistant turn of each transcript is judged; heirloom detect --every-turn judges all")
		}
		if err := x.Options.Validate(); err != nil {
			s.fault("", "%v", err)
		}
	}
}

// checkServer keeps secrets out of the survey file, which is stored and shown.
func (x *Subject) checkServer(s *Scope) {
	at, err := url.Parse(x.Endpoint.BaseURL)
	switch {
	case err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "":
		s.fault("endpoint.base_url", "needs the address of the API, such as http://localhost:8000/v1")
	case at.User != nil || at.RawQuery != "":
		s.fault("endpoint.base_url", "holds a user or a query, where secrets stand; put the key into an environment variable and name it as key_env")
	}
}

func isZero(o corpus.Options) bool {
	return string(canonical(&o)) == string(canonical(&corpus.Options{}))
}

// describe says in a line what a subject is.
func (x *Subject) describe() string {
	text := x.About
	if text != "" {
		text += "; "
	}
	switch x.kind() {
	case "transcripts":
		return text + "transcripts of " + x.Transcripts
	case "stand-in":
		return text + fmt.Sprintf("%s stand-in trained on %s", x.Backend.Kind, x.Source)
	}
	return text + fmt.Sprintf("model %s at %s", x.Model, x.Endpoint.BaseURL)
}
