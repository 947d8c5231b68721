package openai

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/heirloom-sim/heirloom/lineage"
)

// TestRequestsAreThoseOfTheOfficialDescription holds every request of a training
// against OpenAI's description of its API: paths, methods, parameters and bodies.
func TestRequestsAreThoseOfTheOfficialDescription(t *testing.T) {
	data, err := os.ReadFile("../../../shared/data/openai-openapi/openapi.pruned.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("../shared/data/openai-openapi is not there")
	}
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, learner := range []lineage.Learner{lineage.SFT, lineage.Preference} {
		s := setting(t)
		s.config.Checkpoints, s.config.Beta, s.config.LearningRate = true, "0.1", "1.8"
		var mu sync.Mutex
		held := map[string]int{}
		upload, create := nth(uploadCall, 0, drop), nth(createCall, 0, drop) // so that lists are asked for, too
		s.Before = func(w http.ResponseWriter, r *http.Request) bool {
			what, err := describes(doc, r)
			if err != nil {
				t.Errorf("%s %s: %v", r.Method, r.URL, err)
			}
			mu.Lock()
			held[what]++
			mu.Unlock()
			return upload(w, r) || create(w, r)
		}
		job := s.job()
		job.Learner = learner
		if _, err := s.backend().Train(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		last, _ := s.ticket.Load()
		if _, err := s.backend().Screen(t.Context(), [][]lineage.Message{lessons(1)[0].Messages}); err != nil {
			t.Error(err)
		}
		if _, err := s.backend().Remove(t.Context(), last); err != nil {
			t.Error(err)
		}
		s.backend().Check(t.Context(), lineage.Work{}, nil)
		for _, what := range []string{
			"POST /files", "GET /files", "GET /files/{file_id}", "DELETE /files/{file_id}", "POST /fine_tuning/jobs", "GET /fine_tuning/jobs",
			"GET /fine_tuning/jobs/{fine_tuning_job_id}", "GET /fine_tuning/jobs/{fine_tuning_job_id}/events",
			"GET /fine_tuning/jobs/{fine_tuning_job_id}/checkpoints", "POST /moderations", "GET /models/{model}", "DELETE /models/{model}",
		} {
			if held[what] == 0 {
				t.Errorf("%s was never asked; held: %v", what, held)
			}
		}
	}
}

// describes finds a request in the description and holds it against it.
func describes(doc *openapi3.T, r *http.Request) (what string, err error) {
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	for pattern, item := range doc.Paths.Map() {
		op := item.GetOperation(r.Method)
		if op == nil || !fits(pattern, path) {
			continue
		}
		what = r.Method + " " + pattern
		known := map[string]*openapi3.Schema{}
		for _, p := range op.Parameters {
			if p.Value.In == "query" {
				known[p.Value.Name] = p.Value.Schema.Value
			}
		}
		if err := parameters(known, r.URL.Query()); err != nil || op.RequestBody == nil {
			return what, err
		}
		return what, described(op, r)
	}
	return r.Method + " " + path, errors.New("is not described")
}

func fits(pattern, path string) bool {
	a, b := strings.Split(pattern, "/"), strings.Split(path, "/")
	for i := range a {
		if len(a) != len(b) || a[i] != b[i] && !(strings.HasPrefix(a[i], "{") && b[i] != "") {
			return false
		}
	}
	return true
}

func parameters(known map[string]*openapi3.Schema, query url.Values) error {
	for name, values := range query {
		name, _, _ = strings.Cut(name, "[") // a deep object
		schema := known[name]
		if schema == nil {
			return errors.New("has the parameter " + name + ", which is not described")
		}
		var value any = values[0]
		if json.Unmarshal([]byte(values[0]), &value) != nil || schema.Type.Is("string") {
			value = values[0]
		}
		if name == "metadata" {
			value = map[string]any{"key": values[0]}
		}
		if err := schema.VisitJSON(value); err != nil {
			return err
		}
	}
	return nil
}

func described(op *openapi3.Operation, r *http.Request) error {
	if media := op.RequestBody.Value.Content["multipart/form-data"]; media != nil {
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			return err
		}
		form := map[string]any{}
		for name := range r.MultipartForm.File {
			form[name] = "content"
		}
		for name, values := range r.MultipartForm.Value {
			form[name] = values[0]
		}
		return media.Schema.Value.VisitJSON(form)
	}
	media := op.RequestBody.Value.Content["application/json"]
	if media == nil || r.Header.Get("Content-Type") != "application/json" {
		return errors.New("has another content type than is described")
	}
	var value map[string]any
	if err := json.NewDecoder(r.Body).Decode(&value); err != nil {
		return err
	}
	for name := range value {
		if media.Schema.Value.Properties[name] == nil {
			return errors.New("has the member " + name + ", which is not described")
		}
	}
	return media.Schema.Value.VisitJSON(value)
}
