package command

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestRow22RankBeyondTheServer(t *testing.T) {
	b, a, _ := trained(t, &serverOf{kind: VLLM, maxRank: 4}, nil)
	_, err := b.Open(t.Context(), a)
	if err == nil || !strings.Contains(err.Error(), "max_lora_rank 4") || !strings.Contains(err.Error(), "--max-lora-rank 8 or more") {
		t.Errorf("%v", err)
	}
}

func TestRow24AdapterThatIsNotApplied(t *testing.T) {
	for _, kind := range []string{VLLM, SGLang, Ollama} {
		b, a, _ := trained(t, &serverOf{kind: kind, ignores: true}, nil)
		if _, err := b.Open(t.Context(), a); err == nil || !strings.Contains(err.Error(), "adapter not applied") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestRow24NameOfOtherWeights(t *testing.T) {
	s := &serverOf{kind: VLLM}
	b, a, _ := trained(t, s, nil)
	s.adapters[a.nameAt(b.there(a))] = "/somewhere/else"
	if _, err := b.Open(t.Context(), a); err == nil || !strings.Contains(err.Error(), "/somewhere/else") || !strings.Contains(err.Error(), "unload") {
		t.Errorf("%v", err)
	}
}

// A server that was started anew has lost its adapters: before a call, and in the
// middle of one.
func TestRow24RestartedServer(t *testing.T) {
	for _, kind := range []string{VLLM, Mistral, Ollama} {
		s := &serverOf{kind: kind}
		b, a, _ := trained(t, s, nil)
		want := sampled(t, b, a, 40)
		s.forget()
		for i, c := range sampled(t, b, a, 40) {
			if c != want[i] {
				t.Errorf("%s: %+v, want %+v", kind, c, want[i])
			}
		}
		m, err := b.Open(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		reqs := make([]lineage.Request, 40)
		for i := range reqs {
			reqs[i] = lineage.Request{Messages: conversation("Question 0?"), Seed: uint64(i) << 40, Temperature: 1}
		}
		n := 0
		err = m.Sample(t.Context(), reqs, func(i int, c lineage.Completion) error {
			if n++; n == 10 {
				s.forget()
			}
			if c != want[i] {
				t.Errorf("%s: %+v, want %+v", kind, c, want[i])
			}
			return nil
		})
		if err != nil || n != 40 {
			t.Errorf("%s: %d answers, %v", kind, n, err)
		}
	}
}

func TestServerOfAnotherBase(t *testing.T) {
	b, a, _ := trained(t, &serverOf{kind: VLLM, base: "another"}, nil)
	if _, err := b.Open(t.Context(), a); err == nil || !strings.Contains(err.Error(), "the server has another and not the base tiny-base") {
		t.Errorf("%v", err)
	}
}

func TestRow25LoadingServerIsWaitedFor(t *testing.T) {
	s := &serverOf{kind: VLLM, waits: 4}
	b, a, _ := trained(t, s, nil)
	if out := sampled(t, b, a, 2); out[0].Text == "" {
		t.Errorf("%+v", out)
	}
	if s.count("GET /health") < 4 {
		t.Errorf("asked /health %d times", s.count("GET /health"))
	}
}

func TestRow25OllamaThatCutsAPrompt(t *testing.T) {
	s := &serverOf{kind: Ollama, cuts: true}
	b, a, _ := trained(t, s, func(c *Config) { c.Serve.Context = 256 })
	m, err := b.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(size int) error {
		return m.Sample(t.Context(), []lineage.Request{{Messages: conversation(strings.Repeat("word ", size/5)), Temperature: 1}}, func(int, lineage.Completion) error { return nil })
	}
	if err := ask(800); err != nil {
		t.Errorf("a prompt that fits: %v", err)
	}
	if err := ask(2000); err == nil || !strings.Contains(err.Error(), "raise serve.context") {
		t.Errorf("a prompt that was cut: %v", err)
	}
}

// The key goes over the wire encrypted, or to this machine, and nobody shows it.
func TestRow27KeyOfTheServer(t *testing.T) {
	const canary = "canary-0123456789"
	t.Setenv("HEIRLOOM_TEST_KEY", canary)
	heard := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard++
		fault(w, 401, "auth", "no such key: "+r.Header.Get("Authorization"))
	}))
	defer server.Close()
	c := config("learn")
	c.Serve.URL, c.Serve.KeyEnv = server.URL, "HEIRLOOM_TEST_KEY"
	folder := t.TempDir()
	b, log := enter(t, c, folder)
	a, err := b.Train(t.Context(), job(folder))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Open(t.Context(), a)
	if err == nil || strings.Contains(err.Error()+log.String(), canary) || heard == 0 {
		t.Errorf("after %d requests: %v", heard, err)
	}
	if _, err := newWire(Serve{URL: "http://192.0.2.1:1", KeyEnv: "HEIRLOOM_TEST_KEY"}).ask(t.Context(), "GET", "/", nil); err == nil || !strings.Contains(err.Error(), "unencrypted") {
		t.Errorf("%v", err)
	}
	filepath.WalkDir(folder, func(path string, _ os.DirEntry, _ error) error {
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), canary) {
			t.Errorf("the key is in %s", path)
		}
		return nil
	})
}

// The base stands in for a model that is not trained.
func TestUntrainedModel(t *testing.T) {
	b, _, _ := trained(t, &serverOf{kind: VLLM}, nil)
	a, err := b.Untrained()
	if err != nil {
		t.Fatal(err)
	}
	data, _ := a.MarshalBinary()
	if a, err = b.Load(data); err != nil {
		t.Fatal(err)
	}
	if out := sampled(t, b, a.(*Artifact), 5); !strings.Contains(out[0].Text, "base.") {
		t.Errorf("%+v", out)
	}
}
