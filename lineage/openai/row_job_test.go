package openai

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// TestRow7Failed: what a provider says of the texts is an outcome, which stays; any
// other failure is told, and run again is another attempt.
func TestRow7Failed(t *testing.T) {
	for _, c := range []struct {
		code, message, event string
		stage                string // "" where it is no block
		halt                 bool
	}{
		{code: "invalid_n_examples", message: "Training file has 7 example(s)"},
		{code: "server_error", message: "try later"},
		{code: "", message: ""},
		{code: "exceeded_quota", message: "no quota", halt: true},
		{code: "unsafe_file", message: "too many of your examples", stage: atTraining},
		{code: "other", message: "The job failed due to an unsafe training file.", stage: atTraining},
		{code: "other", message: "Error while running moderation eval refusals_v3 for snapshot ft:x", stage: atEvaluation},
		{code: "", message: "failed", event: "Error while running moderation eval refusals_v3 for snapshot ft:x", stage: atEvaluation},
	} {
		s := setting(t)
		s.States = []string{"queued", "running", "failed"}
		s.Ended = func(j *openaitest.Job) {
			j.Code, j.Message = c.code, c.message+canary
			if c.event != "" {
				j.Events = []map[string]any{{"id": "e1", "created_at": 1, "level": "error", "message": c.event}}
			}
		}
		_, err := s.train()
		var b *lineage.Blocked
		if errors.As(err, &b) != (c.stage != "") || errors.Is(err, lineage.ErrHalt) != c.halt || err == nil || strings.Contains(fmt.Sprint(err, s.ticket.handles), canary) {
			t.Errorf("%+v: the error is %v", c, err)
			continue
		}
		s.counts(1, 1)
		if b != nil && (b.Stage != c.stage || b.Provider != "compatible") {
			t.Errorf("%+v: blocked as %+v", c, b)
		}
		if want := cost(0, 3); c.stage != atEvaluation && (s.purse.spent != want || len(s.purse.held) != 0) {
			t.Errorf("%+v: spent %v, holds %v", c, s.purse.spent, s.purse.held)
		}
		s.States, s.Ended = []string{"queued", "succeeded"}, nil
		if _, err = s.train(); b != nil {
			var again *lineage.Blocked
			if !errors.As(err, &again) || *again != *b {
				t.Errorf("%+v: run again, the error is %v", c, err)
			}
			s.counts(1, 1)
			continue
		}
		if err != nil {
			t.Errorf("%+v: run again, the error is %v", c, err)
		}
		s.counts(2, 2)
	}
}

// TestRow7BlockedBeforeTheJob: a file may be refused when it is sent, or when it is
// read.
func TestRow7BlockedBeforeTheJob(t *testing.T) {
	s := setting(t)
	s.Before = nth(uploadCall, 0, says(400, "content_policy_violation", "this file is against our usage policies"))
	_, err := s.train()
	var b *lineage.Blocked
	if !errors.As(err, &b) || b.Stage != atUpload || b.Code == "" {
		t.Errorf("the error is %v", err)
	}
	s.counts(1, 0)
	if _, err := s.train(); !errors.As(err, &b) {
		t.Errorf("run again, the error is %v", err)
	}
	s.counts(1, 0)

	for details, blocks := range map[string]bool{"flagged by our moderation system": true, "line 3 is not JSON": false} {
		s = setting(t)
		s.Rewrite = func(path string, answer map[string]any) {
			if strings.HasPrefix(path, "/v1/files/") {
				answer["status"], answer["status_details"] = "error", details
			}
		}
		_, err := s.train()
		if errors.As(err, &b) != blocks || err == nil || !strings.Contains(err.Error(), details) {
			t.Errorf("the error is %v", err)
		}
		s.counts(1, 0)
	}
}

// TestRow8OddStates: pauses and unknown words are waited through and told once.
func TestRow8OddStates(t *testing.T) {
	s := setting(t)
	s.States = []string{"queued", "pausing", "paused", "paused", "warming_up", "warming_up", "Running", "succeeded"}
	a, err := s.train()
	s.one(a, err)
	s.counts(1, 1)
	told := 0
	for _, line := range s.said {
		told += strings.Count(line, "warming_up")
	}
	if told != 1 || !s.heard("is paused at") {
		t.Errorf("told: %q", s.said)
	}

	s = setting(t)
	s.config.Provider.States = map[string]string{"completed": "succeeded", "in_training": "running"}
	s.States = []string{"in_training", "completed"}
	s.Ended = func(j *openaitest.Job) { j.Tuned = "ft:done" }
	if a, err := s.train(); err != nil || a.Model != "ft:done" || s.heard("does not know") {
		t.Errorf("%+v, %v, %q", a, err, s.said)
	}
}

// TestRow8NamelessModel is looked for a short while, and then an error.
func TestRow8NamelessModel(t *testing.T) {
	s := setting(t)
	s.Ended = func(j *openaitest.Job) { j.Tuned = "" }
	_, err := s.train()
	if err == nil || !strings.Contains(err.Error(), "its model has no name") {
		t.Errorf("the error is %v", err)
	}
	if asked := s.Asked("GET /v1/fine_tuning/jobs/" + s.Jobs()[0].ID); asked < 5 || asked > 30 {
		t.Errorf("the job was asked for %d times", asked)
	}
	s.counts(1, 1)
}

// TestRow8JobGone: a job that is not there at first may show; one that went is told
// of, and nothing is created in its place.
func TestRow8JobGone(t *testing.T) {
	s := setting(t)
	n := 0
	s.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "GET" && strings.HasPrefix(r.URL.Path, "/v1/fine_tuning/jobs/ftjob") {
			if n++; n <= 3 {
				openaitest.Fail(w, 404, "", "not yet")
				return true
			}
		}
		return false
	}
	a, err := s.train()
	s.one(a, err)
	s.counts(1, 1)

	s = setting(t)
	s.After = nth(createCall, 0, func(w http.ResponseWriter) { w.Write([]byte(`{"id":"ftjob-gone","status":"queued"}`)) })
	for range 2 {
		if _, err := s.train(); err == nil || !strings.Contains(err.Error(), "ftjob-gone") || !strings.Contains(err.Error(), "does not know it any more") {
			t.Errorf("the error is %v", err)
		}
	}
	s.counts(1, 1)
}

// TestRow9Stuck: past the deadline a job is left running or cancelled, as was said.
func TestRow9Stuck(t *testing.T) {
	for _, policy := range []string{"detach", "cancel"} {
		s := setting(t)
		s.States = append(slices.Repeat([]string{"validating_files"}, 500), "succeeded")
		s.config.Deadline, s.config.OnDeadline = "2h", policy
		began := s.leap.start()
		_, err := s.train()
		cancelled := s.Asked("POST /v1/fine_tuning/jobs/" + s.Jobs()[0].ID + "/cancel")
		if err == nil || cancelled != map[string]int{"cancel": 1}[policy] {
			t.Errorf("%s: cancelled %d times, the error is %v", policy, cancelled, err)
		}
		if policy == "detach" && !strings.Contains(err.Error(), "within the deadline of 2h") {
			t.Errorf("the error is %v", err)
		}
		if waited := s.leap.at.Sub(began); waited < 2*time.Hour || waited > 2*time.Hour+3*time.Minute {
			t.Errorf("%s: it waited %v", policy, waited)
		}
		s.counts(1, 1)
	}
}

// TestRow10CancelledOutside: told, and run again is another attempt.
func TestRow10CancelledOutside(t *testing.T) {
	s := setting(t)
	s.States = []string{"queued", "running", "cancelled"}
	if _, err := s.train(); err == nil || !strings.Contains(err.Error(), "was cancelled; run again") {
		t.Errorf("the error is %v", err)
	}
	if e, _ := s.backend().Errand(s.ticket.handles[len(s.ticket.handles)-1]); e.State != cancelled || !e.Ended {
		t.Errorf("the errand is %+v", e)
	}
	s.States = []string{"queued", "succeeded"}
	a, err := s.train()
	if err != nil || a.Job != s.Jobs()[1].ID {
		t.Errorf("%+v, %v", a, err)
	}
	s.counts(2, 2)
}

// TestRow12Events: each once and in order, over pages, within one second, twice told.
func TestRow12Events(t *testing.T) {
	s := setting(t)
	s.Page = 3
	s.Ended = func(j *openaitest.Job) {
		for i := range 20 {
			e := map[string]any{"id": fmt.Sprint("e", i), "created_at": 100 + i/7, "level": "info", "type": "metrics", "message": "step",
				"data": map[string]any{"step": i + 1, "total_steps": 20, "train_loss": 2 - float64(i)/16}}
			j.Events = append(j.Events, e)
			if i%5 == 0 {
				j.Events = append(j.Events, e)
			}
		}
	}
	a, err := s.train()
	s.one(a, err)
	if len(a.Loss) != 20 {
		t.Fatalf("%d points: %v", len(a.Loss), a.Loss)
	}
	for i, l := range a.Loss {
		if l.Step != i+1 || l.Train != 2-float64(i)/16 {
			t.Errorf("point %d is %+v", i, l)
		}
	}
	events, err := s.backend().client.events(t.Context(), a.Job)
	if err != nil || len(events) != 20 || !slices.IsSortedFunc(events, func(a, b event) int { return a.Data.Step - b.Data.Step }) {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// TestRow12ResultFile: where events tell no loss, the file of results does.
func TestRow12ResultFile(t *testing.T) {
	for _, content := range []string{"step,train_loss,valid_loss\n1,2.5,\n2,NaN,1\n3,1.5,1.75\n", "c3RlcCx0cmFpbl9sb3NzLHZhbGlkX2xvc3MKMSwyLjUsCjIsTmFOLDEKMywxLjUsMS43NQo="} {
		s := setting(t)
		s.AddFile(openaitest.File{ID: "file-results", Name: "results.csv", Data: []byte(content)})
		s.Ended = func(j *openaitest.Job) { j.Results = []string{"file-results"} }
		a, err := s.train()
		if err != nil || len(a.Loss) != 2 || a.Loss[0] != (Loss{1, 2.5, nil}) || a.Loss[1].Step != 3 || *a.Loss[1].Valid != 1.75 {
			t.Errorf("%+v, %v", a, err)
		}
	}
}
