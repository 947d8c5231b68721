package serve

import (
	"fmt"
	"slices"
	"time"
)

// state is what the journal comes to. Methods of Server read it locked.
type state struct {
	files   []*file // in the order in which they came
	jobs    []*job
	batches []*batch
	models  map[string]*served
	byID    map[string]any // *file, *job or *batch
}

// served is a model that can be asked, or be the base of a job.
type served struct {
	name    string
	root    string // the base model, for a fine-tune
	parent  string // the model that it was trained from
	blob    string // digest of its artifact
	job     string
	created int64
	base    *Model // of a base model
	adapter bool   // was loaded from outside
	hidden  bool   // a checkpoint: not listed
}

func (s *state) init() {
	s.models, s.byID = map[string]*served{}, map[string]any{}
}

func (s *state) addBase(m Model) {
	s.models[m.Name] = &served{name: m.Name, base: &m}
}

// apply has an entry take effect. It depends on nothing but the entries before.
func (s *state) apply(e entry) {
	at := time.Unix(0, e.At).Unix()
	for _, f := range e.Files {
		f.Created = at
		if f.ExpiresAfter > 0 {
			f.Expires = at + f.ExpiresAfter
		}
		s.files = append(s.files, f)
		s.byID[f.ID] = f
	}
	if e.Gone != "" {
		s.remove(e.Gone)
	}
	if e.Job != nil {
		j := &job{jobRecord: *e.Job, created: at, wake: make(chan struct{}, 1)}
		s.jobs = append(s.jobs, j)
		s.byID[j.ID] = j
		j.opened(at)
	}
	if e.Step != nil {
		if j, ok := s.byID[e.Step.Job].(*job); ok {
			j.step(*e.Step, at)
			s.finished(j, at)
		}
	}
	if e.Batch != nil {
		b := &batch{batchRecord: *e.Batch, created: at, status: "validating"}
		s.batches = append(s.batches, b)
		s.byID[b.ID] = b
	}
	if e.Advance != nil {
		if b, ok := s.byID[e.Advance.Batch].(*batch); ok {
			b.advance(*e.Advance, at)
		}
	}
}

// finished makes a model of a job that succeeded.
func (s *state) finished(j *job, at int64) {
	if j.status != succeeded || s.models[j.fineTuned] != nil {
		return
	}
	m := &served{name: j.fineTuned, root: j.Root, parent: j.Model, blob: j.blob, job: j.ID, created: at}
	s.models[m.name] = m
	for _, c := range j.checkpoints {
		alias := *m
		alias.name, alias.hidden = c.Model, true
		s.models[alias.name] = &alias
	}
}

func (s *state) remove(id string) {
	delete(s.models, id)
	if f, ok := s.byID[id].(*file); ok {
		s.files = slices.DeleteFunc(s.files, func(o *file) bool { return o == f })
		delete(s.byID, id)
	}
}

// rooted tells whether the base model of everything that was made is served.
func (s *state) rooted() error {
	roots := map[string]string{} // base model to what was made of it
	for _, j := range s.jobs {
		if !j.ended() {
			roots[j.Root] = j.ID
		}
	}
	for _, m := range s.models {
		if m.root != "" {
			roots[m.root] = m.name
		}
	}
	for root, what := range roots {
		if s.models[root] == nil {
			return fmt.Errorf("serve: the ledger has %s, made from %s, which is not among the base models; serve it too, or use another folder", what, root)
		}
	}
	return nil
}
