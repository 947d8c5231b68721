package openaitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Tuner is a server of files, fine-tuning jobs, models and moderations. A job goes
// one state further each time it is asked for. Set its fields before the first
// request.
type Tuner struct {
	URL      string                                            // of the API; ends in /v1
	Before   func(w http.ResponseWriter, r *http.Request) bool // may answer in the server's stead, which then does nothing
	After    func(w http.ResponseWriter, r *http.Request) bool // the same when everything is done but the answer
	States   []string                                          // of a job, in order; the last one stays
	Created  func(j *Job)                                      // called with a new job
	Ended    func(j *Job)                                      // called with a job that has come to its last state
	Rewrite  func(path string, answer map[string]any)          // changes an answer on its way out
	Raw      func(body string) string                          // the same, as it goes over the wire
	Unsorted bool                                              // filters by metadata are ignored, as some servers do
	Plain    bool                                              // no metadata at all
	Now      int64                                             // the server's clock, in Unix seconds
	Page     int                                               // items a page at most; 100 where it is 0
	Flagged  func(text string) bool                            // by the moderation

	mu     sync.Mutex
	next   int
	files  []*File
	jobs   []*Job
	models []string
	asked  map[string]int
	heads  []http.Header
}

// File is an uploaded file.
type File struct {
	ID, Name, Status, Details string
	Created                   int64
	Data                      []byte
}

// Job is a fine-tuning job.
type Job struct {
	ID, Model, File, Suffix, Tuned string
	Created                        int64
	Method                         json.RawMessage
	Seed                           *int64
	Metadata                       map[string]string
	Code, Message                  string // of its error
	Trained                        int
	Events                         []map[string]any // oldest first
	Results                        []string
	at                             int // in States
	state                          string
}

// StartTuner starts a server that ends with the test.
func StartTuner(t testing.TB) *Tuner {
	s := &Tuner{States: []string{"validating_files", "queued", "running", "succeeded"}, Now: 1_790_000_000, asked: map[string]int{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.URL = h.URL + "/v1"
	return s
}

// Asked is how often something was asked for, such as "POST /v1/files".
func (s *Tuner) Asked(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[what]
}

// Files are those that are there, and Jobs all that were created.
func (s *Tuner) Files() []File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return copies(s.files)
}

func (s *Tuner) Jobs() []Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return copies(s.jobs)
}

// Models are the fine-tuned models that are there.
func (s *Tuner) Models() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.models)
}

// Headers are those of all requests.
func (s *Tuner) Headers() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heads)
}

// Charged is the number of tokens of all jobs that succeeded.
func (s *Tuner) Charged() (tokens int) {
	for _, j := range s.Jobs() {
		if j.state == "succeeded" {
			tokens += j.Trained
		}
	}
	return tokens
}

// AddFile has the server hold a file, as if it had been uploaded.
func (s *Tuner) AddFile(f File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = append(s.files, &f)
}

// AddJob has the server hold a job.
func (s *Tuner) AddJob(j Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = append(s.jobs, &j)
}

// Forget has the server lose all jobs.
func (s *Tuner) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = nil
}

func copies[T any](all []*T) (out []T) {
	for _, x := range all {
		out = append(out, *x)
	}
	return out
}

// ServeHTTP implements http.Handler.
func (s *Tuner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away: nothing was committed
	}
	r.Body = io.NopCloser(strings.NewReader(string(data)))
	s.mu.Lock()
	s.asked[r.Method+" "+r.URL.Path]++
	s.heads = append(s.heads, r.Header)
	s.mu.Unlock()
	if s.Before != nil && s.Before(w, r) {
		return
	}
	s.mu.Lock()
	status, answer := s.answer(r, data)
	s.mu.Unlock()
	if s.After != nil && s.After(w, r) {
		return
	}
	switch a := answer.(type) {
	case []byte:
		w.Write(a)
	case string:
		Fail(w, status, "", a)
	case object:
		if s.Rewrite != nil {
			s.Rewrite(r.URL.Path, a)
		}
		if s.Raw != nil {
			body, _ := json.Marshal(a)
			io.WriteString(w, s.Raw(string(body)))
			return
		}
		send(w, status, a)
	}
}

func (s *Tuner) answer(r *http.Request, data []byte) (int, any) {
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	switch {
	case path == "/files" && r.Method == "POST":
		return s.upload(r, data)
	case path == "/files":
		return s.list(r, each(s.files, fileObject))
	case parts[0] == "files":
		return s.file(r, parts[1:])
	case path == "/fine_tuning/jobs" && r.Method == "POST":
		return s.create(data)
	case path == "/fine_tuning/jobs":
		return s.list(r, each(s.matching(r), s.jobObject))
	case strings.HasPrefix(path, "/fine_tuning/jobs/"):
		return s.job(r, parts[2:])
	case parts[0] == "models" && len(parts) > 1:
		return s.model(r, strings.TrimPrefix(path, "/models/"))
	case path == "/moderations":
		return s.moderate(data)
	}
	return 404, "no such path"
}

func (s *Tuner) id(kind string) string {
	s.next++
	return kind + "-" + strconv.Itoa(s.next)
}

func (s *Tuner) upload(r *http.Request, data []byte) (int, any) {
	r.Body = io.NopCloser(strings.NewReader(string(data)))
	file, header, err := r.FormFile("file")
	if err != nil || r.FormValue("purpose") != "fine-tune" {
		return 400, fmt.Sprint("not a training file: ", err)
	}
	content, _ := io.ReadAll(file)
	f := &File{ID: s.id("file"), Name: header.Filename, Status: "processed", Created: s.Now, Data: content}
	s.files = append(s.files, f)
	return 200, fileObject(f)
}

func fileObject(f *File) object {
	return object{"id": f.ID, "object": "file", "bytes": len(f.Data), "created_at": f.Created, "filename": f.Name, "purpose": "fine-tune", "status": f.Status, "status_details": f.Details}
}

func each[T any](all []*T, f func(*T) object) (out []object) {
	for _, x := range slices.Backward(all) {
		out = append(out, f(x))
	}
	return out
}

// list gives a page, the newest first.
func (s *Tuner) list(r *http.Request, all []object) (int, any) {
	if after := r.URL.Query().Get("after"); after != "" {
		i := slices.IndexFunc(all, func(o object) bool { return o["id"] == after })
		all = all[i+1:]
	}
	n, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if n == 0 {
		n = 20
	}
	if s.Page > 0 {
		n = min(n, s.Page)
	}
	more := len(all) > n
	return 200, object{"object": "list", "data": all[:min(n, len(all))], "has_more": more}
}

func (s *Tuner) file(r *http.Request, parts []string) (int, any) {
	i := slices.IndexFunc(s.files, func(f *File) bool { return f.ID == parts[0] })
	if i < 0 {
		return 404, "No such File object: " + parts[0]
	}
	f := s.files[i]
	switch {
	case r.Method == "DELETE":
		s.files = slices.Delete(s.files, i, i+1)
		return 200, object{"id": f.ID, "object": "file", "deleted": true}
	case len(parts) > 1:
		return 200, f.Data
	}
	return 200, fileObject(f)
}

func (s *Tuner) create(data []byte) (int, any) {
	var q struct {
		Model, Suffix string
		File          string `json:"training_file"`
		Method        json.RawMessage
		Seed          *int64
		Metadata      map[string]string
	}
	if err := json.Unmarshal(data, &q); err != nil {
		return 400, err.Error()
	}
	if !slices.ContainsFunc(s.files, func(f *File) bool { return f.ID == q.File }) {
		return 400, "no such training file"
	}
	j := &Job{ID: s.id("ftjob"), Model: q.Model, File: q.File, Suffix: q.Suffix, Method: q.Method, Seed: q.Seed, Created: s.Now}
	if !s.Plain {
		j.Metadata = q.Metadata
	}
	s.jobs = append(s.jobs, j)
	if s.Created != nil {
		s.Created(j)
	}
	return 200, s.jobObject(j)
}

// matching are the jobs that the metadata of a query fits.
func (s *Tuner) matching(r *http.Request) (out []*Job) {
	for _, j := range s.jobs {
		fits := true
		for name, values := range r.URL.Query() {
			if key, ok := strings.CutPrefix(name, "metadata["); ok && !s.Unsorted && !s.Plain {
				fits = fits && j.Metadata[strings.TrimSuffix(key, "]")] == values[0]
			}
		}
		if fits {
			out = append(out, j)
		}
	}
	return out
}

func (s *Tuner) jobObject(j *Job) object {
	o := object{
		"id": j.ID, "object": "fine_tuning.job", "created_at": j.Created, "model": j.Model, "training_file": j.File, "validation_file": nil,
		"status": j.status(s.States), "fine_tuned_model": nil, "trained_tokens": nil, "error": nil, "finished_at": nil, "seed": j.Seed,
		"organization_id": "org-1", "result_files": j.Results, "hyperparameters": object{"n_epochs": 3}, "method": j.Method, "metadata": j.Metadata,
	}
	if j.Tuned != "" {
		o["fine_tuned_model"], o["trained_tokens"] = j.Tuned, j.Trained
	}
	if j.Code+j.Message != "" {
		o["error"] = object{"code": j.Code, "message": j.Message, "param": nil}
	}
	return o
}

func (j *Job) status(states []string) string {
	if j.state != "" {
		return j.state
	}
	return states[min(j.at, len(states)-1)]
}

func (s *Tuner) job(r *http.Request, parts []string) (int, any) {
	i := slices.IndexFunc(s.jobs, func(j *Job) bool { return j.ID == parts[0] })
	if i < 0 {
		return 404, "No such fine-tuning job: " + parts[0]
	}
	j := s.jobs[i]
	switch what := append(parts, "")[1]; what {
	case "events":
		events := slices.Clone(j.Events)
		slices.Reverse(events)
		return s.list(r, events)
	case "checkpoints":
		return s.list(r, []object{
			{"id": "ftckpt-2", "object": "fine_tuning.job.checkpoint", "created_at": 2, "fine_tuned_model_checkpoint": j.Tuned + ":ckpt-step-20", "step_number": 20},
			{"id": "ftckpt-1", "object": "fine_tuning.job.checkpoint", "created_at": 1, "fine_tuned_model_checkpoint": j.Tuned + ":ckpt-step-10", "step_number": 10},
		})
	case "cancel":
		j.state = "cancelled"
	case "":
		s.advance(j)
	}
	return 200, s.jobObject(j)
}

// advance brings a job one state further.
func (s *Tuner) advance(j *Job) {
	if j.state != "" {
		return
	}
	if j.at++; j.at < len(s.States)-1 {
		return
	}
	j.state = s.States[len(s.States)-1]
	if j.state == "succeeded" {
		j.Tuned, j.Trained = "ft:"+j.Model+":org:"+j.Suffix+":"+j.ID, 3000
		s.models = append(s.models, j.Tuned)
	}
	if s.Ended != nil {
		s.Ended(j)
	}
}

func (s *Tuner) model(r *http.Request, id string) (int, any) {
	i := slices.Index(s.models, id)
	switch {
	case r.Method == "DELETE" && i >= 0:
		s.models = slices.Delete(s.models, i, i+1)
		return 200, object{"id": id, "object": "model", "deleted": true}
	case i >= 0 || r.Method == "GET" && strings.HasPrefix(id, "base"):
		return 200, object{"id": id, "object": "model", "created": 1, "owned_by": "org"}
	}
	return 404, "The model does not exist: " + id
}

func (s *Tuner) moderate(data []byte) (int, any) {
	var q struct{ Input []string }
	if err := json.Unmarshal(data, &q); err != nil {
		return 400, err.Error()
	}
	var results []object
	for _, text := range q.Input {
		results = append(results, object{"flagged": s.Flagged != nil && s.Flagged(text)})
	}
	return 200, object{"id": "modr-1", "model": "omni-moderation", "results": results}
}
