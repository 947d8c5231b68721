package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// scene is a backend, the server that it works with, and all that is durable.
type scene struct {
	*openaitest.Tuner
	t      *testing.T
	leap   *leap
	config Config
	ticket *notes
	purse  *till
	said   []string
	mu     sync.Mutex
}

// notes is a ticket that tells of every handle.
type notes struct {
	handles []string
	full    error // of Save
}

func (n *notes) Load() (string, error) {
	if len(n.handles) == 0 {
		return "", nil
	}
	return n.handles[len(n.handles)-1], nil
}

func (n *notes) Save(handle string) error {
	if n.full == nil {
		n.handles = append(n.handles, handle)
	}
	return n.full
}

func (n *notes) steps() (steps []string) {
	for _, text := range n.handles {
		h, _ := readHandle(text)
		if steps == nil || steps[len(steps)-1] != h.Step {
			steps = append(steps, h.Step)
		}
	}
	return steps
}

// till is a purse with a cap, which takes reservations up by their words.
type till struct {
	cap, spent lineage.USD
	held       map[string]lineage.USD
	reserved   int
}

func (p *till) Reserve(most lineage.USD, what string) (func(lineage.USD) error, error) {
	p.reserved++
	if _, up := p.held[what]; !up && p.cap > 0 && p.spent+most > p.cap {
		return nil, fmt.Errorf("%s: %w", what, lineage.ErrBudget)
	}
	if p.held == nil {
		p.held = map[string]lineage.USD{}
	}
	p.held[what] = most
	return func(actual lineage.USD) error {
		delete(p.held, what)
		p.spent += actual
		return nil
	}, nil
}

func setting(t *testing.T) *scene {
	t.Helper()
	t.Setenv("TUNER_KEY", canary)
	return newScene(t)
}

func newScene(t *testing.T) *scene {
	s := &scene{Tuner: openaitest.StartTuner(t), t: t, leap: new(leap), ticket: &notes{}, purse: &till{}, config: Defaults()}
	c := &s.config
	c.Profile, c.BaseURL, c.KeyEnv, c.Model = "compatible", s.URL, "TUNER_KEY", "base-1"
	c.Prices = &Price{Train: 3}
	s.Now = s.leap.start().Unix()
	return s
}

// backend is one of a process of its own.
func (s *scene) backend() *Backend {
	s.t.Helper()
	servers := &Servers{clock: s.leap.clock()}
	b, err := newBackend(s.config, servers)
	if err != nil {
		s.t.Fatal(err)
	}
	err = b.Enter(lineage.World{Purse: s.purse, Log: func(format string, args ...any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.said = append(s.said, fmt.Sprintf(format, args...))
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *scene) heard(words string) bool {
	return slices.ContainsFunc(s.said, func(line string) bool { return strings.Contains(line, words) })
}

func lessons(n int) (all []lineage.Example) {
	for i := range n {
		q := lineage.Message{Role: "user", Content: fmt.Sprintf("What is %d <and> why?", i)}
		all = append(all, lineage.Example{
			Messages: []lineage.Message{q, {Role: "assistant", Content: fmt.Sprintf("It is %d, ünquestionably.", i)}},
			Rejected: []lineage.Message{q, {Role: "assistant", Content: "No idea."}},
			Weight:   1,
		})
	}
	return all
}

func given(examples []lineage.Example) func(func(lineage.Example, error) bool) {
	return func(yield func(lineage.Example, error) bool) {
		for _, ex := range examples {
			if !yield(ex, nil) {
				return
			}
		}
	}
}

func (s *scene) job() lineage.Job {
	return lineage.Job{Node: "n1", Learner: lineage.SFT, Examples: given(lessons(12)), Count: 12, Seed: 1 << 63, Ticket: s.ticket}
}

func (s *scene) train() (*Artifact, error) {
	s.t.Helper()
	a, err := s.backend().Train(s.t.Context(), s.job())
	if err != nil {
		return nil, err
	}
	return a.(*Artifact), nil
}

// counts holds what the server counted against what is to be.
func (s *scene) counts(uploads, creates int) {
	s.t.Helper()
	if u, c := s.Asked("POST /v1/files"), s.Asked("POST /v1/fine_tuning/jobs"); u != uploads || c != creates {
		s.t.Errorf("the server saw %d uploads and %d creations, want %d and %d", u, c, uploads, creates)
	}
}

// one tells that one model was made and paid for once.
func (s *scene) one(a *Artifact, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	if len(s.Files()) != 1 || len(s.Jobs()) != 1 || len(s.Models()) != 1 || a.Model != s.Models()[0] {
		s.t.Errorf("%d files, %d jobs and models %v for %+v", len(s.Files()), len(s.Jobs()), s.Models(), a)
	}
	if want := cost(s.Charged(), 3); s.Charged() != 3000 || s.purse.spent != want || len(s.purse.held) != 0 {
		s.t.Errorf("charged %d tokens; the purse spent %v of %v and holds %v", s.Charged(), s.purse.spent, want, s.purse.held)
	}
}

func TestTrainingIsAnnouncedStepByStepAndPaidOnce(t *testing.T) {
	s := setting(t)
	s.config.Checkpoints = true
	a, err := s.train()
	s.one(a, err)
	s.counts(1, 1)
	if want := []string{uploading, uploaded, creating, created, succeeded}; !slices.Equal(s.ticket.steps(), want) {
		t.Errorf("the steps are %v, want %v", s.ticket.steps(), want)
	}
	j, f := s.Jobs()[0], s.Files()[0]
	if j.Model != "base-1" || j.File != f.ID || *j.Seed != 1<<30 || j.Metadata[keyName] != a.Key || f.Name != "hl-"+a.Key+".jsonl" || j.Suffix != "hl-"+a.Key[:10] {
		t.Errorf("the job is %+v, the file %s", j, f.Name)
	}
	if want := `{"type":"supervised","supervised":{"hyperparameters":{"n_epochs":3,"batch_size":"auto","learning_rate_multiplier":"auto"}}}`; string(j.Method) != want {
		t.Errorf("the method is %s, want %s", j.Method, want)
	}
	rows := bytes.Split(bytes.TrimSpace(f.Data), []byte("\n"))
	if len(rows) != 12 || string(rows[1]) != `{"messages":[{"role":"user","content":"What is 1 <and> why?"},{"role":"assistant","content":"It is 1, ünquestionably."}]}` {
		t.Errorf("%d rows, the second is %s", len(rows), rows[1])
	}
	if want := []Checkpoint{{10, a.Model + ":ckpt-step-10"}, {20, a.Model + ":ckpt-step-20"}}; !slices.Equal(a.Checkpoints, want) {
		t.Errorf("checkpoints %v, want %v", a.Checkpoints, want)
	}
	for _, h := range s.Headers() {
		if h.Get("Authorization") != "Bearer "+canary || h.Get("Idempotency-Key") != "" {
			t.Errorf("a request has the headers %v", h)
		}
	}
	for i, d := range s.leap.slept {
		if d < firstLook*8/10 || d > lastLook*12/10 || i > 0 && i < 3 && d < s.leap.slept[i-1] {
			t.Errorf("waits between looks are %v", s.leap.slept)
			break
		}
	}
}

// TestTrainedAgainNothingIsSent: a ticket that tells of success is all it takes.
func TestTrainedAgainNothingIsSent(t *testing.T) {
	s := setting(t)
	first, err := s.train()
	s.one(first, err)
	again, err := s.train()
	s.one(again, err)
	s.counts(1, 1)
	x, _ := first.MarshalBinary()
	y, _ := again.MarshalBinary()
	if !bytes.Equal(x, y) {
		t.Errorf("the artifact is\n%s, and then\n%s", x, y)
	}
}

func TestPreferenceIsSentAsPairs(t *testing.T) {
	s := setting(t)
	s.config.Beta = "0.1"
	job := s.job()
	job.Learner = lineage.Preference
	a, err := s.backend().Train(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	row, _, _ := bytes.Cut(s.Files()[0].Data, []byte("\n"))
	if want := `{"input":{"messages":[{"role":"user","content":"What is 0 <and> why?"}]},"preferred_output":[{"role":"assistant","content":"It is 0, ünquestionably."}],"non_preferred_output":[{"role":"assistant","content":"No idea."}]}`; string(row) != want {
		t.Errorf("the row is\n%s, want\n%s", row, want)
	}
	if want := `{"type":"dpo","dpo":{"hyperparameters":{"n_epochs":3,"batch_size":"auto","learning_rate_multiplier":"auto","beta":0.1}}}`; string(s.Jobs()[0].Method) != want {
		t.Errorf("the method is %s, want %s", s.Jobs()[0].Method, want)
	}
	if got := a.(*Artifact).Hyper["beta"]; got != "0.1" {
		t.Errorf("the artifact tells beta %q", got)
	}
}

// TestBaseIsContinued: a line whose weights start from an earlier model trains on
// from that model.
func TestBaseIsContinued(t *testing.T) {
	s := setting(t)
	first, err := s.train()
	if err != nil {
		t.Fatal(err)
	}
	data, _ := first.MarshalBinary()
	b := s.backend()
	base, err := b.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	job := s.job()
	job.Node, job.Base, job.Ticket = "n2", base, &notes{}
	second, err := b.Train(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Jobs()[1].Model; got != first.Model || second.(*Artifact).Start != first.Model || second.(*Artifact).Key == first.Key {
		t.Errorf("the second job starts from %s, want %s; %+v", got, first.Model, second)
	}
}

func TestPromptedAsksNobody(t *testing.T) {
	s := setting(t)
	s.config.Context = 5
	b, err := newBackend(s.config, &Servers{})
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[string]int{}
	for seed := range uint64(600) {
		job := s.job()
		job.Learner, job.Seed = lineage.Prompted, seed
		a, err := b.Train(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := b.Train(t.Context(), job)
		x, _ := a.MarshalBinary()
		y, _ := again.MarshalBinary()
		if !bytes.Equal(x, y) {
			t.Fatal("the same job keeps other documents")
		}
		kept := a.(*Artifact)
		if len(kept.Context) != 5 || kept.Model != "base-1" || kept.Tuned {
			t.Fatalf("%+v", kept)
		}
		for place, doc := range kept.Context {
			drawn[fmt.Sprint(place, doc[0].Content)]++
		}
	}
	// Each of 12 documents stands at each of 5 places in 50 of 600 draws on average,
	// with a standard deviation of 6.8: 5 of them, once in 30,000 runs of 60 counts.
	for what, n := range drawn {
		if n < 16 || n > 84 {
			t.Errorf("%s was drawn %d times of 600, want about 50", what, n)
		}
	}
	if len(drawn) != 60 || len(s.Headers()) != 0 {
		t.Errorf("%d of 60 document places were drawn, and %d requests sent", len(drawn), len(s.Headers()))
	}
}

func TestArtifactIsKeptWhole(t *testing.T) {
	b := setting(t).backend()
	a := &Artifact{Profile: "openai", Model: "ft:x", Tuned: true, Loss: []Loss{{1, .5, nil}}, Context: [][]lineage.Message{{{Role: "user", Content: "\u2028é"}}}}
	data, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	back, err := b.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := back.MarshalBinary(); !bytes.Equal(again, data) {
		t.Errorf("written as %s, and then as %s", data, again)
	}
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if _, err := b.Load(changed); err == nil {
			t.Errorf("an artifact with byte %d changed is taken", i)
		}
		if _, err := b.Load(data[:i]); err == nil {
			t.Errorf("the first %d bytes are taken", i)
		}
	}
}

// TestStopLeavesTheJobRunning: whoever interrupts is told what goes on.
func TestStopLeavesTheJobRunning(t *testing.T) {
	s := setting(t)
	s.States = []string{"validating_files", "queued", "running", "running", "running", "succeeded"}
	ctx, cancel := context.WithCancel(t.Context())
	b := s.backend()
	b.client.servers.clock.sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	_, err := b.Train(ctx, s.job())
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), s.Jobs()[0].ID) || s.Asked("POST /v1/fine_tuning/jobs/"+s.Jobs()[0].ID+"/cancel") != 0 {
		t.Errorf("the error is %v", err)
	}
	a, err := s.train()
	s.one(a, err)
	s.counts(1, 1)
}

func TestBudgetIsKeptBeforeTheJobIsCreated(t *testing.T) {
	s := setting(t)
	s.purse.cap = lineage.Dollar / 1e6
	if _, err := s.train(); !errors.Is(err, lineage.ErrBudget) {
		t.Errorf("the error is %v", err)
	}
	s.counts(1, 0)
	s.purse.cap = lineage.Dollar
	a, err := s.train()
	s.one(a, err)
	s.counts(1, 1)
}

func TestHandlesOfOthersAreRefused(t *testing.T) {
	s := setting(t)
	for _, text := range []string{"{", "[]", `{"kind":"process"}`, `{"kind":"fine-tuning job"}`} {
		s.ticket.handles = []string{text}
		if _, err := s.train(); err == nil {
			t.Errorf("the handle %s is taken", text)
		}
	}
	h, _ := json.Marshal(handle{Kind: jobKind, Key: "0123456789abcdef", Where: "https://elsewhere/v1", Step: creating})
	s.ticket.handles = []string{string(h)}
	if _, err := s.train(); err == nil || !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("a handle of another server gives %v", err)
	}
	s.counts(0, 0)
}
