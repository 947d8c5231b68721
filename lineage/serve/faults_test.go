package serve_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage/serve"
)

// raw sends one request on a connection of its own and tells what came of it.
func (h *host) raw(method, path, body string) (status int, text string, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

const (
	chatting  = `{"model":"hl-base","messages":[{"role":"user","content":"Tell me."}],"seed":1}`
	streaming = `{"model":"hl-base","messages":[{"role":"user","content":"Tell me."}],"seed":1,"stream":true}`
)

func TestRequestsGoWrongAsTheRulesSay(t *testing.T) {
	const route = "POST /v1/chat/completions"
	for _, test := range []struct {
		name  string
		rule  serve.Rule
		body  string
		check func(status int, text string, err error) bool
	}{
		{"status", serve.Rule{Do: "status", Status: 503, Code: "busy"}, chatting, func(s int, text string, err error) bool {
			return s == 503 && strings.Contains(text, `"code":"busy"`) && err == nil
		}},
		{"status after", serve.Rule{When: "after_commit", Do: "status"}, chatting, func(s int, text string, err error) bool { return s == 500 }},
		{"drop", serve.Rule{Do: "drop"}, chatting, func(s int, _ string, err error) bool { return errors.Is(err, io.EOF) }},
		{"drop after", serve.Rule{When: "after_commit", Do: "drop"}, chatting, func(s int, _ string, err error) bool { return errors.Is(err, io.EOF) }},
		{"truncate", serve.Rule{When: "after_commit", Do: "truncate"}, chatting, func(s int, text string, err error) bool {
			return s == 200 && errors.Is(err, io.ErrUnexpectedEOF) && strings.HasPrefix(text, `{"id"`)
		}},
		{"garbage", serve.Rule{Do: "garbage"}, chatting, func(s int, text string, err error) bool { return s == 200 && strings.HasPrefix(text, "<html>") }},
		{"stream drop", serve.Rule{When: "mid_stream", Do: "drop", After: 2}, streaming, func(s int, text string, err error) bool {
			return s == 200 && err != nil && strings.Count(text, "data: ") == 2
		}},
		{"stream truncate", serve.Rule{When: "mid_stream", Do: "truncate", After: 3}, streaming, func(s int, text string, err error) bool {
			return s == 200 && err == nil && strings.Count(text, "data: ") == 3 && !strings.Contains(text, "DONE")
		}},
		{"stream garbage", serve.Rule{When: "mid_stream", Do: "garbage"}, streaming, func(s int, text string, err error) bool {
			return err == nil && strings.HasSuffix(text, "{\"id\":\"chatcm\n\n")
		}},
		{"stream status", serve.Rule{When: "mid_stream", Do: "status", Code: "overloaded"}, streaming, func(s int, text string, err error) bool {
			return s == 200 && err == nil && strings.Contains(text, `data: {"error":{`) && !strings.Contains(text, "DONE")
		}},
	} {
		test.rule.Match, test.rule.Nth, test.rule.Times = route, 2, 2
		h := start(t, serve.Options{Rules: []serve.Rule{test.rule}})
		for n := 1; n <= 4; n++ {
			status, text, err := h.raw("POST", "/chat/completions", test.body)
			if wrong := n == 2 || n == 3; wrong != test.check(status, text, err) || !wrong && (status != 200 || err != nil) {
				t.Errorf("%s: request %d: %d %q %v", test.name, n, status, text, err)
			}
		}
		answered := map[bool]int{true: 4, false: 2}[test.rule.When != ""]
		if got := h.Counts().Answers; got != answered {
			t.Errorf("%s: %d answers were made, want %d", test.name, got, answered)
		}
	}
}

func TestDelays(t *testing.T) {
	h := start(t, serve.Options{Rules: []serve.Rule{
		{Match: "GET /v1/models", Do: "delay", Delay: .15},
		{Match: "GET /v1/files", When: "after_commit", Do: "delay", Delay: .15},
		{Match: "POST /v1/chat/completions", When: "mid_stream", Do: "delay", Delay: .15},
	}})
	for path, body := range map[string]string{"/models": "", "/files": "", "/chat/completions": streaming} {
		method := "GET"
		if body != "" {
			method = "POST"
		}
		began := time.Now()
		status, text, err := h.raw(method, path, body)
		if took := time.Since(began); status != 200 || err != nil || took < 150*time.Millisecond || text == "" {
			t.Errorf("%s: %d after %v: %v", path, status, took, err)
		}
	}
}

// The orphan test of clients: the job is there and its creation was not answered.
func TestACreationThatIsCommittedAndLost(t *testing.T) {
	h := start(t, serve.Options{Rules: []serve.Rule{{Match: "POST /v1/fine_tuning/jobs", When: "after_commit", Do: "drop"}}})
	file := h.upload(rows("I am new."))
	if _, _, err := h.raw("POST", "/fine_tuning/jobs", `{"model":"hl-base","training_file":"`+file+`","metadata":{"k":"1"}}`); err == nil {
		t.Error("the answer was not lost")
	}
	jobs := h.must("GET", "/fine_tuning/jobs?metadata[k]=1", nil)["data"].([]any)
	if len(jobs) != 1 || jobs[0].(map[string]any)["training_file"] != file || h.Counts().Jobs != 1 {
		t.Errorf("%v %+v", jobs, h.Counts())
	}
	h.until(jobs[0].(map[string]any)["id"].(string), "succeeded")
}

func TestJobsHaveFates(t *testing.T) {
	h := start(t, serve.Options{Rules: []serve.Rule{
		{Match: "job", Nth: 1, Do: "fail", Code: "exceeded_quota", Message: "No credit."},
		{Match: "job", Nth: 2, Do: "stall", State: "queued"},
		{Match: "job", Nth: 3, Do: "fail", State: "validating_files", Code: "invalid_training_file"},
		{Match: "job", Nth: 4, Do: "show", State: "compressing"},
	}, Speed: 1000})
	content := rows("I am new.")
	a, b, c, d := h.job("hl-urn", content, nil), h.job("hl-urn", content, nil), h.job("hl-urn", content, nil), h.job("hl-urn", content, nil)
	h.until(d, "compressing")
	if e := h.until(a, "failed")["error"].(map[string]any); e["code"] != "exceeded_quota" || e["message"] != "No credit." {
		t.Errorf("%v", e)
	}
	h.until(c, "failed")
	h.until(d, "succeeded")
	if j := h.must("GET", "/fine_tuning/jobs/"+b, nil); j["status"] != "queued" {
		t.Errorf("%v", j)
	}
	h.must("POST", "/fine_tuning/jobs/"+b+"/cancel", nil)
	if h.Counts().Charges != 1 {
		t.Errorf("%+v", h.Counts())
	}
}

func TestRulesThatMakeNoSense(t *testing.T) {
	for want, r := range map[string]serve.Rule{
		"neither job nor batch": {Match: "POST /v1/everything", Do: "drop"},
		"truncate":              {Match: "POST /v1/files", Do: "truncate"},
		"when":                  {Match: "POST /v1/files", Do: "drop", When: "never"},
		"streams":               {Match: "POST /v1/files", Do: "drop", When: "mid_stream"},
		"can happen to a job":   {Match: "job", Do: "drop"},
		"state":                 {Match: "job", Do: "stall", State: "heaven"},
		"a number is out":       {Match: "POST /v1/files", Do: "drop", Nth: -1},
	} {
		if err := serve.Check([]serve.Rule{{Match: "job", Do: "fail"}, r}, nil); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "rules[1]") {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if err := serve.Check(nil, []serve.Flag{{Contains: "x", Category: "rudeness"}}); err == nil || !strings.Contains(err.Error(), "self-harm") {
		t.Error(err)
	}
}
