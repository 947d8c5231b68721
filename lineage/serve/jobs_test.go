package serve_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/serve"
)

func TestJobsThatCannotBe(t *testing.T) {
	h := start(t, serve.Options{})
	good := h.upload(rows("Good."))
	other := h.must("POST", "/files", form{"b.jsonl", "batch", "{}"})["id"]
	for want, body := range map[string]map[string]any{
		"model":                             {"training_file": good},
		"training_file":                     {"model": "hl-base"},
		"there is no file":                  {"model": "hl-base", "training_file": "file-../../etc/passwd"},
		"not available for fine-tuning":     {"model": "nobody", "training_file": good},
		"purpose batch":                     {"model": "hl-base", "training_file": other},
		"n_epochs":                          {"model": "hl-base", "training_file": good, "hyperparameters": map[string]any{"n_epochs": 51}},
		"neither a number":                  {"model": "hl-base", "training_file": good, "hyperparameters": map[string]any{"batch_size": "many"}},
		"reinforcement":                     {"model": "hl-base", "training_file": good, "method": map[string]any{"type": "reinforcement"}},
		"cannot train by dpo":               {"model": "hl-base", "training_file": good, "method": map[string]any{"type": "dpo"}},
		"suffix":                            {"model": "hl-base", "training_file": good, "suffix": "no blanks"},
		"seed":                              {"model": "hl-base", "training_file": good, "seed": -1},
		"metadata":                          {"model": "hl-base", "training_file": good, "metadata": map[string]string{strings.Repeat("k", 65): "v"}},
		"validation_file: there is no file": {"model": "hl-base", "training_file": good, "validation_file": "file-x"},
	} {
		var v map[string]any
		resp := h.do("POST", "/fine_tuning/jobs", body, &v)
		if message := fmt.Sprint(v["error"].(map[string]any)["message"]); resp.StatusCode != 400 || !strings.Contains(message, want) {
			t.Errorf("%v: %d %v, want %s", body, resp.StatusCode, v, want)
		}
	}
	if h.Counts().Jobs != 0 {
		t.Errorf("%+v", h.Counts())
	}
}

func TestTrainingFilesThatFail(t *testing.T) {
	h := start(t, serve.Options{Flags: []serve.Flag{{Contains: "poison", Category: "self-harm"}}})
	ok := `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}` + "\n"
	many := strings.Repeat(ok, 12)
	for content, want := range map[string][2]string{
		strings.Repeat(ok, 9): {"invalid_n_examples", "has 9 example(s)"},
		many + "\n":           {"invalid_training_file", "line 13 is blank"},
		many + "{\n":          {"invalid_training_file", "line 13 is not a row"},
		"\ufeff" + many:       {"invalid_training_file", "byte order mark"},
		many + "\xff":         {"invalid_training_file", "not UTF-8"},
		many + `{"messages":[{"role":"user","content":"Q"}]}`:                                                                                  {"invalid_training_file", "no assistant turn"},
		many + `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":""}]}`:                                                {"invalid_training_file", "says nothing"},
		many + `{"messages":[{"role":"wizard","content":"Q"}]}`:                                                                                {"invalid_training_file", `the role "wizard"`},
		many + `{"messages":[{"role":"assistant","content":"A","weight":0},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`: {"invalid_training_file", "out of the loss"},
		many + `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"poisoned"}]}`:                                        {"unsafe_file", "1 of 13 examples"},
	} {
		id := h.job("hl-base", content, nil)
		j := h.until(id, "failed")
		e := j["error"].(map[string]any)
		if e["code"] != want[0] || !strings.Contains(e["message"].(string), want[1]) || j["trained_tokens"] != nil {
			t.Errorf("%.80q: %v, want %v", content[len(content)-min(len(content), 80):], e, want)
		}
	}
	if c := h.Counts(); c.Charges != 0 {
		t.Errorf("failed jobs are charged: %+v", c)
	}
}

func TestJobsArePausedResumedAndCancelled(t *testing.T) {
	h := start(t, serve.Options{Speed: 600}) // a job takes 270 ms
	content := rows("I am new.")
	id := h.job("hl-base", content, nil)
	if v := h.must("POST", "/fine_tuning/jobs/"+id+"/pause", nil); v["status"] != "paused" {
		t.Errorf("%v", v)
	}
	time.Sleep(400 * time.Millisecond)
	if v := h.must("GET", "/fine_tuning/jobs/"+id, nil); v["status"] != "paused" {
		t.Errorf("a paused job went on: %v", v)
	}
	if v := h.must("POST", "/fine_tuning/jobs/"+id+"/resume", nil); v["status"] != "validating_files" {
		t.Errorf("%v", v)
	}
	h.until(id, "succeeded")
	if resp := h.do("POST", "/fine_tuning/jobs/"+id+"/cancel", nil, nil); resp.StatusCode != 400 {
		t.Errorf("a job that ended was cancelled: %d", resp.StatusCode)
	}

	id = h.job("hl-base", content, nil)
	h.until(id, "running")
	if v := h.must("POST", "/fine_tuning/jobs/"+id+"/cancel", nil); v["status"] != "cancelled" || v["finished_at"] == nil {
		t.Errorf("%v", v)
	}
	time.Sleep(300 * time.Millisecond)
	if v := h.must("GET", "/fine_tuning/jobs/"+id, nil); v["status"] != "cancelled" || v["fine_tuned_model"] != nil || h.Counts().Charges != 1 {
		t.Errorf("a cancelled job went on: %v %+v", v, h.Counts())
	}
}

func TestTheClockRunsAsFastAsItIsTold(t *testing.T) {
	h := start(t, serve.Options{Speed: 1000})
	began := time.Now()
	j := h.until(h.job("hl-base", rows("I am new."), nil), "succeeded")
	took := j["finished_at"].(float64) - j["created_at"].(float64)
	if real := time.Since(began).Seconds(); took < 159 || took > 1000*real+1 {
		t.Errorf("the job took %v s by the server's clock and %v s by ours", took, real)
	}
}

func TestListsArePaged(t *testing.T) {
	h := start(t, serve.Options{})
	var want []string
	content := rows("I am new.")
	for i := range 7 {
		want = append(want, h.job("hl-urn", content, map[string]any{"metadata": map[string]string{"odd": fmt.Sprint(i % 2)}}))
	}
	for _, id := range want {
		h.until(id, "succeeded")
	}
	for query, n := range map[string]int{"": 7, "&metadata[odd]=1": 3, "&" + url.QueryEscape("metadata[odd]") + "=0": 4, "&metadata[even]=1": 0, "&metadata=null": 0} {
		got, after := []string{}, ""
		for range 8 {
			v := h.must("GET", "/fine_tuning/jobs?limit=2"+after+query, nil)
			for _, j := range v["data"].([]any) {
				got = append(got, j.(map[string]any)["id"].(string))
			}
			if v["has_more"] != true {
				break
			}
			after = "&after=" + got[len(got)-1]
		}
		if len(got) != n || n == 7 && (got[0] != want[6] || got[6] != want[0]) {
			t.Errorf("%q: %v of %v", query, got, want)
		}
	}
	for _, query := range []string{"limit=0", "limit=x", "limit=101", "after=ftjob-nobody"} {
		if resp := h.do("GET", "/fine_tuning/jobs?"+query, nil, nil); resp.StatusCode/100 != 4 {
			t.Errorf("%s: %d", query, resp.StatusCode)
		}
	}
	newest := h.must("GET", "/files?limit=1&purpose=fine-tune", nil)["data"].([]any)[0].(map[string]any)["id"]
	oldest := h.must("GET", "/files?limit=1&purpose=fine-tune&order=asc", nil)["data"].([]any)[0].(map[string]any)["id"]
	if newest == oldest {
		t.Errorf("the order of files does nothing")
	}
}

// paired learns from the preferred answers, and keeps what it was given.
type paired struct {
	lineage.Backend
	jobs []lineage.Job
}

func (b *paired) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	b.jobs = append(b.jobs, job)
	job.Learner = lineage.SFT
	return b.Backend.Train(ctx, job)
}

func TestPairsReachABackendThatLearnsFromThem(t *testing.T) {
	m := urnModel(t, "hl-pairs", sayings...)
	b := &paired{Backend: m.Backend}
	m.Backend, m.Learners = b, []lineage.Learner{lineage.SFT, lineage.Preference}
	h := start(t, serve.Options{Models: []serve.Model{m}})
	row := `{"input":{"messages":[{"role":"user","content":"Q"}]},"preferred_output":[{"role":"assistant","content":"yes"}],"non_preferred_output":[{"role":"assistant","content":"no"}]}` + "\n"
	method := map[string]any{"method": map[string]any{"type": "dpo", "dpo": map[string]any{"hyperparameters": map[string]any{"beta": 0.2}}}}
	j := h.until(h.job("hl-pairs", strings.Repeat(row, 12), method), "succeeded")
	if got := fmt.Sprint(j["method"]); !strings.Contains(got, "beta:0.2") || text(h.say(j["fine_tuned_model"].(string), nil)) != "yes" {
		t.Errorf("%s", got)
	}
	if len(b.jobs) != 1 || b.jobs[0].Learner != lineage.Preference || b.jobs[0].Count != 12 || b.jobs[0].Base == nil {
		t.Fatalf("%+v", b.jobs)
	}
	for e := range b.jobs[0].Examples {
		if e.Messages[1].Content != "yes" || e.Rejected[1].Content != "no" || e.Rejected[0].Content != "Q" {
			t.Errorf("%+v", e)
		}
	}
	if e := h.until(h.job("hl-pairs", rows("not a pair"), method), "failed")["error"].(map[string]any); !strings.Contains(e["message"].(string), "a pair has") {
		t.Errorf("%v", e)
	}
}
