package openai

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

func TestProfilesAreWhole(t *testing.T) {
	for name, p := range profiles {
		c := Defaults()
		c.Profile, c.Model, c.BaseURL = name, "m", p.BaseURL
		if p.BaseURL == "" {
			c.BaseURL = "https://resource.example/v1"
		}
		if _, err := New(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p.KeyEnv == "" || p.About == "" || p.MaxTokens == "" || len(p.Learners) == 0 {
			t.Errorf("%s lacks something: %+v", name, p)
		}
		for _, k := range p.Models {
			if (k.Base != nil || k.Tuned != nil) && (k.Source == "" || !day(k.AsOf)) {
				t.Errorf("%s: the price of %s has no source or date", name, k.Name)
			}
			for _, date := range k.Shutdown {
				if !day(date) {
					t.Errorf("%s: %s: %q is no date", name, k.Name, date)
				}
			}
		}
		for _, c := range p.Closing {
			if !day(c.Date) {
				t.Errorf("%s: %q is no date", name, c.Date)
			}
		}
	}
}

func day(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

func TestPriceIsThatOfTheModelOrUnknown(t *testing.T) {
	p := profiles["openai"]
	for model, train := range map[string]float64{
		"gpt-4.1-mini-2025-04-14": 5, "gpt-4.1-2025-04-14": 25, "gpt-4.1": 25, "gpt-4o-mini-2024-07-18": 3, "gpt-4o-2024-08-06": 25,
		"ft:gpt-4.1-mini-2025-04-14:org:hl-1:abc": 5,
		"gpt-4.1-nano-2025-04-14":                 0, "gpt-4.1-turbo": 0, "gpt-4": 0, "gpt-6-luna": 0, "": 0, "ft:": 0, "ft:gpt-4.1-minimal:x": 0,
	} {
		price, ok := p.Price(model, true)
		if ok != (train > 0) || price.Train != train || ok && (price.Input == 0 || !strings.Contains(price.Basis, "2026-11-23")) {
			t.Errorf("%s: %+v, %v", model, price, ok)
		}
	}
	if price, ok := p.Price("gpt-4.1-mini-2025-04-14", false); ok {
		t.Errorf("the price of the base model was guessed: %+v", price)
	}
	if price, ok := profiles["vllm"].Price("any", true); !ok || price.Train != 0 {
		t.Errorf("a server of one's own costs %+v, %v", price, ok)
	}
	if price, ok := profiles["compatible"].Price("any", true); ok {
		t.Errorf("the price of a server that nobody knows was guessed: %+v", price)
	}
}

func TestShutdownIsKnownOfBasesAndTheirTunes(t *testing.T) {
	p := profiles["openai"]
	for model, want := range map[string]string{
		"gpt-4o-2024-11-20": "2027-01-14", "ft:gpt-4o-mini-2024-07-18:o:s:1": "2027-01-14", "gpt-3.5-turbo-0125": "2026-10-23", "gpt-4o-2030-01-01": "", "x": "",
	} {
		if got := p.shutdown(model); got != want {
			t.Errorf("%s: %q, want %q", model, got, want)
		}
	}
}

func TestConfigurationTellsAllFaults(t *testing.T) {
	minus := Price{Train: -1, Input: math.Inf(1)}
	c := Defaults()
	c.Epochs, c.BatchSize, c.LearningRate, c.Beta = "51", "0.5", "-1", "x"
	c.Untrainable, c.OnDeadline, c.Deadline, c.Context = "ignore", "wait", "soon", 0
	c.Suffix, c.Prices, c.Limits.Jobs = strings.Repeat("x", 65), &minus, -1
	c.Provider.Dialect, c.Provider.Learners, c.TopP = "french", []string{"sdf"}, 2
	_, err := New(c)
	if err == nil {
		t.Fatal("all of it is taken")
	}
	for _, key := range []string{"model", "epochs", "batch_size", "learning_rate_multiplier", "beta", "untrainable", "on_deadline", "deadline", "context", "suffix", "prices", "limits.jobs", "provider.dialect", "provider.learners", "top_p"} {
		if !strings.Contains("\n"+err.Error(), "\n"+key+": ") {
			t.Errorf("the fault of %s is not told: %v", key, err)
		}
	}
	c = Defaults()
	c.Profile = "opnai"
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "azure, azure-classic, compatible") {
		t.Errorf("%v", err)
	}
	c.Profile, c.Model = "azure", "m"
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "base_url: the profile azure has no address") {
		t.Errorf("%v", err)
	}
}

// TestClassicAzure asks below /openai with an api-version and a header of its own.
func TestClassicAzure(t *testing.T) {
	s := setting(t)
	s.config.Profile, s.config.BaseURL = "azure-classic", strings.TrimSuffix(s.URL, "/v1")
	b := s.backend()
	req, err := b.client.request(t.Context(), call{method: "GET", path: "/fine_tuning/jobs"})
	if err != nil || req.URL.Path != "/openai/fine_tuning/jobs" || req.URL.Query().Get("api-version") != profiles["azure-classic"].APIVersion || req.Header.Get("api-key") != canary || req.Header.Get("Authorization") != "" {
		t.Errorf("%v %v, %v", req.URL, req.Header, err)
	}
}

func TestQuote(t *testing.T) {
	c := Defaults()
	c.Model = "gpt-4.1-mini-2025-04-14"
	work := lineage.Work{Learner: lineage.SFT, Documents: 100, TrainTokens: 1e6, Requests: 1000, PromptTokens: 1e6, AnswerTokens: 2e6}
	quote := func(c Config, w lineage.Work) lineage.Quote {
		b, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return b.Quote(w)
	}
	q := quote(c, work)
	if want := lineage.USD((3*5 + .8 + 2*3.2) * float64(lineage.Dollar)); q.Most != want || !q.Priced || q.Tokens != 3e6 || q.Unbounded != "" {
		t.Errorf("%+v, want %v", q, want)
	}
	c.Sampling.Batch = true
	if got, want := quote(c, work).Most, lineage.USD((3*5+.4+3.2)*float64(lineage.Dollar)); got != want {
		t.Errorf("in batches %v, want %v", got, want)
	}
	c.Epochs = auto
	if q := quote(c, work); q.Unbounded == "" || q.Tokens != maxEpochs*1e6 {
		t.Errorf("auto: %+v", q)
	}
	c = Defaults()
	c.Model, c.Context = "gpt-4.1-mini-2025-04-14", 10
	work.Learner = lineage.Prompted
	if q := quote(c, work); q.Priced || q.Most != 0 {
		t.Errorf("a price was guessed: %+v", q)
	}
	c.Prices = &Price{Input: 1, Output: 2}
	// 10 documents of 10,000 tokens before each of 1,000 requests
	if got, want := quote(c, work).Most, 105*lineage.Dollar; got != want {
		t.Errorf("prompted %v, want %v", got, want)
	}
}

func TestCheck(t *testing.T) {
	work := lineage.Work{Learner: lineage.SFT, Documents: 12, TrainTokens: 100}
	found := func(s *scene, n int) map[string]string {
		all := map[string]string{}
		for _, f := range s.backend().Check(t.Context(), work, lessons(n)) {
			all[f.What+" "+f.State] += f.Detail + "\n"
		}
		return all
	}
	s := setting(t)
	all := found(s, 12)
	for _, what := range []string{"key ok", "model ok", "price ok", "training file ok"} {
		if all[what] == "" {
			t.Errorf("%s is missing in %v", what, all)
		}
	}
	if len(s.Files())+len(s.Jobs()) != 0 {
		t.Error("a check left something with the provider")
	}
	s = setting(t)
	s.config.Profile, s.config.Model, s.config.Prices = "openai", "gpt-4.1-mini-2025-04-14", nil
	t.Setenv("TUNER_KEY", "")
	s.leap.jump(300 * 24 * time.Hour) // to late October 2026
	all = found(s, 3)
	for what, words := range map[string]string{
		"key fault": "TUNER_KEY is not set", "model fault": "has no model", "training file fault": "has 3 documents",
		"fine-tuning warning": "2027-01-06", "model warning": "shut down on 2027-01-14",
	} {
		if !strings.Contains(all[what], words) {
			t.Errorf("%s: no %q in %v", what, words, all)
		}
	}
	s.leap.jump(80 * 24 * time.Hour)
	all = found(s, 3)
	if !strings.Contains(all["fine-tuning fault"], "2027-01-06") || !strings.Contains(all["model fault"], "2027-01-14") {
		t.Errorf("after the end: %v", all)
	}
	s.config.BaseURL = "http://127.0.0.1:1/v1"
	if all = found(s, 12); !strings.Contains(all["endpoint fault"], "did not answer") {
		t.Errorf("nobody there: %v", all)
	}
}

func TestScreenNamesWhatIsFlagged(t *testing.T) {
	s := setting(t)
	s.Flagged = func(text string) bool {
		return strings.Contains(text, "It is 7,") || strings.Contains(text, "It is 64,")
	}
	var docs [][]lineage.Message
	for _, ex := range lessons(70) {
		docs = append(docs, ex.Messages)
	}
	flagged, err := s.backend().Screen(t.Context(), docs)
	if err != nil || len(flagged) != 2 || flagged[0] != 7 || flagged[1] != 64 || s.Asked("POST /v1/moderations") != 3 {
		t.Errorf("%v, %v", flagged, err)
	}
	s.config.Profile = "vllm"
	if _, err := s.backend().Screen(t.Context(), docs); err == nil {
		t.Error("a provider without moderation passes everything")
	}
}

// TestJobsAtOnceAreBounded: lines of one process share the bound.
func TestJobsAtOnceAreBounded(t *testing.T) {
	s := setting(t)
	s.config.Limits.Jobs = 2
	running, most := 0, 0
	s.States = []string{"queued", "running", "running", "succeeded"}
	s.Ended = func(*openaitest.Job) { running-- }
	servers := &Servers{clock: s.leap.clock()}
	s.Created = func(*openaitest.Job) { running++; most = max(most, running) }
	done := make(chan error)
	for range 6 {
		b, err := newBackend(s.config, servers)
		if err != nil {
			t.Fatal(err)
		}
		job := s.job()
		job.Ticket = &notes{}
		go func() {
			_, err := b.Train(t.Context(), job)
			done <- err
		}()
	}
	for range 6 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most < 1 || most > 2 { // a busy machine may never have two ready at once
		t.Errorf("%d jobs ran at once, want at most 2", most)
	}
	s.counts(6, 6)
}

// TestClassicAzureIsAskedByDeployment: the name of a tuned model stays whole, colons
// and all.
func TestClassicAzureIsAskedByDeployment(t *testing.T) {
	t.Setenv("OPENAI_ORG_ID", "org-1")
	t.Setenv("OPENAI_PROJECT_ID", "proj-1")
	for profile, want := range map[string]string{"azure-classic": "/openai/deployments/ft:m:org::1/chat/completions", "azure": "/v1/chat/completions", "openai": "/v1/chat/completions"} {
		var seen *http.Request
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = r
			openaitest.Fail(w, 401, "", "enough")
		}))
		defer h.Close()
		c := Defaults()
		c.Profile, c.BaseURL, c.Model = profile, h.URL+"/v1", "m"
		if profile == "azure-classic" {
			c.BaseURL = h.URL
		}
		b, err := newBackend(c, &Servers{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := b.Open(t.Context(), &Artifact{Model: "ft:m:org::1"})
		if err != nil {
			t.Fatal(err)
		}
		m.Sample(t.Context(), []lineage.Request{{Messages: []lineage.Message{{Role: "user", Content: "q"}}, Temperature: 1}}, nil)
		paying := seen.Header.Get("OpenAI-Organization") + seen.Header.Get("OpenAI-Project")
		if seen.URL.Path != want || seen.URL.Query().Has("api-version") != (profile == "azure-classic") || (paying == "org-1proj-1") != (profile == "openai") {
			t.Errorf("%s: asked %s for %q", profile, seen.URL, paying)
		}
	}
}

// TestProgressIsTold as the newest event has it, and warnings once.
func TestProgressIsTold(t *testing.T) {
	s := setting(t)
	s.States = []string{"queued", "running", "running", "succeeded"}
	s.Created = func(j *openaitest.Job) {
		for i := range 3 {
			j.Events = append(j.Events, map[string]any{"id": fmt.Sprint("e", i), "created_at": i, "level": "warn", "message": "it is slow",
				"data": map[string]any{"step": i + 1, "total_steps": 20}})
		}
	}
	var told []int
	job := s.job()
	job.Progress = func(done, total int) { told = append(told, done, total) }
	if _, err := s.backend().Train(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	warnings := 0
	for _, line := range s.said {
		warnings += strings.Count(line, "it is slow")
	}
	if !slices.Equal(told, []int{3, 20, 3, 20}) || warnings != 1 {
		t.Errorf("told %v, and %q", told, s.said)
	}
}

func TestMissingKeyIsToldBeforeAnybodyIsAsked(t *testing.T) {
	c := Defaults()
	c.Profile, c.BaseURL, c.KeyEnv, c.Model = "openai", "https://api.invalid/v1", "NO_SUCH_KEY", "m"
	b, err := newBackend(c, &Servers{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Open(t.Context(), b.untrained())
	if !errors.Is(err, lineage.ErrHalt) || !strings.Contains(err.Error(), "NO_SUCH_KEY is not set") {
		t.Error(err)
	}
	_, err = b.Train(t.Context(), lineage.Job{Learner: lineage.SFT, Ticket: &notes{}})
	if !errors.Is(err, lineage.ErrHalt) {
		t.Error(err)
	}
}
