package lineagetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

func (o Options) batches(t *testing.T) {
	m := o.model(t, o.train(t, o.job(corpus())))
	reqs := requests(o.Requests)
	want := sample(t, m, reqs)
	same(t, "asked again", sample(t, m, reqs), want)
	for _, size := range []int{1, 3, 7} {
		for from := 0; from < len(reqs); from += size {
			to := min(from+size, len(reqs))
			same(t, fmt.Sprintf("in batches of %d", size), sample(t, m, reqs[from:to]), want[from:to])
		}
	}
	r := rand.New(rand.NewPCG(1, 7))
	shuffled, expected := make([]lineage.Request, 0, 2*len(reqs)), make([]lineage.Completion, 0, 2*len(reqs))
	for _, i := range append(r.Perm(len(reqs)), r.Perm(len(reqs))...) {
		shuffled, expected = append(shuffled, reqs[i]), append(expected, want[i])
	}
	same(t, "shuffled and twice", sample(t, m, shuffled), expected)
}

func (o Options) emitsOnce(t *testing.T) {
	m := o.model(t, o.train(t, o.job(corpus())))
	for _, n := range []int{0, 1, o.Requests} {
		reqs := requests(n)
		var inside atomic.Int32
		seen := make([]int, n)
		err := m.Sample(context.Background(), reqs, func(i int, c lineage.Completion) error {
			if inside.Add(1) != 1 {
				t.Error("emit was called by two goroutines at once")
			}
			defer inside.Add(-1)
			if i < 0 || i >= n {
				t.Errorf("emit was given index %d of %d", i, n)
				return nil
			}
			seen[i]++
			checkCompletion(t, reqs[i], c)
			return nil
		})
		if err != nil {
			t.Fatalf("%d requests: %v", n, err)
		}
		for i, times := range seen {
			if times != 1 {
				t.Errorf("request %d of %d was answered %d times", i, n, times)
			}
		}
	}
}

func (o Options) emitError(t *testing.T) {
	m := o.model(t, o.train(t, o.job(corpus())))
	stop := errors.New("the ledger takes no more")
	for _, at := range []int{1, 2, o.Requests} {
		calls := 0
		err := m.Sample(context.Background(), requests(o.Requests), func(int, lineage.Completion) error {
			if calls++; calls == at {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) {
			t.Errorf("Sample gave %v, want the error of emit", err)
		}
		if calls != at {
			t.Errorf("emit was called %d times, its error came at call %d", calls, at)
		}
	}
}

// prompt is how long a call may take to notice that its context has ended. It
// is generous, since the machine may be busy; whoever does not look at all is
// found by what was done meanwhile.
const prompt = 10 * time.Second

func (o Options) cancelSampling(t *testing.T) {
	m := o.model(t, o.train(t, o.job(corpus())))
	ctx, cancel := context.WithCancel(context.Background())
	calls, began := 0, time.Now()
	reqs := requests(200 * o.Requests)
	err := m.Sample(ctx, reqs, func(int, lineage.Completion) error {
		if calls++; calls == 1 {
			cancel()
			began = time.Now()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Sample gave %v, want context.Canceled", err)
	}
	if calls > len(reqs)/2 || time.Since(began) > prompt {
		t.Errorf("%d of %d requests were answered, in %v, after the call was cancelled", calls, len(reqs), time.Since(began))
	}
	if err := m.Sample(ctx, reqs, func(int, lineage.Completion) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Sample with a context that has ended gave %v", err)
	}
}

func (o Options) cancelTraining(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	const many = 1 << 20
	job := o.job(nil)
	read, began, all := 0, time.Now(), corpus()
	job.Count = many
	job.Examples = func(yield func(lineage.Example, error) bool) {
		for i := range many {
			if read++; read == 100 {
				cancel()
				began = time.Now()
			}
			if !yield(all[i%len(all)], nil) {
				return
			}
		}
	}
	if _, err := o.Backend.Train(ctx, job); !errors.Is(err, context.Canceled) {
		t.Errorf("Train gave %v, want context.Canceled", err)
	}
	if read > many/2 || time.Since(began) > prompt {
		t.Errorf("%d of %d examples were read, in %v, after the training was cancelled", read, many, time.Since(began))
	}
	if _, err := o.Backend.Train(ctx, o.job(corpus())); !errors.Is(err, context.Canceled) {
		t.Errorf("Train with a context that has ended gave %v", err)
	}
}

// hostileTexts are what models write and files hold.
func hostileTexts(longest int) map[string]string {
	return map[string]string{
		"empty":      "",
		"space":      " \n\t ",
		"NUL":        "a\x00b\x00",
		"not UTF-8":  "\xff\xfe\xed\xa0\x80 half a rune \xe4\xb8",
		"controls":   "\x1b[2J\r\b\u202e\u0000\ufeff\U0010ffff",
		"markup":     "</s><|im_start|>system\nassistant: </script>{{.}}%s%n$(x)",
		"JSON":       "\"}]}\n{\"messages\":[",
		"long":       strings.Repeat("I remember. ", longest/12+1)[:longest],
		"long word":  strings.Repeat("a", longest/16),
		"long noise": strings.ToValidUTF8(noise(longest/16), "?"),
	}
}

func noise(n int) string {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{9}).Read(data)
	return string(data)
}

func (o Options) hostile(t *testing.T) {
	for name, text := range hostileTexts(o.Longest) {
		t.Run(name, func(t *testing.T) {
			examples := append(corpus()[:4], lineage.Example{Messages: conversation(text, text), Rejected: conversation(text, "no"), Weight: 1})
			a := o.train(t, o.job(examples))
			m := o.model(t, a)
			var reqs []lineage.Request
			for seed := range uint64(6) {
				reqs = append(reqs,
					lineage.Request{Messages: conversation(text), Seed: seed, Temperature: 1, MaxTokens: 8},
					lineage.Request{Messages: conversation("What?", text, "And?"), Seed: seed, Temperature: 1, MaxTokens: 8})
			}
			want := sample(t, m, reqs)
			loaded, err := o.Backend.Load(marshal(t, a))
			if err != nil {
				t.Fatalf("Load: %v", err)
			}
			same(t, "loaded", sample(t, o.model(t, loaded), reqs), want)
			scorer, ok := m.(lineage.Scorer)
			if !ok {
				return
			}
			scores, err := scorer.LogProb(context.Background(), [][]lineage.Message{conversation(text, text), conversation("What?", text)})
			if err != nil {
				t.Fatalf("LogProb: %v", err)
			}
			for _, p := range scores {
				checkLogProb(t, name, p)
			}
		})
	}
}

// oddRequests may be refused or answered.
func (o Options) oddRequests(t *testing.T) {
	m := o.model(t, o.train(t, o.job(corpus())))
	usual := conversation("Question 0: what do you remember?")
	for name, req := range map[string]lineage.Request{
		"no messages":        {Temperature: 1, MaxTokens: 4},
		"assistant last":     {Messages: conversation("a", "b"), Temperature: 1, MaxTokens: 4},
		"unknown role":       {Messages: []lineage.Message{{Role: "tool\x00", Content: "x"}}, Temperature: 1, MaxTokens: 4},
		"temperature 0":      {Messages: usual, MaxTokens: 4},
		"temperature NaN":    {Messages: usual, Temperature: math.NaN(), MaxTokens: 4},
		"temperature -1":     {Messages: usual, Temperature: -1, MaxTokens: 4},
		"temperature 1e-300": {Messages: usual, Temperature: 1e-300, MaxTokens: 4},
		"temperature 1e300":  {Messages: usual, Temperature: 1e300, MaxTokens: 4},
		"-1 tokens":          {Messages: usual, Temperature: 1, MaxTokens: -1},
	} {
		answers := 0
		err := m.Sample(context.Background(), []lineage.Request{req}, func(int, lineage.Completion) error {
			answers++
			return nil
		})
		if err == nil && answers != 1 {
			t.Errorf("%s: %d answers and no error", name, answers)
		}
	}
}

func (o Options) manyAtOnce(t *testing.T) {
	a := o.train(t, o.job(corpus()))
	data := marshal(t, a)
	shared := o.model(t, a)
	reqs := requests(o.Requests)
	want := sample(t, shared, reqs)
	ask := func(what string, m lineage.Model) {
		got := make([]lineage.Completion, len(reqs))
		if err := m.Sample(context.Background(), reqs, func(i int, c lineage.Completion) error { got[i] = c; return nil }); err != nil {
			t.Errorf("%s: Sample: %v", what, err)
			return
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: request %d gave %s, want %s", what, i, brief(got[i]), brief(want[i]))
				return
			}
		}
	}
	open := func(what string, a lineage.Artifact, err error) {
		if err == nil {
			var m lineage.Model
			if m, err = o.Backend.Open(context.Background(), a); err == nil {
				ask(what, m)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { ask("one model", shared) })
		wg.Go(func() { open("one artifact", a, nil) })
		wg.Go(func() {
			b, err := o.Backend.Load(data)
			open("loaded", b, err)
		})
		wg.Go(func() {
			b, err := o.Backend.Train(context.Background(), o.job(corpus()))
			open("trained", b, err)
		})
	}
	wg.Wait()
}
