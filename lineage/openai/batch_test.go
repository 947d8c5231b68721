package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// strip is a ticket in memory. Before save n it may end the process.
type strip struct {
	saved []string
	die   int // the save that does not happen; -1 for none
}

var errDied = errors.New("the process died")

func (s *strip) Load() (string, error) {
	if len(s.saved) == 0 {
		return "", nil
	}
	return s.saved[len(s.saved)-1], nil
}

func (s *strip) Save(handle string) error {
	if last, _ := s.Load(); last == handle {
		return nil
	}
	if len(s.saved) == s.die {
		s.die = -1
		return errDied
	}
	s.saved = append(s.saved, handle)
	return nil
}

// batchModel is a model that asks by batches, with a ticket.
func (b *bubble) batchModel(d *depot, money *purse, ticket *strip) *model {
	b.rest = d
	s := DefaultSampling()
	s.Batch = true
	w := b.world(money)
	w.Ticket = func(string) lineage.Ticket { return ticket }
	p := Profile{Name: "x", MaxTokens: "max_tokens", Seed: true, Batch: true, Models: []Known{{Name: "m", Base: &Price{Input: 100, Output: 1000}}}}
	return newModel(b.client, &Artifact{Model: "m"}, s, p, w)
}

func noChat(t *testing.T) func(http.ResponseWriter, int, asked) {
	return func(http.ResponseWriter, int, asked) { t.Error("a request is sent directly") }
}

func rich() *purse { return &purse{cap: 1000 * lineage.Dollar} }

func checkAll(t *testing.T, reqs []lineage.Request, got map[int]lineage.Completion) {
	t.Helper()
	for i, r := range reqs {
		if want := fmt.Sprintf("re: question %d (seed %d, 0)", i, seedOf(r.Seed)); got[i].Text != want || got[i].Finish != "stop" {
			t.Fatalf("request %d: %+v, want %q", i, got[i], want)
		}
	}
	if len(got) != len(reqs) {
		t.Fatalf("%d completions of %d", len(got), len(reqs))
	}
}

func TestBatchAnswersEveryRequestAtHalfThePrice(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, money := &depot{t: t, takes: 3 * time.Hour}, rich()
		reqs := prompts(300)
		reqs = append(reqs, reqs[7]) // equal ones have a line each
		got, err := collect(t, t.Context(), b.batchModel(d, money, &strip{die: -1}), reqs)
		if err != nil {
			t.Fatal(err)
		}
		if got[300] != got[7] {
			t.Errorf("equal requests are answered %+v and %+v", got[7], got[300])
		}
		delete(got, 300)
		checkAll(t, reqs[:300], got)
		if d.uploads() != 1 || len(d.batches) != 1 || money.held != 0 || money.spent != 301*2_600_000 {
			t.Errorf("%d uploads, %d batches; spent %v", d.uploads(), len(d.batches), money.spent)
		}
	})
}

func TestRow20OnlyWhatHasNoAnswerIsAskedAgain(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, money := &depot{t: t, takes: time.Hour}, rich()
		missing := map[string]bool{}
		d.end = func(b *worked) string {
			if b.n == 0 {
				return "expired"
			}
			return "completed"
		}
		d.line = func(b *worked, i int, a asked) string {
			if b.n > 0 {
				return answered("ID", a)
			}
			switch i % 10 {
			case 0: // expired
				missing[a.prompt()] = true
				return `{"id":"r","custom_id":"ID","response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}`
			case 1: // no line at all
				missing[a.prompt()] = true
				return ""
			case 2:
				missing[a.prompt()] = true
				return `{"id":"r","custom_id":"ID","response":{"status_code":500,"body":{"error":{"message":"oops"}}},"error":null}`
			case 3: // broken off
				missing[a.prompt()] = true
				return `{"id":"r","custom_id":"ID","response":{"status_code":200,"body":{"choices":[{"message":{"content":"half"},"finish_reason":null}]}}}`
			case 4: // twice, and a line of nobody's
				return answered("ID", a) + "\n" + answered("ID", a) + "\n" + answered("nobody", a) + "\n" + `{"custom_id":"ID"," "status_code":200`
			case 5:
				if i == 5 {
					return `{"id":"r","custom_id":"ID","response":{"status_code":400,"body":{"error":{"message":"filtered","code":"content_filter"}}},"error":null}`
				}
				if i == 15 {
					return `{"id":"r","custom_id":"ID","response":{"status_code":400,"body":{"error":{"message":"no such thing"}}},"error":null}`
				}
			}
			return answered("ID", a)
		}
		reqs := prompts(200)
		got, err := collect(t, t.Context(), b.batchModel(d, money, &strip{die: -1}), reqs)
		if err != nil || len(got) != 200 {
			t.Fatalf("%d completions: %v", len(got), err)
		}
		finishes := map[string]int{}
		for i, c := range got {
			finishes[c.Finish]++
			if want := fmt.Sprintf("re: question %d (seed %d, 0)", i, seedOf(reqs[i].Seed)); c.Finish == "stop" && c.Text != want {
				t.Errorf("request %d: %+v, want %q", i, c, want)
			}
		}
		if finishes["stop"] != 198 || finishes["content_filter"] != 1 || finishes["error"] != 1 {
			t.Errorf("%v", finishes)
		}
		if len(d.batches) != 2 || len(d.batches[1].ids) != len(missing) || len(missing) != 80 {
			t.Fatalf("%d batches, the second with %d requests, where %d had no answer", len(d.batches), len(d.batches[1].ids), len(missing))
		}
		if money.held != 0 {
			t.Errorf("%v is held at the end", money.held)
		}
		// 20 lines come twice, 19 of nobody's repeat the first, 20 cannot be read
		// and 20 are broken off.
		if !strings.Contains(strings.Join(b.logged, "\n"), "79 lines of its results") {
			t.Errorf("logged %q", b.logged)
		}
	})
}

func TestBatchThatDoesNotTellWhatItUsedCostsItsMost(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, money := &depot{t: t, line: func(_ *worked, _ int, a asked) string {
			return strings.Replace(answered("ID", a), `"usage"`, `"used"`, 1)
		}}, rich()
		reqs := prompts(10)
		got, err := collect(t, t.Context(), b.batchModel(d, money, &strip{die: -1}), reqs)
		if err != nil {
			t.Fatal(err)
		}
		for i := range reqs {
			if got[i].Finish != "stop" || got[i].Tokens != 0 {
				t.Errorf("request %d: %+v", i, got[i])
			}
		}
		if money.spent != money.high || money.spent == 0 || money.held != 0 {
			t.Errorf("of %v at most, %v is spent and %v held", money.high, money.spent, money.held)
		}
	})
}

func TestBatchThatIsNotTakenIsAskedDirectly(t *testing.T) {
	for name, test := range map[string]struct {
		refuse func(w http.ResponseWriter, r *http.Request) bool
		end    string
	}{
		"no files": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Error(w, "404 page not found", 404)
			return true
		}, ""},
		"no batches": {func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/batches") {
				http.Error(w, `{"error":{"message":"not here"}}`, http.StatusMethodNotAllowed)
			}
			return strings.HasSuffix(r.URL.Path, "/batches")
		}, ""},
		"not this model": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/batches") {
				http.Error(w, `{"error":{"message":"The model m is not supported"}}`, 400)
				return true
			}
			return false
		}, ""},
		"failed validation": {nil, "failed"},
	} {
		bubbled(t, name, func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, a asked) { reply(w, a, 1) })
			d, money := &depot{t: t, refuse: test.refuse}, rich()
			if test.end != "" {
				d.end = func(*worked) string { return test.end }
			}
			reqs := prompts(50)
			got, err := collect(t, t.Context(), b.batchModel(d, money, &strip{die: -1}), reqs)
			if err != nil {
				t.Fatal(err)
			}
			checkAll(t, reqs, got)
			if len(b.requests()) != 50 || money.held != 0 || money.spent != 50*5_200_000 {
				t.Errorf("%d direct requests; %v spent, %v held", len(b.requests()), money.spent, money.held)
			}
			if all := strings.Join(b.logged, "\n"); !strings.Contains(all, "50 requests are sent one by one") {
				t.Errorf("logged %q", all)
			}
		})
	}
}

// TestRow19NoBatchIsEverMadeTwice fails to write down every step of a batch, and
// loses the answer to every request of it: another process, or the same one, goes
// on with what is there.
func TestRow19NoBatchIsEverMadeTwice(t *testing.T) {
	for n := range 6 * 7 {
		lost, die, same := []string{"", "upload", "create"}[n%3], n/3%7, n >= 3*7
		bubbled(t, fmt.Sprintf("%s %d %v", lost, die, same), func(t *testing.T) {
			b := inBubble(t, Server{}, noChat(t))
			d, money, ticket := &depot{t: t, takes: time.Hour}, rich(), &strip{die: die}
			d.after = func(what string, n int) bool { return what == lost && n == 0 }
			reqs := prompts(40)
			all := map[int]lineage.Completion{}
			died := 0
			for {
				got, err := collect(t, t.Context(), b.batchModel(d, money, ticket), left(reqs, all))
				adopt(reqs, all, got)
				if err == nil {
					break
				}
				if !errors.Is(err, errDied) {
					t.Fatal(err)
				}
				if died++; !same {
					b.open() // another process, whose purse counts what the first one held
				}
			}
			checkAll(t, reqs, all)
			if d.uploads() != 1 || len(d.batches) != 1 {
				t.Errorf("%d uploads and %d batches", d.uploads(), len(d.batches))
			}
			if died != 1 && die < 6 {
				t.Errorf("died %d times", died)
			}
			// After the last answer there is nothing to ask for, and the last step
			// stays to be written.
			if want := map[bool]int{true: 5, false: 6}[die == 5]; len(ticket.saved) != want {
				t.Errorf("%d steps are written down", len(ticket.saved))
			}
		})
	}
}

// left are the requests without a completion, as a run asks for them that goes on.
func left(reqs []lineage.Request, have map[int]lineage.Completion) (rest []lineage.Request) {
	for i, r := range reqs {
		if _, ok := have[i]; !ok {
			rest = append(rest, r)
		}
	}
	return rest
}

// adopt enters completions of what left gave.
func adopt(reqs []lineage.Request, have, got map[int]lineage.Completion) {
	var open []int
	for i := range reqs {
		if _, ok := have[i]; !ok {
			open = append(open, i)
		}
	}
	for k, c := range got {
		have[open[k]] = c
	}
}

// TestBatchIsReadOnBySomebodyWhoAsksForLess stops while completions are recorded:
// the next process asks for the others alone, and has them of the same batch.
func TestBatchIsReadOnBySomebodyWhoAsksForLess(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, ticket := &depot{t: t, takes: time.Hour}, &strip{die: -1}
		reqs := prompts(100)
		all := map[int]lineage.Completion{}
		full := errors.New("disk full")
		err := b.batchModel(d, rich(), ticket).Sample(t.Context(), reqs, func(i int, c lineage.Completion) error {
			if len(all) == 30 {
				return full
			}
			all[i] = c
			return nil
		})
		if !errors.Is(err, full) || len(all) != 30 {
			t.Fatalf("%d completions: %v", len(all), err)
		}
		b.open()
		got, err := collect(t, t.Context(), b.batchModel(d, rich(), ticket), left(reqs, all))
		if err != nil {
			t.Fatal(err)
		}
		adopt(reqs, all, got)
		checkAll(t, reqs, all)
		if len(d.batches) != 1 || d.uploads() != 1 {
			t.Errorf("%d uploads and %d batches", d.uploads(), len(d.batches))
		}
	})
}

func TestStopLeavesTheBatchOnItsWay(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, ticket := &depot{t: t, takes: 5 * time.Hour}, &strip{die: -1}
		reqs := prompts(10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		got, err := collect(t, ctx, b.batchModel(d, rich(), ticket), reqs)
		if !errors.Is(err, context.DeadlineExceeded) || len(got) != 0 || len(d.batches) != 1 || d.batches[0].over != "" {
			t.Fatalf("%d completions: %v", len(got), err)
		}
		if !strings.Contains(strings.Join(b.logged, "\n"), "batch batch_0 goes on at") {
			t.Errorf("logged %q", b.logged)
		}
		b.open()
		if got, err = collect(t, t.Context(), b.batchModel(d, rich(), ticket), reqs); err != nil || len(d.batches) != 1 {
			t.Fatalf("%d batches: %v", len(d.batches), err)
		}
		checkAll(t, reqs, got)
	})
}

func TestBatchThatWouldPassTheCapIsNotSent(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d := &depot{t: t}
		got, err := collect(t, t.Context(), b.batchModel(d, &purse{cap: lineage.Dollar / 10}, &strip{die: -1}), prompts(100))
		if !errors.Is(err, lineage.ErrBudget) || len(got) != 0 || len(d.batches) != 0 {
			t.Errorf("%d completions, %d batches: %v", len(got), len(d.batches), err)
		}
	})
}

func TestBatchThatSomebodyCancelledIsNotBegunAgainByItself(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, ticket := &depot{t: t, end: func(b *worked) string {
			if b.n == 0 {
				return "cancelled"
			}
			return "completed"
		}}, &strip{die: -1}
		d.line = func(b *worked, i int, a asked) string {
			if b.n == 0 && i%2 == 0 {
				return ""
			}
			return answered("ID", a)
		}
		reqs := prompts(20)
		all, err := collect(t, t.Context(), b.batchModel(d, rich(), ticket), reqs)
		if err == nil || !strings.Contains(err.Error(), "was cancelled") || len(all) != 10 || len(d.batches) != 1 {
			t.Fatalf("%d completions, %d batches: %v", len(all), len(d.batches), err)
		}
		got, err := collect(t, t.Context(), b.batchModel(d, rich(), ticket), left(reqs, all))
		if err != nil || len(d.batches) != 2 {
			t.Fatalf("%d batches: %v", len(d.batches), err)
		}
		adopt(reqs, all, got)
		checkAll(t, reqs, all)
	})
}

func TestManyRequestsTakeSeveralBatches(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, money := &depot{t: t, takes: time.Hour}, &purse{cap: 100_000 * lineage.Dollar}
		reqs := prompts(batchLines + 1)
		got, err := collect(t, t.Context(), b.batchModel(d, money, &strip{die: -1}), reqs)
		if err != nil {
			t.Fatal(err)
		}
		checkAll(t, reqs, got)
		if d.uploads() != 2 || len(d.batches) != 2 || len(d.batches[0].ids) != batchLines || money.held != 0 {
			t.Errorf("%d uploads and %d batches; %v is held", d.uploads(), len(d.batches), money.held)
		}
	})
}
