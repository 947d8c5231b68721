package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// bought is a study of two lines whose models cost money, and read each other.
const bought = slot + `
generations: 3
replicates: 2
line:
  backend: {kind: provider, account: ACCOUNT}
  corpus: {size: 12, parts: [{human: web, share: .5}, {outputs: self, share: .5}]}
  publish: {prompts: web/prompts, size: 12, max_tokens: 20}
lines:
  a: {}
  b: {corpus: {parts: [{human: web, share: .5}, {outputs: self, share: .25}, {outputs: a, share: .25}]}}
arms: {seeded: {interventions: [{kind: inject, behaviour: trait, dose: .3, lines: [a], at: 0}]}}
`

func boughtStudy(t testing.TB, overrides ...Override) (*Study, *account) {
	name := strings.ReplaceAll(t.Name(), "/", "-") + fmt.Sprint(rand.Uint32())
	a := openAccount(name)
	return compiled(t, slotDir(t, 30, 0), strings.Replace(bought, "ACCOUNT", name, 1), overrides...), a
}

// records are the keys of a ledger that a run that was stopped has in common with
// one that was not: all but its books.
func records(t *testing.T, l lineage.Ledger) string {
	t.Helper()
	all := ""
	for _, kind := range []lineage.Key{"node/", "corpus/", "outputs/", "probes/", "scores/", "artifact/", "completion/", "ticket/", "blocked/", "screened/"} {
		sum, err := lineage.Fingerprint(l, kind)
		if err != nil {
			t.Fatal(err)
		}
		all += sum
	}
	return all
}

func TestBackendIsEnteredOnceBeforeItTrains(t *testing.T) {
	study, a := boughtStudy(t)
	a.train = func(lineage.Job, []string) error {
		if a.entered != 1 {
			t.Errorf("entered %d times before a training", a.entered)
		}
		return nil
	}
	ledger := ran(t, study, 2)
	if a.entered != 1 {
		t.Errorf("entered %d times", a.entered)
	}
	if err := (&Runner{Study: study, Ledger: ledger}).Run(t.Context()); err != nil || a.entered != 1 {
		t.Errorf("with nothing to make it was entered again: %d, %v", a.entered, err)
	}
	for id := range a.trained {
		if study.byID[id] == nil {
			t.Errorf("a training was called %q, which is no node", id)
		}
	}
}

// TestNothingIsAskedTwice is row 19 of the failure matrix.
func TestNothingIsAskedTwice(t *testing.T) {
	whole, _ := boughtStudy(t)
	want := records(t, ran(t, whole, 1))
	// The account is part of no node but of the recipe, so one study serves all.
	a := accountOf(whole)
	for n := int64(0); ; n += 7 {
		a.trained, a.asked = map[lineage.ID]int{}, map[string]int{}
		ledger := new(lineage.Memory)
		f := &failing{Ledger: ledger}
		f.left.Store(n)
		err := (&Runner{Study: whole, Ledger: f, Workers: 2}).Run(t.Context())
		if err == nil {
			if n < 200 {
				t.Fatalf("only %d writes", n)
			}
			return
		}
		if !errors.Is(err, errStopped) {
			t.Fatalf("stopped at write %d: %v", n, err)
		}
		if err := (&Runner{Study: whole, Ledger: ledger, Workers: 2}).Run(t.Context()); err != nil {
			t.Fatalf("resumed after write %d: %v", n, err)
		}
		if got := records(t, ledger); got != want {
			t.Fatalf("stopped at write %d and resumed: the records differ", n)
		}
		// A write that fails loses the answer that it was to keep, and that of the
		// other worker.
		if k := a.repeated(); k > 2 {
			t.Fatalf("stopped at write %d: %d requests were repeated", n, k)
		}
	}
}

func accountOf(s *Study) *account {
	for _, jobs := range s.jobs {
		for _, j := range jobs {
			return j.backend.(*provider).account
		}
	}
	return nil
}

func TestStoppedBetweenAnswersAsksNoneTwice(t *testing.T) {
	study, a := boughtStudy(t)
	want := records(t, ran(t, study, 2))
	for _, stop := range []int{1, 5, 13, 40, 77} {
		a.trained, a.asked = map[lineage.ID]int{}, map[string]int{}
		ledger := new(lineage.Memory)
		ctx, cancel := context.WithCancel(t.Context())
		a.ask = func(n int) error {
			if n == stop {
				cancel()
			}
			return nil
		}
		if err := (&Runner{Study: study, Ledger: ledger, Workers: 2}).Run(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		a.ask = nil
		if err := (&Runner{Study: study, Ledger: ledger, Workers: 2}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a.repeated() != 0 || records(t, ledger) != want {
			t.Errorf("stopped at request %d: %d requests repeated, same records: %v", stop, a.repeated(), records(t, ledger) == want)
		}
	}
}

// TestCapStopsTheRunAndALargerOneGoesOn is row 18 of the failure matrix.
func TestCapStopsTheRunAndALargerOneGoesOn(t *testing.T) {
	study, a := boughtStudy(t)
	want := records(t, ran(t, study, 2))
	for _, most := range []lineage.USD{0, lineage.Dollar / 20, lineage.Dollar / 4, lineage.Dollar / 2, lineage.Dollar} {
		a.trained, a.asked, a.charged = map[lineage.ID]int{}, map[string]int{}, 0
		ledger := new(lineage.Memory)
		err := (&Runner{Study: study, Ledger: ledger, Workers: 2, Budget: Budget{Capped: true, Most: most}}).Run(t.Context())
		if !errors.Is(err, lineage.ErrBudget) {
			t.Fatalf("a cap of %v: %v", most, err)
		}
		s, err := Spent(ledger)
		if err != nil || a.charged > most || s.Spent != a.charged || s.Uncertain != 0 {
			t.Errorf("a cap of %v: charged %v, recorded %+v: %v", most, a.charged, s, err)
		}
		if most < mostTraining && len(a.trained) > 0 {
			t.Errorf("a cap of %v began trainings that could pass it", most)
		}
		if err := (&Runner{Study: study, Ledger: ledger, Workers: 2, Budget: Budget{Capped: true, Most: 100 * lineage.Dollar}}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a.repeated() != 0 || records(t, ledger) != want {
			t.Errorf("after a cap of %v: %d requests repeated, same records: %v", most, a.repeated(), records(t, ledger) == want)
		}
	}
}

func TestCapThatCannotBeKeptIsRefused(t *testing.T) {
	capped := Budget{Capped: true, Most: 100 * lineage.Dollar}
	for what, break_ := range map[string]func(*account){
		"no price is known": func(a *account) { a.unpriced = true },
		"epochs: auto":      func(a *account) { a.unbounded = "epochs: auto" },
	} {
		study, a := boughtStudy(t)
		break_(a)
		err := (&Runner{Study: study, Ledger: new(lineage.Memory), Budget: capped}).Run(t.Context())
		if !errors.Is(err, ErrUnpriced) || !strings.Contains(err.Error(), what) || len(a.trained) > 0 {
			t.Errorf("%s: %v after %d trainings", what, err, len(a.trained))
		}
		if err := (&Runner{Study: study, Ledger: new(lineage.Memory)}).Run(t.Context()); err != nil {
			t.Errorf("%s, without a cap: %v", what, err)
		}
		anyway := capped
		anyway.AllowUnpriced = true
		if err := (&Runner{Study: study, Ledger: new(lineage.Memory), Budget: anyway}).Run(t.Context()); err != nil {
			t.Errorf("%s, allowed: %v", what, err)
		}
	}
}

func TestWorkIsEstimatedFromItsTexts(t *testing.T) {
	study, _ := boughtStudy(t)
	for g, jobs := range study.jobs {
		for _, j := range jobs {
			w := study.work(j)
			if w.Documents != 12 || w.Requests != 12 || w.AnswerTokens != 240 {
				t.Errorf("generation %d: %+v", g-1, w)
			}
			// "speak" and "plain" take two tokens each and their turns four more; an
			// answer that is not written yet takes its 20.
			low, high := 12*12, 12*12+6*40
			if w.TrainTokens < low || w.TrainTokens > high || g == 1 && w.TrainTokens != low {
				t.Errorf("generation %d: %d tokens to train on", g-1, w.TrainTokens)
			}
		}
	}
}

// TestNothingIsSentThatCannotBeRecorded is of row 21 of the failure matrix: a full
// disk is an error before money is spent.
func TestNothingIsSentThatCannotBeRecorded(t *testing.T) {
	study, a := boughtStudy(t)
	for _, kind := range []string{"lease/", "ticket/", "completion/"} {
		a.trained, a.asked, a.charged = map[lineage.ID]int{}, map[string]int{}, 0
		full := &refusing{Ledger: new(lineage.Memory), prefix: kind}
		err := (&Runner{Study: study, Ledger: full}).Run(t.Context())
		if !errors.Is(err, errStopped) {
			t.Fatalf("%s cannot be written: %v", kind, err)
		}
		if kind != "completion/" && a.charged > 0 {
			t.Errorf("%s cannot be written, and %v was charged", kind, a.charged)
		}
		if len(a.asked) > 1 {
			t.Errorf("%s cannot be written, and %d requests were sent", kind, len(a.asked))
		}
	}
}

// refusing is a ledger that takes no records of one kind.
type refusing struct {
	lineage.Ledger
	prefix string
}

func (r *refusing) Save(key lineage.Key, v any) error {
	if strings.HasPrefix(string(key), r.prefix) {
		return errStopped
	}
	return r.Ledger.Save(key, v)
}
