package serve

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

func (s *Server) createJob(w http.ResponseWriter, r *http.Request) error {
	var q jobRequest
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	record, err := q.record()
	if err != nil {
		return err
	}
	if err := s.resolve(&record); err != nil {
		return err
	}
	s.mu.Lock()
	err = s.commitLocked(func(n int) entry {
		record.N, record.ID, record.Fate = n, s.journal.name("ftjob-", n), s.script.fate("job")
		if record.Seed < 0 {
			record.Seed = int64(s.journal.draw("job seed", n) >> 33)
		}
		return entry{Job: &record}
	})
	if err != nil {
		s.mu.Unlock()
		return err
	}
	j := s.state.byID[record.ID].(*job)
	view := j.view()
	s.begin(j)
	s.mu.Unlock()
	s.counting.add(func(c *Counts) { c.Jobs++ })
	return reply(w, view)
}

// resolve finds what a job names.
func (s *Server) resolve(j *jobRecord) error {
	training, err := s.file("training_file", j.TrainingFile)
	if err != nil {
		return bad("training_file", "invalid_training_file", "training_file: there is no file %.80q", j.TrainingFile)
	}
	j.TrainingBlob = training.Blob
	if j.ValidationFile != "" {
		validation, err := s.file("validation_file", j.ValidationFile)
		if err != nil {
			return bad("validation_file", "invalid_validation_file", "validation_file: there is no file %.80q", j.ValidationFile)
		}
		j.ValidationBlob = validation.Blob
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.state.models[j.Model]
	if m == nil || m.adapter {
		return bad("model", "model_not_available", "model: %.80q is not available for fine-tuning or does not exist", j.Model)
	}
	if j.Root = m.root; j.Root == "" {
		j.Root = m.name
	}
	if training.Purpose != "fine-tune" {
		return bad("training_file", "invalid_file_purpose", "training_file: %s has the purpose %s, not fine-tune", training.ID, training.Purpose)
	}
	if base := s.state.models[j.Root].base; !slices.Contains(base.Learners, j.learner()) {
		return bad("method", "unsupported_method", "method: what serves %s cannot train by %s", j.Model, j.Method)
	}
	return nil
}

// linger waits for Patience, until what a request looks at has ended.
func (s *Server) linger(r *http.Request, ended func() bool) {
	for end := time.Now().Add(s.options.Patience); time.Now().Before(end) && r.Context().Err() == nil && s.ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		s.mu.RLock()
		over := ended()
		s.mu.RUnlock()
		if over {
			return
		}
	}
}

// withJob finds a job; the server is locked while f looks at it.
func (s *Server) withJob(r *http.Request, f func(*job) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("id")
	j, ok := s.state.byID[id].(*job)
	if !ok {
		return missing("fine_tuning_job_id", "fine_tune_not_found", "there is no fine-tuning job %.80q", id)
	}
	return f(j)
}

func (s *Server) getJob(w http.ResponseWriter, r *http.Request) error {
	s.linger(r, func() bool {
		j, ok := s.state.byID[r.PathValue("id")].(*job)
		return !ok || j.ended() || j.status == paused
	})
	var v jobView
	if err := s.withJob(r, func(j *job) error { v = j.view(); return nil }); err != nil {
		return err
	}
	return reply(w, v)
}

func (s *Server) listJobs(w http.ResponseWriter, r *http.Request) error {
	wanted := map[string]string{}
	for key, values := range r.URL.Query() {
		if name, ok := strings.CutPrefix(key, "metadata["); ok && strings.HasSuffix(name, "]") {
			wanted[strings.TrimSuffix(name, "]")] = values[0]
		}
	}
	bare := r.URL.Query().Get("metadata") == "null"
	s.mu.RLock()
	all := []jobView{}
	for _, j := range slices.Backward(s.state.jobs) {
		if has(j.Metadata, wanted) && !(bare && len(j.Metadata) > 0) {
			all = append(all, j.view())
		}
	}
	s.mu.RUnlock()
	id := func(j jobView) string { return j.ID }
	cut, more, err := page(r, all, id, 20, 100)
	if err != nil {
		return err
	}
	return reply(w, newList(cut, more, id))
}

func has(metadata, wanted map[string]string) bool {
	for k, v := range wanted {
		if got, ok := metadata[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// turn changes the state of a job by request.
func (s *Server) turn(w http.ResponseWriter, r *http.Request, to string, from ...string) error {
	var v jobView
	err := s.withJob(r, func(j *job) error {
		if !slices.Contains(from, j.status) {
			return bad("", "invalid_job_state", "the job %s is %s; that can be done to one that is %s", j.ID, j.status, strings.Join(from, ", "))
		}
		next := to
		if to == running { // as it was before
			next = j.before
		}
		if err := s.commitLocked(func(int) entry { return entry{Step: &step{Job: j.ID, Status: next, Asked: true}} }); err != nil {
			return err
		}
		if to == cancelled && j.end != nil {
			j.end()
		}
		select {
		case j.wake <- struct{}{}:
		default:
		}
		v = j.view()
		return nil
	})
	if err != nil {
		return err
	}
	return reply(w, v)
}

func (s *Server) cancelJob(w http.ResponseWriter, r *http.Request) error {
	return s.turn(w, r, cancelled, validating, queued, running, paused)
}

func (s *Server) pauseJob(w http.ResponseWriter, r *http.Request) error {
	return s.turn(w, r, paused, validating, queued, running)
}

func (s *Server) resumeJob(w http.ResponseWriter, r *http.Request) error {
	return s.turn(w, r, running, paused)
}
