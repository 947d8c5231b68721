package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// TestRow21NothingIsSentThatIsNotWritten: where a step cannot be recorded, what it
// announces is not sent.
func TestRow21NothingIsSentThatIsNotWritten(t *testing.T) {
	full := errors.New("no space left on device")
	for step, want := range map[string][2]int{"": {0, 0}, uploaded: {1, 0}} {
		s := setting(t)
		if step == uploaded {
			s.ticket.full = nil
			stop := &stopAt{notes: s.ticket, step: creating, err: full}
			job := s.job()
			job.Ticket = stop
			if _, err := s.backend().Train(t.Context(), job); !errors.Is(err, full) {
				t.Errorf("the error is %v", err)
			}
		} else {
			s.ticket.full = full
			if _, err := s.train(); !errors.Is(err, full) {
				t.Errorf("the error is %v", err)
			}
		}
		s.counts(want[0], want[1])
		s.ticket.full = nil
		a, err := s.train()
		s.one(a, err)
		s.counts(1, 1)
	}
}

// stopAt is a ticket on a disk that is full from one step on.
type stopAt struct {
	*notes
	step string
	err  error
}

func (s *stopAt) Save(text string) error {
	if h, _ := readHandle(text); h.Step == s.step {
		return s.err
	}
	return s.notes.Save(text)
}

// TestRow26OtherDialects: other forms of the same are read; a server that takes the
// job and says something else is not asked twice.
func TestRow26OtherDialects(t *testing.T) {
	s := setting(t)
	s.Rewrite = func(path string, answer map[string]any) {
		if strings.Contains(path, "/fine_tuning/jobs") && answer["object"] == "fine_tuning.job" {
			answer["created_at"] = "2026-01-01T00:00:00Z"
			answer["extra"] = map[string]any{"deep": []any{1, "x"}}
			answer["seed"] = "none"
			delete(answer, "hyperparameters")
			delete(answer, "method")
			delete(answer, "result_files")
		}
	}
	a, err := s.train()
	s.one(a, err)
	s.counts(1, 1)

	for _, body := range []string{`{"job":{"uuid":"7"}}`, `{"id":7}`, `[]`, `{"id":""}`, "OK"} {
		s := setting(t)
		s.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v1/fine_tuning/jobs" || r.Method != "POST" {
				return false
			}
			w.Write([]byte(body))
			return true
		}
		for range 2 {
			if _, err := s.train(); err == nil || !strings.Contains(err.Error(), "not compatible") {
				t.Errorf("%s: the error is %v", body, err)
			}
		}
		s.counts(1, 1)
	}
	for _, profile := range []string{"together", "fireworks", "mistral", "tinker", "vllm", "ollama"} {
		s := setting(t)
		s.config.Profile = profile
		if _, err := s.train(); err == nil || !strings.Contains(err.Error(), "cannot do sft") {
			t.Errorf("%s: the error is %v", profile, err)
		}
		s.counts(0, 0)
	}
}

// TestRow27KeyIsNowhere: a server that says the key in every answer finds it in
// no error, log, handle or artifact.
func TestRow27KeyIsNowhere(t *testing.T) {
	escaped := strings.NewReplacer(canary, `\u0073\u006b`+canary[2:])
	for _, end := range []string{"succeeded", "failed", canary, "escaped"} {
		s := setting(t)
		s.States = []string{"queued", "running", end}
		if end == canary {
			s.States = []string{"queued", canary, "succeeded"}
		}
		if end == "escaped" {
			s.States = []string{"queued", "succeeded"}
			s.Raw = func(body string) string { return escaped.Replace(body) }
		}
		s.Ended = func(j *openaitest.Job) {
			j.Code, j.Message = canary, "key "+canary
			j.Events = []map[string]any{{"id": "e1", "created_at": 1, "level": "warn", "message": canary}}
		}
		s.Rewrite = func(path string, answer map[string]any) {
			answer["organization_id"], answer["status_details"] = canary, canary
			answer["hyperparameters"] = map[string]any{"n_epochs": canary}
			delete(answer, "method")
		}
		a, err := s.train()
		var artifact []byte
		if a != nil {
			artifact, _ = a.MarshalBinary()
		}
		b := s.backend()
		seen := fmt.Sprintf("%v %+v %#v %s %s %s %v %+v", err, err, err, s.said, s.ticket.handles, artifact, b.client, b.client)
		if strings.Contains(seen, canary) {
			t.Errorf("%s: the key is in %s", end, seen)
		}
	}
}

// TestRow28Cleanup: what is gone is gone, what cannot be removed is told, the rest
// is removed all the same.
func TestRow28Cleanup(t *testing.T) {
	s := setting(t)
	a, err := s.train()
	if err != nil {
		t.Fatal(err)
	}
	last := s.ticket.handles[len(s.ticket.handles)-1]
	refuse := 403
	s.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "DELETE" && strings.HasPrefix(r.URL.Path, "/v1/models/") && refuse != 0 {
			openaitest.Fail(w, refuse, "", "not yours")
			return true
		}
		return false
	}
	for _, refuse = range []int{403, 409} {
		removed, err := s.backend().Remove(t.Context(), last)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint(refuse)) || slices.Contains(removed, a.Model) {
			t.Errorf("%d: removed %v, the error is %v", refuse, removed, err)
		}
	}
	if len(s.Files()) != 0 || len(s.Models()) != 1 {
		t.Errorf("%d files and %d models are left", len(s.Files()), len(s.Models()))
	}
	refuse = 0
	for i, want := range [][]string{{a.Model}, nil} {
		if removed, err := s.backend().Remove(t.Context(), last); err != nil || !slices.Equal(removed, want) {
			t.Errorf("call %d removed %v, %v", i, removed, err)
		}
	}
	s.Forget()
	if removed, err := s.backend().Remove(t.Context(), last); err != nil || removed != nil {
		t.Errorf("without the job: %v, %v", removed, err)
	}
}

// TestRow29Clocks: a clock that jumps, or a server's that is wrong, loses nothing.
func TestRow29Clocks(t *testing.T) {
	for _, off := range []time.Duration{-100 * 24 * time.Hour, -time.Hour, time.Hour, 100 * 24 * time.Hour} {
		for _, plain := range []bool{true, false} {
			s := setting(t)
			metadata := !plain
			s.Plain, s.config.Provider.Metadata = plain, &metadata
			s.Now += int64(off / time.Second)
			for i := range 60 {
				s.AddJob(openaitest.Job{ID: fmt.Sprint("ftjob-old-", i), File: "file-old", Created: s.Now - int64(i)})
			}
			s.After = nth(createCall, 0, func(w http.ResponseWriter) {
				s.leap.jump(-off)
				for i := range 60 { // of others, later
					s.AddJob(openaitest.Job{ID: fmt.Sprint("ftjob-new-", i), File: "file-new", Created: s.Now})
				}
				drop(w)
			})
			if _, err := s.train(); err != nil {
				t.Fatalf("%v, plain=%v: %v", off, plain, err)
			}
			s.counts(1, 1)
			for _, d := range s.leap.slept {
				if d < 0 {
					t.Errorf("it slept %v", d)
				}
			}
		}
	}
}

// TestCancelAndLook: the two that a person does from outside of a run.
func TestCancelAndLook(t *testing.T) {
	s := setting(t)
	s.States = slices.Repeat([]string{"running"}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	b := s.backend()
	b.client.servers.clock.sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	b.Train(ctx, s.job())
	last := s.ticket.handles[len(s.ticket.handles)-1]
	b = s.backend()
	if e, err := b.Look(t.Context(), last); err != nil || e.State != "running" || e.Ended || e.ID != s.Jobs()[0].ID || e.Where != s.URL {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := b.Remove(t.Context(), last); err == nil || !strings.Contains(err.Error(), "cancel it first") {
		t.Errorf("a running job is removed: %v", err)
	}
	for range 2 {
		if err := b.Cancel(t.Context(), last); err != nil {
			t.Error(err)
		}
	}
	if e, _ := b.Look(t.Context(), last); e.State != cancelled || !e.Ended || s.Asked("POST /v1/fine_tuning/jobs/"+e.ID+"/cancel") != 1 {
		t.Errorf("%+v", e)
	}
}
