package openai

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// Rows of the table of failures in docs/real-models.md: each test says what the
// server counted.

// nth acts on the n-th request of a kind, from 0.
func nth(what string, n int, act func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
	var mu sync.Mutex
	seen := 0
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v1") != what {
			return false
		}
		mu.Lock()
		mine := seen
		seen++
		mu.Unlock()
		if mine != n {
			return false
		}
		act(w)
		return true
	}
}

// drop breaks the connection without an answer.
func drop(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func says(status int, code, message string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { openaitest.Fail(w, status, code, message) }
}

const (
	uploadCall = "POST /files"
	createCall = "POST /fine_tuning/jobs"
)

// TestRow2And3_AnswerLost: what was done and not answered is found, whatever the
// connection and the server's abilities.
func TestRow2And3_AnswerLost(t *testing.T) {
	lost := map[string]func(http.ResponseWriter){
		"dropped": drop, "500": says(500, "", "oops"), "502": says(502, "", "oops"), "409": says(409, "", "conflict"), "408": says(408, "", "slow"),
		"garbage": func(w http.ResponseWriter) { w.Write([]byte("<html>")) },
		"reset": func(w http.ResponseWriter) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		},
	}
	for how, act := range lost {
		for _, what := range []string{uploadCall, createCall} {
			for _, server := range []string{"metadata", "filter ignored", "no metadata"} {
				for _, fresh := range []bool{true, false} {
					t.Run(fmt.Sprintf("%s,%s,%s,fresh=%v", how, what, server, fresh), func(t *testing.T) {
						s := setting(t)
						s.Plain, s.Unsorted = server == "no metadata", server == "filter ignored"
						s.AddJob(openaitest.Job{ID: "ftjob-other", File: "file-other", Created: s.Now})
						s.After = nth(what, 0, act)
						b := s.backend()
						if fresh {
							http.DefaultTransport.(*http.Transport).CloseIdleConnections()
							b.client.servers.wire.client.Transport.(*http.Transport).DisableKeepAlives = true
						}
						a, err := b.Train(t.Context(), s.job())
						if err != nil {
							t.Fatal(err)
						}
						s.counts(1, 1)
						if len(s.Files()) != 1 || len(s.Jobs()) != 2 || a.(*Artifact).Model != s.Models()[0] || s.purse.spent != cost(3000, 3) {
							t.Errorf("%d files, %d jobs, %+v, spent %v", len(s.Files()), len(s.Jobs()), a, s.purse.spent)
						}
					})
				}
			}
		}
	}
}

// TestRow3_NotCommitted: what was refused without being done is looked for, and then
// sent again, a bounded number of times.
func TestRow3_NotCommitted(t *testing.T) {
	for how, act := range map[string]func(http.ResponseWriter){"500": says(500, "", "oops"), "dropped": drop} {
		for i, what := range []string{uploadCall, createCall} {
			s := setting(t)
			s.Before = nth(what, 0, act)
			a, err := s.train()
			s.one(a, err)
			s.counts(2-i, 1+i)
			if want := []time.Duration{recheck, recheck}; !slices.Contains(s.leap.slept, want[0]) {
				t.Errorf("%s, %s: it was not looked for twice more: %v", how, what, s.leap.slept)
			}
			lists := s.Asked("GET /v1" + strings.TrimPrefix(what, "POST "))
			if lists < lookups {
				t.Errorf("%s, %s: looked for %d times", how, what, lists)
			}
		}
	}
	s := setting(t)
	s.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "POST" && r.URL.Path == "/v1/fine_tuning/jobs" {
			openaitest.Fail(w, 500, "", "always")
			return true
		}
		return false
	}
	if _, err := s.train(); err == nil || !strings.Contains(err.Error(), "nothing came of it") {
		t.Errorf("the error is %v", err)
	}
	s.counts(1, mostSends)
	s.Before = nil
	a, err := s.train()
	s.one(a, err)
	s.counts(1, mostSends+1)
}

// TestRow2_ListLags: what is not in the list yet is waited for before it is made
// again.
func TestRow2_ListLags(t *testing.T) {
	s := setting(t)
	lists := 0
	s.After = nth(createCall, 0, drop)
	s.Rewrite = func(path string, answer map[string]any) {
		if path == "/v1/fine_tuning/jobs" && answer["object"] == "list" {
			if lists++; lists < 5 { // by metadata and by file, twice
				answer["data"] = []any{}
			}
		}
	}
	a, err := s.train()
	s.one(a, err)
	s.counts(1, 1)
}

// TestRow2_SeveralFound: of what somebody sent twice the earliest is followed, and
// nothing is cancelled without being told to.
func TestRow2_SeveralFound(t *testing.T) {
	s := setting(t)
	s.After = nth(createCall, 0, func(w http.ResponseWriter) {
		twin := s.Jobs()[0]
		twin.ID, twin.Created = "ftjob-twin", twin.Created+5
		s.AddJob(twin)
		drop(w)
	})
	a, err := s.train()
	if err != nil || a.Job != s.Jobs()[0].ID {
		t.Fatalf("%+v, %v", a, err)
	}
	if s.Asked("POST /v1/fine_tuning/jobs/ftjob-twin/cancel") != 0 || !s.heard("ftjob-twin") {
		t.Errorf("the twin was cancelled, or not told of: %q", s.said)
	}
	s.counts(1, 1)
}

// TestRow4_TooMany: a server that has no room for another job is waited for, as long
// as it says.
func TestRow4_TooMany(t *testing.T) {
	for _, what := range []string{uploadCall, createCall} {
		s := setting(t)
		s.Before = nth(what, 0, func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1234")
			openaitest.Fail(w, 429, "rate_limit_exceeded", "you have 3 jobs running")
		})
		a, err := s.train()
		s.one(a, err)
		if !slices.Contains(s.leap.slept, 1234*time.Second) {
			t.Errorf("%s: slept %v", what, s.leap.slept)
		}
	}
}

// TestRow5_NoCredit stops the run at once, and it goes on when there is credit.
func TestRow5_NoCredit(t *testing.T) {
	for _, code := range []string{"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"} {
		for i, what := range []string{uploadCall, createCall} {
			s := setting(t)
			s.Before = nth(what, 0, says(429, code, "pay first"))
			if _, err := s.train(); !errors.Is(err, lineage.ErrHalt) {
				t.Errorf("%s, %s: the error is %v", code, what, err)
			}
			s.counts(1, i)
			if s.purse.spent != 0 || len(s.purse.held) != 0 {
				t.Errorf("%s: nothing was bought, and %v is spent and %v held", code, s.purse.spent, s.purse.held)
			}
			a, err := s.train()
			s.one(a, err)
			s.counts(2-i, 1+i)
		}
	}
}

// TestRow6_Closed: who may not tune is told since when, without the key.
func TestRow6_Closed(t *testing.T) {
	for _, status := range []int{401, 403} {
		s := setting(t)
		s.config.Profile = "openai"
		s.Before = nth(createCall, 0, says(status, "", "no for "+canary))
		_, err := s.train()
		if !errors.Is(err, lineage.ErrHalt) || strings.Contains(err.Error(), canary) {
			t.Errorf("%d: the error is %v", status, err)
		}
		for _, date := range []string{"2026-05-07", "2026-07-02", "2027-01-06"} {
			if status == 403 && !strings.Contains(err.Error(), date) {
				t.Errorf("the error does not tell of %s: %v", date, err)
			}
		}
		s.counts(1, 1)
	}
}

// TestRow7_Failed: what a provider says of the texts is an outcome, which stays; any
// other failure is told, and run again is another attempt.
func TestRow7_Failed(t *testing.T) {
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

// TestRow7_BlockedBeforeTheJob: a file may be refused when it is sent, or when it is
// read.
func TestRow7_BlockedBeforeTheJob(t *testing.T) {
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

// TestRow8_OddStates: pauses and unknown words are waited through and told once.
func TestRow8_OddStates(t *testing.T) {
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

// TestRow8_NamelessModel is looked for a short while, and then an error.
func TestRow8_NamelessModel(t *testing.T) {
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

// TestRow8_JobGone: a job that is not there at first may show; one that went is told
// of, and nothing is created in its place.
func TestRow8_JobGone(t *testing.T) {
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

// TestRow9_Stuck: past the deadline a job is left running or cancelled, as was said.
func TestRow9_Stuck(t *testing.T) {
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

// TestRow10_CancelledOutside: told, and run again is another attempt.
func TestRow10_CancelledOutside(t *testing.T) {
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

// TestRow12_Events: each once and in order, over pages, within one second, twice told.
func TestRow12_Events(t *testing.T) {
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

// TestRow12_ResultFile: where events tell no loss, the file of results does.
func TestRow12_ResultFile(t *testing.T) {
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

// TestRow21_NothingIsSentThatIsNotWritten: where a step cannot be recorded, what it
// announces is not sent.
func TestRow21_NothingIsSentThatIsNotWritten(t *testing.T) {
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

// TestRow26_OtherDialects: other forms of the same are read; a server that takes the
// job and says something else is not asked twice.
func TestRow26_OtherDialects(t *testing.T) {
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

// TestRow27_KeyIsNowhere: a server that says the key in every answer finds it in
// no error, log, handle or artifact.
func TestRow27_KeyIsNowhere(t *testing.T) {
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

// TestRow28_Cleanup: what is gone is gone, what cannot be removed is told, the rest
// is removed all the same.
func TestRow28_Cleanup(t *testing.T) {
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

// TestRow29_Clocks: a clock that jumps, or a server's that is wrong, loses nothing.
func TestRow29_Clocks(t *testing.T) {
	for _, off := range []time.Duration{-100 * 24 * time.Hour, -time.Hour, time.Hour, 100 * 24 * time.Hour} {
		for _, plain := range []bool{true, false} {
			s := setting(t)
			s.Plain = plain
			s.Now += int64(off / time.Second)
			for i := range 60 {
				s.AddJob(openaitest.Job{ID: fmt.Sprint("ftjob-old-", i), File: "file-old", Created: s.Now - int64(i)})
			}
			s.After = nth(createCall, 0, func(w http.ResponseWriter) {
				s.leap.jump(-off)
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
