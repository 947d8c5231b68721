package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

func TestPurseNeverPassesItsCap(t *testing.T) {
	ledger := new(lineage.Memory)
	const limit = 3 * lineage.Dollar
	p, err := newPurse(ledger, limit)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var paid lineage.USD
	var refused int
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			chance := rand.New(rand.NewPCG(uint64(w), 1))
			for range 400 {
				most := lineage.USD(chance.IntN(int(lineage.Dollar / 20)))
				settle, err := p.Reserve(most, "work")
				if errors.Is(err, lineage.ErrBudget) {
					mu.Lock()
					refused++
					mu.Unlock()
					continue
				}
				actual := most / lineage.USD(1+chance.IntN(4))
				mu.Lock()
				paid += actual
				mu.Unlock()
				if err := errors.Join(err, settle(actual), settle(actual)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Spent(ledger)
	if err != nil || s.Spent != paid || s.Uncertain != 0 || paid > limit {
		t.Errorf("spent %v, recorded %+v: %v", paid, s, err)
	}
	if refused == 0 || paid < limit*9/10 {
		t.Errorf("of %v, %v were spent before %d requests were refused", limit, paid, refused)
	}
}

func TestWhatAProcessLeftCountsWhole(t *testing.T) {
	ledger := new(lineage.Memory)
	dead, err := newPurse(ledger, lineage.Dollar)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dead.Reserve(lineage.Dollar/2, "training n1"); err != nil {
		t.Fatal(err)
	}
	settle, err := dead.Reserve(lineage.Dollar/1000, "a request")
	if err != nil || settle(lineage.Dollar/1000) != nil {
		t.Fatal(err)
	}
	// The process dies here: nothing is closed.
	next, err := newPurse(ledger, lineage.Dollar)
	if err != nil {
		t.Fatal(err)
	}
	if s := next.spending(); s.Uncertain < lineage.Dollar/2 || s.Uncertain > lineage.Dollar/2+lineage.Dollar/100 {
		t.Errorf("%+v is in doubt", s)
	}
	if _, err := next.Reserve(lineage.Dollar/2, "training n2"); !errors.Is(err, lineage.ErrBudget) {
		t.Errorf("what may be spent already was given out again: %v", err)
	}
	// The same work takes up what was set aside for it.
	again, err := next.Reserve(lineage.Dollar/2, "training n1")
	if err != nil || again(lineage.Dollar/4) != nil {
		t.Fatal(err)
	}
	if s := next.spending(); s.Spent != lineage.Dollar/4 || s.Uncertain > lineage.Dollar/100 {
		t.Errorf("%+v after the training ended", s)
	}
}

func TestFreeWorkLeavesNothingInDoubt(t *testing.T) {
	ledger := new(lineage.Memory)
	p, _ := newPurse(ledger, NoCap)
	settle, err := p.Reserve(0, "a training of one's own")
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := Spent(ledger); s != (Spending{}) {
		t.Errorf("work that costs nothing: %+v", s)
	}
	if err := settle(lineage.Dollar / 3); err != nil { // it did cost something
		t.Fatal(err)
	}
	if s, err := Spent(ledger); err != nil || s.Spent != lineage.Dollar/3 || s.Uncertain != 0 {
		t.Errorf("%+v: %v", s, err)
	}
}

func TestManyRequestsTakeFewRecords(t *testing.T) {
	ledger := new(lineage.Memory)
	p, _ := newPurse(ledger, NoCap)
	for range 1000 {
		settle, err := p.Reserve(mostRequest, "a request")
		if err != nil || settle(requestPrice) != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for range ledger.Keys("") {
		n++
	}
	if n > 10 {
		t.Errorf("1,000 requests took %d records", n)
	}
}

// bench is a judge that tells what it used.
type bench struct{ asked int }

func (b *bench) Chat(context.Context, detectors.ChatRequest) (detectors.ChatReply, error) {
	b.asked++
	return detectors.ChatReply{Text: "yes", Finish: "stop", PromptTokens: 100, CompletionTokens: 10}, nil
}

func (b *bench) Embed(_ context.Context, _ string, texts []string) ([][]float32, error) {
	b.asked++
	return make([][]float32, len(texts)), nil
}

func TestJudgesSpendFromTheSamePurse(t *testing.T) {
	prices := Price{Prompt: 2 * lineage.Dollar, Answer: 8 * lineage.Dollar}
	of := newResources("", Means{Price: func(address, model string) (Price, bool) { return prices, address == "here" && model == "m" }})
	p, err := newPurse(new(lineage.Memory), lineage.Dollar/100)
	if err != nil {
		t.Fatal(err)
	}
	of.purse = p
	b := &bench{}
	e := remembered{b, "here", of}
	question := func(n int) detectors.ChatRequest {
		return detectors.ChatRequest{Model: "m", Messages: []detectors.Message{{Role: "user", Content: fmt.Sprint("is it there? ", n)}}, MaxTokens: 20}
	}
	each := prices.of(100, 10)
	if each != 280_000 {
		t.Fatalf("100 and 10 tokens cost %d", each)
	}
	n := 0
	for ; ; n++ {
		_, err := e.Chat(t.Context(), question(n))
		if errors.Is(err, lineage.ErrBudget) {
			break
		}
		if err != nil || n > 100 {
			t.Fatal(n, err)
		}
	}
	if s := p.spending(); s.Spent != lineage.USD(n)*each || s.Spent > p.cap || s.Uncertain != 0 || b.asked != n || n < 30 {
		t.Errorf("%d questions, %d asked: %+v", n, b.asked, s)
	}
	if _, err := e.Chat(t.Context(), question(0)); err != nil || b.asked != n {
		t.Errorf("a recorded answer was asked for again or refused: %v", err)
	}
	if _, err := e.Embed(t.Context(), "m", []string{strings.Repeat("long ", 2000)}); !errors.Is(err, lineage.ErrBudget) {
		t.Errorf("vectors cost nothing: %v", err)
	}
	if _, err := e.Chat(t.Context(), detectors.ChatRequest{Model: "unpriced"}); err != nil {
		t.Errorf("what has no price, and was let through: %v", err)
	}
}
