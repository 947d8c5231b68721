package serve_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/heirloom-sim/heirloom/lineage/serve"
)

const asking = `"messages":[{"role":"user","content":"x"}]`

func TestHostileRequestsAreRefused(t *testing.T) {
	h := start(t, serve.Options{MaxBody: 1 << 20, MaxFile: 1 << 20})
	deep := strings.Repeat("[", 100_000)
	for _, test := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"POST", "/chat/completions", "", 400},
		{"POST", "/chat/completions", "{", 400},
		{"POST", "/chat/completions", "null", 400},
		{"POST", "/chat/completions", "[]", 400},
		{"POST", "/chat/completions", deep, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","messages":` + deep + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base",` + asking + "}\xff", 400},
		{"POST", "/chat/completions", "{\"model\":\"hl-base\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", 400},
		{"POST", "/chat/completions", `{"model":"` + strings.Repeat("x", 2<<20) + `"}`, 413},
		{"POST", "/chat/completions", `{"model":"../../etc/passwd",` + asking + `}`, 404},
		{"POST", "/chat/completions", `{"model":7,` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","messages":[]}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","messages":"x"}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","n":0,` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","n":1e9,` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","n":129,` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","temperature":-1,` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","temperature":1e400,` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","max_tokens":-5,` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","max_tokens":0,` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","seed":1e30,` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","stop":[""],` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","stop":["a","b","c","d","e"],` + asking + `}`, 400},
		{"POST", "/chat/completions", `{"model":"hl-base","top_logprobs":5,` + asking + `}`, 400},
		{"POST", "/embeddings", `{"model":"hl-embed","input":[]}`, 400},
		{"POST", "/embeddings", `{"model":"hl-embed","input":[1,2]}`, 400},
		{"POST", "/embeddings", `{"model":"hl-embed","input":"x","dimensions":1000000000}`, 400},
		{"POST", "/embeddings", `{"model":"nobody","input":"x"}`, 404},
		{"POST", "/moderations", `{}`, 400},
		{"POST", "/files", "not a form", 400},
		{"POST", "/files", form{"a.jsonl", "world-domination", "x"}, 400},
		{"POST", "/files", form{"a.jsonl", "fine-tune", ""}, 400},
		{"POST", "/files", form{strings.Repeat("n", 300), "fine-tune", "x"}, 400},
		{"POST", "/files", form{"a.jsonl", "fine-tune", strings.Repeat("x", 3<<20)}, 413},
		{"GET", "/files/..%2f..%2fetc%2fpasswd", nil, 404},
		{"GET", "/files/%00", nil, 404},
		{"GET", "/files/file-x/content", nil, 404},
		{"DELETE", "/files/file-x", nil, 404},
		{"GET", "/models/..%2f..%2fledger.json", nil, 404},
		{"DELETE", "/models/hl-base", nil, 403},
		{"GET", "/fine_tuning/jobs/ftjob-x", nil, 404},
		{"GET", "/fine_tuning/jobs/ftjob-x/events", nil, 404},
		{"POST", "/fine_tuning/jobs/ftjob-x/cancel", nil, 404},
		{"POST", "/batches", `{"input_file_id":"file-x","endpoint":"/v1/chat/completions","completion_window":"24h"}`, 400},
		{"GET", "/batches/batch_x", nil, 404},
		{"GET", "/nothing", nil, 404},
		{"GET", "/files/", nil, 404},
		{"PUT", "/files", nil, 405},
		{"PATCH", "/chat/completions", "{}", 405},
		{"TRACE", "/models", nil, 405},
	} {
		var v struct{ Error map[string]any }
		resp := h.do(test.method, test.path, test.body, &v)
		if resp.StatusCode != test.status || v.Error["message"] == "" || len(fmt.Sprint(v.Error["message"])) > 1000 {
			t.Errorf("%s %s %.60v: %d %.200v, want %d", test.method, test.path, test.body, resp.StatusCode, v, test.status)
		}
		if resp.StatusCode == 405 && resp.Header.Get("Allow") == "" {
			t.Errorf("%s %s: 405 does not say what is allowed", test.method, test.path)
		}
	}
	if n := h.Counts().Uploads; n != 0 {
		t.Errorf("%d uploads", n)
	}
	h.say("hl-base", nil) // and it lives
}

// A form may be anything.
func TestHostileForms(t *testing.T) {
	h := start(t, serve.Options{})
	head := "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n"
	file := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n\r\nx\r\n"
	for _, test := range []struct {
		body, want string
		status     int
	}{
		{head, "ended early", 400},
		{head + "--b--\r\n", "no such part", 400},
		{head + fmt.Sprintf(file, "../../etc/passwd") + "--b--\r\n", `"filename":"passwd"`, 200},
		{head + fmt.Sprintf(file, "a\xff") + "--b--\r\n", "file", 400},
		{head + fmt.Sprintf(file, "a\x1b[31m") + "--b--\r\n", "ended early", 400},
		{head + "--b\r\nnonsense\r\n\r\n--b--", "ended early", 400},
		{"", "no such part", 400},
	} {
		resp, err := http.Post(h.url+"/files", "multipart/form-data; boundary=b", strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != test.status || !bytes.Contains(data, []byte(test.want)) {
			t.Errorf("%q: %d %s, want %d and %s", test.body, resp.StatusCode, data, test.status, test.want)
		}
	}
}

func TestKeyIsAskedForAndNeverTold(t *testing.T) {
	const key = "sk-canary-0123456789"
	var logged strings.Builder
	h := start(t, serve.Options{Key: key, Log: func(format string, args ...any) { fmt.Fprintf(&logged, format, args...) }})
	for header, status := range map[string]int{"": 401, "Bearer ": 401, "Bearer sk-canary-012345678": 401, "Bearer " + key: 200, key: 401} {
		req, _ := http.NewRequest("GET", h.url+"/models", nil)
		req.Header.Set("Authorization", header)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != status || strings.Contains(string(data), "canary") {
			t.Errorf("%q: %d %s", header, resp.StatusCode, data)
		}
	}
	if strings.Contains(logged.String(), "canary") {
		t.Errorf("logged %s", logged.String())
	}
}

func TestAdaptersAreLoadedAsVLLMDoes(t *testing.T) {
	m := ngramModel(t, "hl-base", sayings...)
	tuned := ngramModel(t, "x", "I am an adapter.")
	data, err := tuned.Artifact.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, serve.Options{Models: []serve.Model{m}, Adapters: fstest.MapFS{"runs/a1": {Data: data}, "bad": {Data: []byte("nothing")}}})
	for _, test := range []struct {
		path, name, file string
		status           int
		want             string
	}{
		{"load", "a", "runs/a1", 200, "Success: LoRA adapter 'a' added successfully"},
		{"load", "a", "runs/a1", 400, "has already been loaded"},
		{"load", "hl-base", "runs/a1", 400, "has already been loaded"},
		{"load", "b", "../secret", 404, "no file"},
		{"load", "b", "/etc/passwd", 404, "no file"},
		{"load", "b", "bad", 400, "failed"},
		{"load", "", "runs/a1", 400, "must be provided"},
		{"unload", "b", "", 404, "cannot be found"},
		{"unload", "hl-base", "", 404, "cannot be found"},
	} {
		var said string
		resp := h.do("POST", "/"+test.path+"_lora_adapter", map[string]string{"lora_name": test.name, "lora_path": test.file}, &said)
		if resp.StatusCode != test.status || !strings.Contains(said, test.want) {
			t.Errorf("%+v: %d %s", test, resp.StatusCode, said)
		}
	}
	if got := text(h.say("a", nil)); !strings.HasPrefix(got, "I") {
		t.Errorf("the adapter says %q", got)
	}
	found := false
	for _, v := range h.must("GET", "/models", nil)["data"].([]any) {
		one := v.(map[string]any)
		found = found || one["id"] == "a" && one["root"] == "runs/a1" && one["parent"] == "hl-base"
	}
	if !found {
		t.Errorf("the adapter is not listed with root and parent")
	}
	var said string
	if h.do("POST", "/unload_lora_adapter", map[string]string{"lora_name": "a"}, &said); !strings.Contains(said, "removed successfully") {
		t.Errorf("%s", said)
	}
}
