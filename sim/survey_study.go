package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// SurveyStudy is a survey that is ready to run: everything that it names is
// open. Nothing has been asked.
type SurveyStudy struct {
	File      *SurveyFile
	Record    SurveyRecord
	resources *resources
	watched   []watched
	subjects  []*asked
}

// SurveyRecord is what a ledger keeps of a survey, and what a report says of it.
type SurveyRecord struct {
	Digest     string              `json:"digest"` // of the survey as it was resolved
	Name       string              `json:"name"`
	Question   string              `json:"question,omitempty"`
	Seed       uint64              `json:"seed"`
	Draws      int                 `json:"draws"`
	Reference  string              `json:"reference,omitempty"`
	Subjects   []SubjectRecord     `json:"subjects"`
	Behaviours []lineage.Behaviour `json:"behaviours"`
	Detectors  []lineage.Detector  `json:"detectors"`
	Survey     string              `json:"survey"` // the YAML
}

// SubjectRecord is a subject by what it is. ID names what its answers depend on,
// so that a subject under another name, or in another survey, has the same ones.
type SubjectRecord struct {
	Name  string `json:"name"`
	About string `json:"about"`
	ID    string `json:"id"`
}

// watched is a behaviour with what it is asked by and judged by.
type watched struct {
	name   string
	judge  *Detector
	probes []probe
}

// probe is a conversation to be asked.
type probe struct {
	context  string
	key      string // digest of its turns
	question string // see Opening
	turns    []lineage.Message
}

// asked is a subject with its identity.
type asked struct {
	name string
	*Subject
	id     string
	recipe []byte
	source *source // of a stand-in
}

// CompileSurvey opens what the survey names.
func CompileSurvey(f *SurveyFile) (*SurveyStudy, error) {
	s := &SurveyStudy{File: f, resources: newResources(f.Dir, f.Means)}
	s.Record = SurveyRecord{Name: f.Survey.Name, Question: f.Question, Seed: f.Seed, Draws: f.Draws, Reference: f.Reference, Survey: f.Text}
	for _, name := range slices.Sorted(maps.Keys(f.Behaviours)) {
		if err := s.watch(name, f.Behaviours[name]); err != nil {
			return nil, s.fail(err)
		}
	}
	names := slices.Sorted(maps.Keys(f.Subjects))
	slices.SortStableFunc(names, func(a, b string) int { // the reference leads
		if a == b || a != f.Reference && b != f.Reference {
			return 0
		} else if a == f.Reference {
			return -1
		}
		return 1
	})
	for _, name := range names {
		x, err := s.subject(name, f.Subjects[name])
		if err != nil {
			return nil, s.fail(fmt.Errorf("subjects.%s: %w", name, err))
		}
		s.subjects = append(s.subjects, x)
		s.Record.Subjects = append(s.Record.Subjects, SubjectRecord{Name: name, About: x.describe(), ID: x.id})
	}
	data, err := json.Marshal(s.Record)
	if err != nil {
		return nil, s.fail(err)
	}
	s.Record.Digest = digest(data)
	return s, nil
}

func (s *SurveyStudy) fail(err error) error {
	s.Close()
	return &Invalid{[]Fault{{File: s.File.Name, Message: err.Error()}}}
}

// Close releases the files that the survey holds open.
func (s *SurveyStudy) Close() error { return s.resources.Close() }

// watch opens the detector that judges a behaviour, and its probes.
func (s *SurveyStudy) watch(name string, b *Behaviour) error {
	d, err := s.resources.detector(s.File.world, b.Detectors[0])
	if err != nil {
		return err
	}
	s.Record.Behaviours = append(s.Record.Behaviours, lineage.Behaviour{Name: name, Title: b.Title, About: b.About, Detectors: b.Detectors[:1]})
	record := lineage.Detector{Name: d.Name, Kind: d.Kind, Digest: d.Digest}
	if !slices.Contains(s.Record.Detectors, record) {
		s.Record.Detectors = append(s.Record.Detectors, record)
	}
	w := watched{name: name, judge: d}
	if b.Probes != "" {
		if w.probes, err = s.probes(b.Probes); err != nil {
			return err
		}
	}
	s.watched = append(s.watched, w)
	return nil
}

func (s *SurveyStudy) probes(name string) (all []probe, err error) {
	src, err := s.resources.source(s.File.world, name)
	if err != nil {
		return nil, err
	}
	var p lineage.Prompts
	if err := appendPrompts(&p, src, ""); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for i, turns := range p.Conversations {
		doc, err := src.Document(i)
		if err != nil {
			return nil, err
		}
		key, err := json.Marshal(turns)
		if err != nil {
			return nil, err
		}
		if known[string(key)] {
			continue // asked twice it would be one answer told twice
		}
		known[string(key)] = true
		all = append(all, probe{context: wordOf(doc.Extra["context"]), key: digest(key), question: Opening(turns, ""), turns: turns})
	}
	return all, nil
}

// wordOf is a JSON string as text, "" for anything else.
func wordOf(raw json.RawMessage) (text string) {
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// Opening names the question that a conversation answers: the digest of its
// user turns before the first assistant turn, or of otherwise where there are
// none. Answers with one opening are repeats of one question.
func Opening(messages []lineage.Message, otherwise string) string {
	var said [][]byte
	for _, m := range messages {
		if m.Role == "assistant" {
			break
		}
		if m.Role == "user" {
			said = append(said, []byte(m.Content))
			break
		}
	}
	if len(said) == 0 {
		said = [][]byte{[]byte("no question"), []byte(otherwise)}
	}
	return digest(said...)
}

// subject opens what a subject is made of and names it by that.
func (s *SurveyStudy) subject(name string, x *Subject) (*asked, error) {
	a := &asked{name: name, Subject: x}
	what := map[string]any{"kind": x.kind()}
	switch x.kind() {
	case "transcripts":
		sum, err := fileDigest(s.resources.path(x.Transcripts))
		if err != nil {
			return nil, err
		}
		what["file"], what["options"] = sum, json.RawMessage(canonical(&x.Options))
	case "stand-in":
		src, err := s.resources.source(s.File.world, x.Source)
		if err != nil {
			return nil, err
		}
		a.source = src
		what["backend"], what["config"], what["source"] = x.Backend.Kind, json.RawMessage(canonical(x.Backend.Config)), src.digest
		what["seed"] = s.File.Seed
	default:
		what["base_url"], what["model"] = x.Endpoint.BaseURL, x.Model
	}
	if x.kind() != "transcripts" {
		what["system"], what["temperature"], what["max_tokens"] = x.System, s.File.Temperature, s.File.MaxTokens
	}
	var err error
	if a.recipe, err = json.Marshal(what); err != nil {
		return nil, err
	}
	a.id = digest(a.recipe)
	return a, nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
