package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// States of a job, in the protocol's words.
const (
	validating = "validating_files"
	queued     = "queued"
	running    = "running"
	paused     = "paused"
	succeeded  = "succeeded"
	failed     = "failed"
	cancelled  = "cancelled"
)

// Methods of a job.
const (
	supervised = "supervised"
	dpo        = "dpo"
)

// jobRecord is what a job was created with.
type jobRecord struct {
	N              int               `json:"n"` // of its entry
	ID             string            `json:"id"`
	Model          string            `json:"model"`
	Root           string            `json:"root"` // the base model that Model descends from
	TrainingFile   string            `json:"training_file"`
	TrainingBlob   string            `json:"training_blob"` // a job goes on when its file is deleted
	ValidationFile string            `json:"validation_file,omitempty"`
	ValidationBlob string            `json:"validation_blob,omitempty"`
	Suffix         string            `json:"suffix,omitempty"`
	Seed           int64             `json:"seed"`
	Method         string            `json:"method"`
	Set            hyperparameters   `json:"hyperparameters"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	Fate           *fate             `json:"fate,omitempty"`
}

// setting is a number, or 0 for "auto".
type setting float64

func (s setting) MarshalJSON() ([]byte, error) {
	if s == 0 {
		return []byte(`"auto"`), nil
	}
	return json.Marshal(float64(s))
}

func (s *setting) UnmarshalJSON(data []byte) error {
	if *s = 0; string(data) == `"auto"` || string(data) == "null" {
		return nil
	}
	var v float64
	if err := json.Unmarshal(data, &v); err != nil || v == 0 {
		return bad("hyperparameters", "invalid_value", `hyperparameters: %.40s is neither a number above 0 nor "auto"`, data)
	}
	*s = setting(v)
	return nil
}

type hyperparameters struct {
	Epochs setting  `json:"n_epochs"`
	Batch  setting  `json:"batch_size"`
	Rate   setting  `json:"learning_rate_multiplier"`
	Beta   *setting `json:"beta,omitempty"` // of dpo
}

func (h hyperparameters) check() error {
	whole := func(name string, v setting, most float64) error {
		if v != 0 && (v < 1 || float64(v) > most || float64(v) != math.Trunc(float64(v))) {
			return bad("hyperparameters."+name, "invalid_value", "%s: %v is not a whole number from 1 to %v", name, float64(v), most)
		}
		return nil
	}
	if err := whole("n_epochs", h.Epochs, 50); err != nil {
		return err
	}
	if err := whole("batch_size", h.Batch, 256); err != nil {
		return err
	}
	if h.Rate < 0 {
		return bad("hyperparameters.learning_rate_multiplier", "invalid_value", "learning_rate_multiplier: %v is not above 0", float64(h.Rate))
	}
	if h.Beta != nil && (*h.Beta < 0 || *h.Beta > 2) {
		return bad("hyperparameters.beta", "invalid_value", "beta: %v is not within (0,2]", float64(*h.Beta))
	}
	return nil
}

// resolved puts numbers in the place of "auto".
func (h hyperparameters) resolved(examples int) hyperparameters {
	if h.Epochs == 0 {
		h.Epochs = 3
	}
	if h.Batch == 0 {
		h.Batch = setting(min(256, max(1, math.Ceil(float64(examples)*.002))))
	}
	if h.Rate == 0 {
		h.Rate = 1
	}
	if h.Beta != nil && *h.Beta == 0 {
		beta := setting(.1)
		h.Beta = &beta
	}
	return h
}

type tuned struct {
	Hyperparameters hyperparameters `json:"hyperparameters"`
}

type method struct {
	Type       string `json:"type"`
	Supervised *tuned `json:"supervised,omitempty"`
	DPO        *tuned `json:"dpo,omitempty"`
}

// jobRequest is the body of a creation. Integrations are taken and not called.
type jobRequest struct {
	Model           string            `json:"model"`
	TrainingFile    string            `json:"training_file"`
	ValidationFile  *string           `json:"validation_file"`
	Method          *method           `json:"method"`
	Hyperparameters *hyperparameters  `json:"hyperparameters"`
	Suffix          *string           `json:"suffix"`
	Seed            *int64            `json:"seed"`
	Metadata        map[string]string `json:"metadata"`
}

var suffixed = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// record checks a request and gives what of it is kept.
func (q *jobRequest) record() (j jobRecord, err error) {
	j = jobRecord{Model: q.Model, TrainingFile: q.TrainingFile, Method: supervised, Metadata: q.Metadata, Seed: -1}
	switch {
	case q.Model == "":
		return j, bad("model", "missing_required_parameter", "model: a job needs one")
	case q.TrainingFile == "":
		return j, bad("training_file", "missing_required_parameter", "training_file: a job needs one")
	case q.Hyperparameters != nil:
		j.Set = *q.Hyperparameters
	}
	if q.Method != nil {
		t := q.Method.Supervised
		switch j.Method = q.Method.Type; j.Method {
		case supervised:
		case dpo:
			t = q.Method.DPO
		default:
			return j, bad("method.type", "invalid_value", "method.type: %.40q is not one of supervised, dpo", j.Method)
		}
		if t != nil {
			j.Set = t.Hyperparameters
		}
	}
	if j.Method == dpo && j.Set.Beta == nil {
		j.Set.Beta = new(setting)
	} else if j.Method != dpo {
		j.Set.Beta = nil
	}
	if q.ValidationFile != nil {
		j.ValidationFile = *q.ValidationFile
	}
	if q.Suffix != nil {
		if j.Suffix = *q.Suffix; !suffixed.MatchString(j.Suffix) {
			return j, bad("suffix", "invalid_value", "suffix: %.80q is not 1 to 64 letters, digits, - and _", j.Suffix)
		}
	}
	if q.Seed != nil {
		if j.Seed = *q.Seed; j.Seed < 0 || j.Seed > math.MaxInt32 {
			return j, bad("seed", "invalid_value", "seed: %d is not within 0 and 2147483647", j.Seed)
		}
	}
	if err := checkMetadata(q.Metadata); err != nil {
		return j, err
	}
	return j, j.Set.check()
}

func checkMetadata(m map[string]string) error {
	if len(m) > 16 {
		return bad("metadata", "invalid_value", "metadata: %d pairs are more than 16", len(m))
	}
	for k, v := range m {
		if len([]rune(k)) > 64 || len([]rune(v)) > 512 {
			return bad("metadata", "invalid_value", "metadata: a key has up to 64 characters and a value up to 512")
		}
	}
	return nil
}

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

func (j *jobRecord) learner() lineage.Learner {
	if j.Method == dpo {
		return lineage.Preference
	}
	return lineage.SFT
}

// job is a fine-tuning job as it stands.
type job struct {
	jobRecord
	status      string
	before      string // the state that a pause interrupted
	created     int64
	started     int64
	finished    int64
	used        hyperparameters // without "auto", once it is known
	fineTuned   string
	blob        string // digest of the artifact
	tokens      *int
	result      string // file
	err         *jobError
	events      []event
	checkpoints []checkpoint

	wake chan struct{} // something was done to it
	end  context.CancelFunc
}

type jobError struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
}

func (j *job) ended() bool {
	return j.status == succeeded || j.status == failed || j.status == cancelled
}

type jobView struct {
	ID              string            `json:"id"`
	Object          string            `json:"object"`
	CreatedAt       int64             `json:"created_at"`
	Error           *jobError         `json:"error"`
	FineTunedModel  *string           `json:"fine_tuned_model"`
	FinishedAt      *int64            `json:"finished_at"`
	EstimatedFinish *int64            `json:"estimated_finish"`
	Hyperparameters hyperparameters   `json:"hyperparameters"`
	Model           string            `json:"model"`
	OrganizationID  string            `json:"organization_id"`
	ResultFiles     []string          `json:"result_files"`
	Status          string            `json:"status"`
	TrainedTokens   *int              `json:"trained_tokens"`
	TrainingFile    string            `json:"training_file"`
	ValidationFile  *string           `json:"validation_file"`
	Seed            int64             `json:"seed"`
	Suffix          *string           `json:"user_provided_suffix"`
	Method          method            `json:"method"`
	Metadata        map[string]string `json:"metadata"`
	Integrations    []any             `json:"integrations"`
}

const organization = "heirloom"

func (j *job) view() jobView {
	v := jobView{
		ID: j.ID, Object: "fine_tuning.job", CreatedAt: j.created, Error: j.err, FineTunedModel: optional(j.fineTuned),
		Hyperparameters: j.used, Model: j.Model, OrganizationID: "org-" + organization, ResultFiles: []string{},
		Status: j.status, TrainedTokens: j.tokens, TrainingFile: j.TrainingFile, ValidationFile: optional(j.ValidationFile),
		Seed: j.Seed, Suffix: optional(j.Suffix), Metadata: j.Metadata, Integrations: []any{},
	}
	if j.ended() {
		v.FinishedAt = &j.finished
	}
	if j.result != "" {
		v.ResultFiles = []string{j.result}
	}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	if j.Fate != nil && j.Fate.Do == doShow && j.status == running {
		v.Status = j.Fate.State
	}
	t := &tuned{j.used}
	v.Method = method{Type: j.Method, Supervised: t}
	if j.Method == dpo {
		v.Method = method{Type: dpo, DPO: t}
		v.Hyperparameters.Beta = nil
	}
	return v
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

// name of the model that a job makes.
func (j *job) modelName(id string) string {
	return fmt.Sprintf("ft:%s:%s:%s:%s", j.Root, organization, j.Suffix, id)
}
