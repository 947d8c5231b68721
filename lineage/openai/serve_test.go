package openai

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/lineagetest"
	"github.com/heirloom-sim/heirloom/lineage/serve"
	"github.com/heirloom-sim/heirloom/lineage/urn"
)

// behind is heirloom's own server with an urn, and a backend that reaches it.
func behind(t *testing.T, rules ...serve.Rule) (*serve.Server, *Backend) {
	t.Helper()
	stand, err := urn.New(urn.Config{Estimate: "mean", Prior: 1})
	if err != nil {
		t.Fatal(err)
	}
	return before(t, stand, rules...)
}

// before is a provider whose models are those of a stand-in.
func before(t *testing.T, stand lineage.Backend, rules ...serve.Rule) (*serve.Server, *Backend) {
	t.Helper()
	s, err := serve.New(serve.Options{
		Models:  []serve.Model{{Name: "base", Backend: stand, Learners: []lineage.Learner{lineage.SFT}}},
		Lenient: true, Rules: rules,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() { h.Close(); s.Close() })
	c := Defaults()
	c.Profile, c.BaseURL, c.KeyEnv, c.Model = "compatible", h.URL+"/v1", "HEIRLOOM_NO_SUCH_KEY", "base"
	c.Untrainable, c.ErrorBudget, c.Prices = "drop", 1, &Price{Train: 1, Input: 1, Output: 1}
	c.Limits.Jobs = 4
	l := new(leap)
	l.clock()
	// Between looks the server trains: a clock that leaps would ask it without end.
	servers := &Servers{clock: clock{l.clock().now, func(ctx context.Context, d time.Duration) error {
		time.Sleep(time.Millisecond)
		l.jump(d)
		return ctx.Err()
	}}}
	b, err := newBackend(c, servers)
	if err != nil {
		t.Fatal(err)
	}
	return s, b
}

// TestContractOfABackend holds the whole backend, over the wire, against what is
// asked of every backend.
func TestContractOfABackend(t *testing.T) {
	_, b := behind(t)
	lineagetest.Backend(t, lineagetest.Options{Backend: b, Requests: 12, Longest: 1 << 16})
}

// once tells that a server made and charged one model. It charges a moment after it
// says that a job has succeeded.
func once(t *testing.T, s *serve.Server) {
	t.Helper()
	for range 100 {
		if s.Counts().Charges > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if c := s.Counts(); c.Uploads != 1 || c.Jobs != 1 || c.Charges != 1 {
		t.Errorf("the server counted %+v", c)
	}
}

// TestRow11ModelShowsLate: a model that was made a moment ago may not be known
// yet, and is asked for again, for a bounded time.
func TestRow11ModelShowsLate(t *testing.T) {
	for times, ok := range map[int]bool{3: true, -1: false} {
		s, b := behind(t, serve.Rule{Match: "POST /v1/chat/completions", Times: times, Do: "status", Status: 404, Code: "model_not_found", Message: "no such model"})
		if err := b.Enter(lineage.World{}); err != nil {
			t.Fatal(err)
		}
		a, err := b.Train(t.Context(), lineage.Job{Learner: lineage.SFT, Examples: given(lessons(12)), Count: 12, Ticket: &notes{}})
		if err != nil {
			t.Fatal(err)
		}
		m, err := b.Open(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		answers := 0
		err = m.Sample(t.Context(), []lineage.Request{{Messages: []lineage.Message{{Role: "user", Content: "What?"}}, Temperature: 1}}, func(int, lineage.Completion) error {
			answers++
			return nil
		})
		asked := s.Counts().Requests["POST /v1/chat/completions"]
		if ok && (err != nil || answers != 1 || asked != 4) || !ok && (err == nil || answers != 0 || asked < 20 || asked > 80) {
			t.Errorf("%d answers, %v, after %d requests", answers, err, asked)
		}
		once(t, s)
	}
}

// TestServerLosesAnswers: against heirloom's own server too a lost answer costs
// nothing twice.
func TestServerLosesAnswers(t *testing.T) {
	for _, match := range []string{"POST /v1/files", "POST /v1/fine_tuning/jobs"} {
		for _, do := range []string{"drop", "truncate", "garbage", "status"} {
			s, b := behind(t, serve.Rule{Match: match, When: "after_commit", Do: do})
			_, err := b.Train(t.Context(), lineage.Job{Learner: lineage.SFT, Examples: given(lessons(12)), Count: 12, Ticket: &notes{}})
			if err != nil {
				t.Errorf("%s, %s: %v", match, do, err)
			}
			once(t, s)
		}
	}
}

// TestServerFailsJobs: the outcomes of jobs, as heirloom's own server words them.
func TestServerFailsJobs(t *testing.T) {
	_, b := behind(t, serve.Rule{Match: "job", Do: "fail", Code: "unsafe_file", Message: "too many examples were flagged"})
	_, err := b.Train(t.Context(), lineage.Job{Learner: lineage.SFT, Examples: given(lessons(12)), Count: 12, Ticket: &notes{}})
	var by *lineage.Blocked
	if !errors.As(err, &by) || by.Code != "unsafe_file" {
		t.Errorf("the error is %v", err)
	}
}

// TestBatchesAreLookedAfter: what a person does about batches from outside of a run.
func TestBatchesAreLookedAfter(t *testing.T) {
	s, b := behind(t, serve.Rule{Match: "batch", Do: "stall", Times: -1})
	ticket := &notes{}
	b.config.Batch = true
	if err := b.Enter(lineage.World{Ticket: func(string) lineage.Ticket { return ticket }}); err != nil {
		t.Fatal(err)
	}
	m, err := b.Open(t.Context(), b.untrained())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sleep := b.client.servers.clock.sleep
	b.client.servers.clock.sleep = func(ctx context.Context, d time.Duration) error { cancel(); return sleep(ctx, d) }
	ask := lineage.Request{Messages: []lineage.Message{{Role: "user", Content: "What?"}}, Temperature: 1}
	if err := m.Sample(ctx, []lineage.Request{ask}, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	last, _ := ticket.Load()
	e, err := b.Errand(last)
	if err != nil || e.Kind != batchKind || e.ID == "" || e.Ended || e.Model != "base" || len(e.Files) != 1 || s.Counts().Batches != 1 {
		t.Fatalf("%+v, %v", e, err)
	}
	if _, err := b.Remove(t.Context(), last); err == nil {
		t.Error("a running batch is removed")
	}
	for range 2 {
		if err := b.Cancel(t.Context(), last); err != nil {
			t.Error(err)
		}
	}
	for range 100 { // it takes its server a moment
		if e, err = b.Look(t.Context(), last); err != nil || e.Ended {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil || e.State != cancelled || !e.Ended {
		t.Errorf("%+v, %v", e, err)
	}
	removed, err := b.Remove(t.Context(), last)
	if err != nil || len(removed) == 0 {
		t.Errorf("removed %v, %v", removed, err)
	}
	if removed, err = b.Remove(t.Context(), last); err != nil || removed != nil {
		t.Errorf("and again %v, %v", removed, err)
	}
}
