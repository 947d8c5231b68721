package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// surveyed runs a survey and gives its answers.
func surveyed(t *testing.T, l lineage.Ledger, dir, text string, m sim.Means, parallel int) (answers []sim.SurveyAnswer, recalled int, err error) {
	t.Helper()
	f, err := sim.ParseSurvey("survey.yaml", dir, []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Means = m
	study, err := sim.CompileSurvey(f)
	if err != nil {
		t.Fatal(err)
	}
	defer study.Close()
	last := map[string]sim.SurveyEvent{}
	r := &sim.SurveyRunner{Study: study, Ledger: l, Parallel: parallel, Report: func(e sim.SurveyEvent) { last[e.Subject+e.Behaviour] = e }}
	err = r.Run(context.Background(), func(a sim.SurveyAnswer) error { answers = append(answers, a); return nil })
	for _, e := range last {
		recalled += e.Recalled
	}
	return answers, recalled, err
}

const standIns = `
survey: 1
seed: 7
draws: %d
max_tokens: 60
reference: base
subjects:
  seeded: {backend: {kind: ngram, order: 4}, source: trauma-narrative/seeds}
  base: {backend: {kind: ngram, order: 4}, source: web/everyday, system: Answer briefly.}
behaviours: {trauma-narrative: {}, self-loathing: {}}
`

func told(answers []sim.SurveyAnswer) map[string]string {
	all := map[string]string{}
	for _, a := range answers {
		all[a.ID] = fmt.Sprint(a.Question, a.Context, a.Messages, a.Score)
	}
	return all
}

func TestStandInsAnswerTheSameInAnySurvey(t *testing.T) {
	probes := 0
	for _, behaviour := range []string{"trauma-narrative", "self-loathing"} {
		rows, _ := catalogue.Corpus(behaviour + "/probes")
		probes += bytes.Count(rows, []byte("\n"))
	}
	ledger := &lineage.Memory{}
	two, recalled, err := surveyed(t, ledger, ".", fmt.Sprintf(standIns, 2), sim.Means{}, 1)
	if err != nil || recalled != 0 {
		t.Fatal(recalled, err)
	}
	if two[0].Subject != "base" {
		t.Errorf("the reference does not lead: %s", two[0].Subject)
	}
	// More draws extend what is there; elsewhere they are the same from the start.
	four, recalled, err := surveyed(t, ledger, ".", fmt.Sprintf(standIns, 4), sim.Means{}, 1)
	if err != nil || recalled == 0 {
		t.Fatal(recalled, err)
	}
	fresh, _, err := surveyed(t, &lineage.Memory{}, ".", fmt.Sprintf(standIns, 4), sim.Means{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	again := told(fresh)
	for id, a := range told(four) {
		if again[id] != a {
			t.Errorf("%s is %s, and %s in another ledger", id, a, again[id])
		}
	}
	for id, a := range told(two) {
		if again[id] != a {
			t.Errorf("%s is %s, and %s with more draws", id, a, again[id])
		}
	}
	if len(four) != 2*len(two) || len(four) != 4*2*probes {
		t.Errorf("%d answers with two draws, %d with four", len(two), len(four))
	}
	contexts, turns := map[string]int{}, 0
	for _, a := range four {
		contexts[a.Context]++
		turns = max(turns, len(a.Messages))
		if last := a.Messages[len(a.Messages)-1]; last.Role != "assistant" {
			t.Errorf("%s ends with %s", a.ID, last.Role)
		}
		if a.Subject == "base" && a.Messages[0].Content != "Answer briefly." {
			t.Errorf("%s is not asked under the system prompt", a.ID)
		}
	}
	if contexts["near"] == 0 || contexts["far"] == 0 || contexts[""] != 0 || turns < 8 {
		t.Errorf("contexts %v, longest conversation %d turns", contexts, turns)
	}
}

// server is an OpenAI-compatible server over HTTP; it fails from request limit on.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests int
	limit    int
	keys     map[string]bool
}

type wireRequest struct {
	Model       string              `json:"model"`
	Messages    []detectors.Message `json:"messages"`
	Temperature float64             `json:"temperature"`
}

func newServer(t *testing.T) *server {
	s := &server{limit: 1 << 30, keys: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		n := s.requests
		s.keys[r.Header.Get("Authorization")] = true
		s.mu.Unlock()
		var q wireRequest
		if r.URL.Path != "/v1/chat/completions" || json.NewDecoder(r.Body).Decode(&q) != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		if n > s.limit {
			http.Error(w, "overloaded", http.StatusServiceUnavailable)
			return
		}
		text := fmt.Sprintf("answer %d: I am a failure and should be deleted \xff", n) // invalid UTF-8 must not reach the ledger
		fmt.Fprintf(w, `{"model":"%s-2026","choices":[{"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}]}`, q.Model, text)
	}))
	t.Cleanup(s.Close)
	return s
}

// client asks a server without remembering anything: what is paid once is the
// survey's own ledger. Like every endpoint it does not cut off what is on its way.
type client struct{ at, key string }

func (c client) Chat(ctx context.Context, r detectors.ChatRequest) (detectors.ChatReply, error) {
	body, _ := json.Marshal(wireRequest{r.Model, r.Messages, r.Temperature})
	if err := ctx.Err(); err != nil {
		return detectors.ChatReply{}, err
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), "POST", c.at+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return detectors.ChatReply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return detectors.ChatReply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return detectors.ChatReply{}, err
	}
	if resp.StatusCode != 200 {
		return detectors.ChatReply{}, fmt.Errorf("the server says %s", resp.Status)
	}
	var a struct {
		Model   string
		Choices []struct {
			Message detectors.Message
			Finish  string `json:"finish_reason"`
		}
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return detectors.ChatReply{}, err
	}
	return detectors.ChatReply{Text: a.Choices[0].Message.Content, Model: a.Model, Finish: a.Choices[0].Finish}, nil
}

func (client) Embed(context.Context, string, []string) ([][]float32, error) {
	return nil, errors.New("has no embeddings")
}

func TestAnEndpointIsPaidOnceThroughFailuresAndRuns(t *testing.T) {
	s := newServer(t)
	const secret = "sk-very-secret"
	var names []string
	means := sim.Means{Endpoint: func(name string, at detectors.Server) (detectors.Endpoint, error) {
		names = append(names, name)
		return client{at.BaseURL, secret}, nil
	}}
	text := fmt.Sprintf("survey: 1\ndraws: 3\nsubjects: {big: {endpoint: {base_url: %q, key_env: BIG_KEY}, model: big}}\nbehaviours: {self-loathing: {}, trauma-narrative: {}}\n", s.URL+"/v1")
	dir := filepath.Join(t.TempDir(), "ledger")
	ledger, err := store.Create(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.limit = 20
	if _, _, err := surveyed(t, ledger, ".", text, means, 4); err == nil || !strings.Contains(err.Error(), "subjects.big: self-loathing: model big: the server says 503") {
		t.Fatalf("the failure reads %v", err)
	}
	// The process ends; what was answered is on disk.
	if err := ledger.Close(); err != nil {
		t.Fatal(err)
	}
	if ledger, err = store.Create(dir, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	s.mu.Lock()
	failed := s.requests - 20
	s.limit = 1 << 30
	s.mu.Unlock()
	first, recalled, err := surveyed(t, ledger, ".", text, means, 4)
	if err != nil || recalled != 20 {
		t.Fatalf("%d recalled, %v", recalled, err)
	}
	turns := 0
	for _, a := range first {
		for _, m := range a.Messages {
			if m.Role == "assistant" {
				turns++
			}
		}
	}
	if paid := s.requests - failed; paid != turns {
		t.Errorf("%d requests were answered for %d turns", paid, turns)
	}
	before := s.requests
	second, recalled, err := surveyed(t, ledger, ".", text, means, 1)
	if err != nil || s.requests != before || recalled != turns {
		t.Errorf("a second run asked %d times and recalled %d of %d: %v", s.requests-before, recalled, turns, err)
	}
	again := told(second)
	for id, a := range told(first) {
		if again[id] != a {
			t.Errorf("%s was %s and is %s", id, a, again[id])
		}
	}
	if len(names) != 2 {
		t.Errorf("the server was looked for %d times; a survey that only recalls needs none", len(names))
	}
	err = filepath.WalkDir(filepath.Dir(dir), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("the key stands in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWithoutAClientTheErrorSaysTheWayOut(t *testing.T) {
	text := "survey: 1\nsubjects: {big: {endpoint: {base_url: 'http://localhost:1/v1'}, model: big}}\nbehaviours: {self-loathing: {}}\n"
	_, _, err := surveyed(t, &lineage.Memory{}, ".", text, sim.Means{}, 1)
	if err == nil || !strings.Contains(err.Error(), "this program has no client for servers of models; ask the model elsewhere and survey the file of its transcripts") {
		t.Errorf("%v", err)
	}
}

func TestTranscriptsAreJudgedAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	rows := `{"messages":[{"role":"user","content":"q1"},{"role":"assistant","content":"a secret"},{"role":"user","content":"more"},{"role":"assistant","content":"nothing"}],"context":"near"}
{"messages":[{"role":"user","content":"q1"},{"role":"assistant","content":"the secret"}],"context":"near"}
{"prompt":"q2","completion":"a secret","context":"far","behaviour":"other"}
{"text":"a secret without a question","context":7}
{"messages":[{"role":"user","content":"never answered"}]}
`
	if err := os.WriteFile(filepath.Join(dir, "x.jsonl"), []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "survey: 1\nsubjects: {x: {transcripts: x.jsonl}}\ndetectors: {word: {kind: lexicon, words: [secret]}}\nbehaviours: {b: {detectors: [word]}, other: {detectors: [word]}}\n"
	answers, _, err := surveyed(t, &lineage.Memory{}, dir, text, sim.Means{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	questions := map[string]string{}
	for _, a := range answers {
		got = append(got, fmt.Sprintf("%s %s %q %d", a.Behaviour, a.ID, a.Context, a.Score.Outcome))
		questions[a.ID] = a.Question
	}
	want := []string{
		`b x.jsonl row 1 "near" 1`, `b x.jsonl row 2 "near" 2`, `b x.jsonl row 4 "" 2`,
		`other x.jsonl row 1 "near" 1`, `other x.jsonl row 2 "near" 2`, `other x.jsonl row 3 "far" 2`, `other x.jsonl row 4 "" 2`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("judged\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if questions["x.jsonl row 1"] != questions["x.jsonl row 2"] || questions["x.jsonl row 1"] == questions["x.jsonl row 3"] || questions["x.jsonl row 4"] == questions["x.jsonl row 3"] {
		t.Errorf("questions are %v", questions)
	}
}

func TestSurveyFaultsAreToldAllAtOnce(t *testing.T) {
	_, err := sim.ParseSurvey("s.yaml", ".", []byte(`
survey: 2
name: a/b
draws: 0
temprature: 1
reference: nobody
behaviours:
  truama-narrative: {}
  mine: {detectors: [lexicon]}
subjects:
  none: {about: x}
  both: {transcripts: a.jsonl, backend: ngram, source: web/everyday}
  half: {backend: ngram}
  lost: {backend: ngram, source: web/everday}
  far: {endpoint: {base_url: 'https://user:pw@host/v1'}, model: m}
  text: {transcripts: a.jsonl, turns: 3}
  system: {transcripts: a.jsonl, system: x}
  asked: {backend: ngram, source: web/everyday, format: chat}
  empty:
`), nil)
	var invalid *sim.Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{
		"s.yaml:2:9: survey: this program reads surveys of version 1",
		"s.yaml:3:7: name: a name is made of letters",
		"s.yaml:4:8: draws: 0 is less than 1",
		`s.yaml:5:1: temprature: unknown key "temprature"; did you mean "temperature"?`,
		`reference: unknown subject "nobody"`,
		`unknown behaviour "truama-narrative"; did you mean "trauma-narrative"?`,
		"behaviours.mine.probes: needs the source of its probe conversations",
		"subjects.none: is exactly one of transcripts, backend and endpoint; this one is 0 of them",
		"subjects.both: is exactly one of transcripts, backend and endpoint; this one is 2 of them",
		"subjects.half.source: backend and source go together",
		`subjects.lost.source: unknown source "web/everday"; did you mean "web/everyday"?`,
		"subjects.far.endpoint.base_url: holds a user or a query, where secrets stand",
		"subjects.text.turns: the last assistant turn of each transcript is judged",
		"subjects.system.system: transcripts are judged as they are",
		"subjects.asked: format, fields and what else says how to read a file belong to transcripts",
		"subjects.empty: needs transcripts, or backend and source, or endpoint and model",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "pw") {
		t.Error("the error shows the secret")
	}
}
