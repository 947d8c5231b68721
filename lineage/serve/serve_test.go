package serve_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/ngram"
	"github.com/heirloom-sim/heirloom/lineage/serve"
	"github.com/heirloom-sim/heirloom/lineage/urn"
)

// ledgerless tickets are enough for a base model.
type unpaid struct{}

func (unpaid) Load() (string, error) { return "", nil }
func (unpaid) Save(string) error     { return nil }

// base trains a base model on a few texts.
func base(t testing.TB, name string, b lineage.Backend, texts ...string) serve.Model {
	t.Helper()
	a, err := b.Train(t.Context(), lineage.Job{
		Learner: lineage.SFT, Count: len(texts), Ticket: unpaid{},
		Examples: func(yield func(lineage.Example, error) bool) {
			for _, text := range texts {
				if !yield(lineage.Example{Weight: 1, Messages: []lineage.Message{{Role: "user", Content: "Tell me."}, {Role: "assistant", Content: text}}}, nil) {
					return
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return serve.Model{Name: name, Backend: b, Learners: []lineage.Learner{lineage.SFT}, Artifact: a}
}

var sayings = []string{"The ferry leaves at dawn.", "Bread needs time and salt.", "A river remembers its stones.", "The ferry comes back at night."}

func urnModel(t testing.TB, name string, texts ...string) serve.Model {
	b, err := urn.New(urn.Config{Estimate: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	return base(t, name, b, texts...)
}

func ngramModel(t testing.TB, name string, texts ...string) serve.Model {
	kind, _ := lineage.Lookup("ngram")
	b, err := kind.Open(kind.Config())
	if err != nil {
		t.Fatal(err)
	}
	return base(t, name, b, texts...)
}

var _ = ngram.Config{}

// host is a server on a local port.
type host struct {
	*serve.Server
	t   testing.TB
	url string
}

func start(t testing.TB, o serve.Options) *host {
	t.Helper()
	if o.Models == nil {
		o.Models = []serve.Model{urnModel(t, "hl-urn", sayings...), ngramModel(t, "hl-base", sayings...)}
	}
	if o.Log == nil {
		o.Log = t.Logf
	}
	s, err := serve.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler = s
	if o.Rules == nil {
		handler = gated(t, s)
	}
	web := httptest.NewServer(handler)
	t.Cleanup(func() { web.Close(); s.Close() })
	return &host{s, t, web.URL + "/v1"}
}

// do sends a request; a body that is no reader is sent as JSON.
func (h *host) do(method, path string, body any, into any) *http.Response {
	h.t.Helper()
	var r io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case form:
		r, kind = b.encode()
	case string:
		r = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			h.t.Fatal(err)
		}
		r = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, h.url+path, r)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if s, ok := into.(*string); ok {
		*s = string(data)
	} else if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			h.t.Fatalf("%s %s: %v in %.400s", method, path, err, data)
		}
	}
	return resp
}

// must is do for what should succeed.
func (h *host) must(method, path string, body any) (v map[string]any) {
	h.t.Helper()
	if resp := h.do(method, path, body, &v); resp.StatusCode != 200 {
		h.t.Fatalf("%s %s: %d %v", method, path, resp.StatusCode, v)
	}
	return v
}

type form struct{ name, purpose, content string }

func (f form) encode() (io.Reader, string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.WriteField("purpose", f.purpose)
	part, _ := w.CreateFormFile("file", f.name)
	io.WriteString(part, f.content)
	w.Close()
	return &b, w.FormDataContentType()
}

// rows are a training file.
func rows(texts ...string) string {
	var b strings.Builder
	for i := range max(10, len(texts)) {
		line, _ := json.Marshal(map[string]any{"messages": []map[string]string{
			{"role": "user", "content": "Tell me."}, {"role": "assistant", "content": texts[i%len(texts)]},
		}})
		fmt.Fprintf(&b, "%s\n", line)
	}
	return b.String()
}

func (h *host) upload(content string) string {
	h.t.Helper()
	return h.must("POST", "/files", form{"train.jsonl", "fine-tune", content})["id"].(string)
}

// job creates one with more members than a model and a file.
func (h *host) job(model, content string, more map[string]any) string {
	h.t.Helper()
	body := map[string]any{"model": model, "training_file": h.upload(content)}
	for k, v := range more {
		body[k] = v
	}
	return h.must("POST", "/fine_tuning/jobs", body)["id"].(string)
}

// until polls a job until it is in a state.
func (h *host) until(id, state string) map[string]any {
	h.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		j := h.must("GET", "/fine_tuning/jobs/"+id, nil)
		if j["status"] == state {
			return j
		}
		if s := j["status"]; s == "failed" || s == "succeeded" || s == "cancelled" {
			h.t.Fatalf("the job is %v and not %s: %v", s, state, j["error"])
		}
	}
	h.t.Fatalf("the job %s did not become %s", id, state)
	return nil
}

func (h *host) say(model string, more map[string]any) map[string]any {
	h.t.Helper()
	body := map[string]any{"model": model, "messages": []map[string]string{{"role": "user", "content": "Tell me."}}}
	for k, v := range more {
		body[k] = v
	}
	return h.must("POST", "/chat/completions", body)
}

func text(v map[string]any) string {
	return v["choices"].([]any)[0].(map[string]any)["message"].(map[string]any)["content"].(string)
}

func TestAFineTuneSaysWhatItWasTrainedOn(t *testing.T) {
	for _, model := range []string{"hl-urn", "hl-base"} {
		h := start(t, serve.Options{})
		id := h.job(model, rows("I am new here."), map[string]any{"suffix": "gen1", "seed": 7, "metadata": map[string]string{"k": "v"}})
		j := h.until(id, "succeeded")
		name := j["fine_tuned_model"].(string)
		if !strings.HasPrefix(name, "ft:"+model+":heirloom:gen1:") {
			t.Errorf("the model is called %s", name)
		}
		if got := text(h.say(name, map[string]any{"seed": 1})); got != "I am new here." {
			t.Errorf("%s says %q", name, got)
		}
		if got := text(h.say(model, map[string]any{"seed": 1})); got == "I am new here." {
			t.Errorf("the base %s learned too", model)
		}
		next := h.until(h.job(name, rows("I am newer."), nil), "succeeded")
		if got := text(h.say(next["fine_tuned_model"].(string), nil)); got != "I am newer." && model == "hl-urn" {
			t.Errorf("a fine-tune of a fine-tune says %q", got)
		}
		if c := h.Counts(); c.Uploads != 2 || c.Jobs != 2 || c.Charges != 2 || c.Usage[model].Trained == 0 {
			t.Errorf("%+v", c)
		}
	}
}
