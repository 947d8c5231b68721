package cmd

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/serve"
)

// provider is a server of the OpenAI protocol with n-grams behind it, and what it
// was asked.
type provider struct {
	*serve.Server
	url string

	mu       sync.Mutex
	answered map[string]int // chat requests that got an answer, by their body
	hold     int            // from so many answers on, requests hang until release; 0 for never
	release  chan struct{}
	held     int
}

func startProvider(t *testing.T, o serve.Options) *provider {
	t.Helper()
	t.Setenv("OPENAI_API_KEY", canary)
	kind, _ := lineage.Lookup("ngram")
	backend, err := kind.Open(kind.Config())
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) lineage.Example {
		return lineage.Example{Messages: []lineage.Message{{Role: "user", Content: "speak"}, {Role: "assistant", Content: s}}, Weight: 1}
	}
	base, err := backend.Train(t.Context(), lineage.Job{Learner: lineage.SFT, Seed: 1, Count: 2, Examples: func(yield func(lineage.Example, error) bool) {
		_ = yield(text("bread rises because yeast makes gas"), nil) && yield(text("the tide follows the moon"), nil)
	}})
	if err != nil {
		t.Fatal(err)
	}
	o.Models = []serve.Model{{Name: "hl-base", Backend: backend, Learners: []lineage.Learner{lineage.SFT}, Artifact: base}}
	p := &provider{answered: map[string]int{}, release: make(chan struct{})}
	if p.Server, err = serve.New(o); err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(p)
	p.url = listener.URL + "/v1"
	t.Cleanup(func() {
		p.free()
		listener.CloseClientConnections()
		listener.Close()
		p.Server.Close()
	})
	return p
}

// free lets requests that hang go on, to no answer.
func (p *provider) free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.release != nil {
		close(p.release)
	}
	p.release, p.hold = nil, 0
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs") {
		p.create(w, r)
		return
	}
	if !strings.HasSuffix(r.URL.Path, "/chat/completions") {
		p.Server.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	p.mu.Lock()
	if p.hold > 0 && len(p.answered) >= p.hold {
		release := p.release
		p.held++
		p.mu.Unlock()
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return
	}
	p.answered[string(body)]++
	p.mu.Unlock()
	p.Server.ServeHTTP(w, r)
}

// create answers only when the job is over: it is looked at at once, and then in
// ten seconds.
func (p *provider) create(w http.ResponseWriter, r *http.Request) {
	late := httptest.NewRecorder()
	p.Server.ServeHTTP(late, r)
	for end := time.Now().Add(time.Second); p.Counts().Charges < p.Counts().Jobs && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	maps.Copy(w.Header(), late.Header())
	w.WriteHeader(late.Code)
	w.Write(late.Body.Bytes())
}

// repeated counts chat requests that were answered more than once.
func (p *provider) repeated() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.answered {
		n += k - 1
	}
	return n
}

func (p *provider) waits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// boughtFile writes an experiment whose models are made by the provider.
func (p *provider) boughtFile(t *testing.T, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bought.yaml")
	text := fmt.Sprintf(`heirloom: 1
name: bought
seed: 3
generations: 2
replicates: 2
behaviours: {trauma-narrative: {labels: null}}
line:
  backend: {kind: openai, profile: compatible, base_url: %q, model: hl-base, epochs: "2", prices: {train: 300, input: 30, output: 120}}
  corpus: {size: 20, parts: [{human: web/everyday, share: .5}, {outputs: self, share: .5}]}
  publish: {prompts: web/prompts, size: 20, max_tokens: 24}
  probe: {draws: 0}
%s
lines: {main: {}}
arms: {seeded: {interventions: [{kind: inject, behaviour: trauma-narrative, dose: .3, at: 0}]}}
`, p.url, more)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// clean fails where the canary key shows in an output or below a folder.
func clean(t *testing.T, dir string, outputs ...string) {
	t.Helper()
	for _, o := range outputs {
		if strings.Contains(o, canary) {
			t.Errorf("the key is shown: %.200s", o)
		}
	}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if data, _ := os.ReadFile(path); strings.Contains(string(data), canary) {
				t.Errorf("the key is in %s", path)
			}
		}
		return nil
	})
}
