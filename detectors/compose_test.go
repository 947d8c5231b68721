package detectors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
)

// voice says one thing, and counts what it is asked about.
type voice struct {
	detectors.Result
	asked *int
}

func (v voice) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	*v.asked += len(us)
	return slices.Repeat([]detectors.Result{v.Result}, len(us)), ctx.Err()
}

// members are detectors that say P (present), A (absent) or N (not scorable).
func members(said string) (env detectors.Env, of []string, asked *int) {
	asked = new(int)
	for i := range said {
		of = append(of, fmt.Sprint("m", i))
	}
	env.Detector = func(name string) (detectors.Detector, string, error) {
		i := slices.Index(of, name)
		if i < 0 {
			return nil, "", errors.New("unknown detector")
		}
		outcome := map[byte]detectors.Outcome{'P': detectors.Present, 'A': detectors.Absent, 'N': detectors.NotScorable}[said[i]]
		return voice{detectors.Result{Outcome: outcome, Score: float64(i+1) / 10}, asked}, "d" + name, nil
	}
	return env, of, asked
}

func composed(t *testing.T, env detectors.Env, of []string, least int, cascade bool) detectors.Detector {
	return opened(t, env, "at-least", func(c any) {
		a := c.(*detectors.AtLeast)
		a.Of, a.Least, a.Cascade = of, least, cascade
	})
}

// TestCompositionsFollowTheTruthTable is the table of Kleene's strong logic for
// two members, and at-least for three.
func TestCompositionsFollowTheTruthTable(t *testing.T) {
	P, A, N := detectors.Present, detectors.Absent, detectors.NotScorable
	table := map[string]struct {
		any, all detectors.Outcome
	}{
		"PP": {P, P}, "PA": {P, A}, "PN": {P, N}, "AP": {P, A}, "AA": {A, A}, "AN": {N, A}, "NP": {P, N}, "NA": {N, A}, "NN": {N, N},
	}
	for said, want := range table {
		for _, cascade := range []bool{false, true} {
			env, of, _ := members(said)
			one := opened(t, env, "any", func(c any) { a := c.(*detectors.Any); a.Of, a.Cascade = of, cascade })
			every := opened(t, env, "all", func(c any) { a := c.(*detectors.All); a.Of, a.Cascade = of, cascade })
			if got := detectOne(t, one, utterance("", "x")).Outcome; got != want.any {
				t.Errorf("any of %s is %v", said, got)
			}
			if got := detectOne(t, every, utterance("", "x")).Outcome; got != want.all {
				t.Errorf("all of %s is %v", said, got)
			}
		}
	}
}

// TestAtLeastIsWhatEveryCompletionAgreesOn holds each outcome against its
// definition: whatever the members that cannot score would say, the count is
// reached, or is not, or that depends.
func TestAtLeastIsWhatEveryCompletionAgreesOn(t *testing.T) {
	for code := range 81 {
		said := ""
		for i, c := 0, code; i < 4; i, c = i+1, c/3 {
			said += string("PAN"[c%3])
		}
		for least := 1; least <= 4; least++ {
			lowest := strings.Count(said, "P")
			highest := lowest + strings.Count(said, "N")
			want := detectors.NotScorable
			if lowest >= least {
				want = detectors.Present
			} else if highest < least {
				want = detectors.Absent
			}
			env, of, all := members(said)
			got := detectOne(t, composed(t, env, of, least, false), utterance("", "x"))
			if got.Outcome != want {
				t.Errorf("at least %d of %s is %v, not %v", least, said, got.Outcome, want)
			}
			envC, of, some := members(said)
			cascaded := detectOne(t, composed(t, envC, of, least, true), utterance("", "x"))
			if cascaded.Outcome != want || *some > *all {
				t.Errorf("at least %d of %s in cascade is %v, not %v; %d members were asked", least, said, cascaded.Outcome, want, *some)
			}
		}
	}
}

func TestScoreOfACompositionIsThatOfTheMemberWhichDecides(t *testing.T) {
	for said, want := range map[string][3]float64{ // at least 1, 2 and 3 of three, with the scores .1, .2 and .3
		"PPP": {.3, .2, .1}, "AAA": {.3, .2, .1}, "PAA": {.1, .3, .2}, "APP": {.3, .2, .1}, "PAN": {.1, -1, .2},
	} {
		for least := 1; least <= 3; least++ {
			env, of, _ := members(said)
			r := detectOne(t, composed(t, env, of, least, false), utterance("", "x"))
			if r.Outcome != detectors.NotScorable && r.Score != want[least-1] {
				t.Errorf("at least %d of %s scores %v, not %v", least, said, r.Score, want[least-1])
			}
		}
	}
}

func TestCascadeStopsAskingWhatIsDecided(t *testing.T) {
	env, of, asked := members("PPPP")
	if r := detectOne(t, composed(t, env, of, 2, true), utterance("", "x")); *asked != 2 || r.Reason != "2 of 4 present: m0, m1" {
		t.Errorf("%d were asked: %+v", *asked, r)
	}
}

func TestSpansOfMembersAreJoined(t *testing.T) {
	text := "afraid of dread and fear"
	at := map[string][]detectors.Span{"a": {{Start: 0, End: 9, Label: "x"}, {Start: 20, End: 24}}, "b": {{Start: 7, End: 15}}, "c": {{Start: 16, End: 19}}}
	env := detectors.Env{Detector: func(name string) (detectors.Detector, string, error) {
		r := detectors.Result{Outcome: detectors.Present, Score: 1, Spans: at[name]}
		if name == "c" {
			r.Outcome = detectors.Absent
		}
		return voice{r, new(int)}, name, nil
	}}
	r := detectOne(t, composed(t, env, []string{"a", "b", "c"}, 1, false), utterance("", text))
	if got := spanned(text, r); !slices.Equal(got, []string{"x:afraid of dread", "a:fear"}) {
		t.Errorf("spans %q", got)
	}
}

func TestCompositionIsNamedByItsMembers(t *testing.T) {
	env, of, _ := members("PP")
	before := detectors.Digest("any", nil, composed(t, env, of, 1, false))
	inner := env.Detector
	env.Detector = func(name string) (detectors.Detector, string, error) {
		d, digest, err := inner(name)
		return d, digest + "changed", err
	}
	if detectors.Digest("any", nil, composed(t, env, of, 1, false)) == before {
		t.Error("other members have the same digest")
	}
}

func TestImpossibleCompositionsAreRefused(t *testing.T) {
	env, of, _ := members("PP")
	for want, open := range map[string]func() (detectors.Detector, error){
		"no detector is named": func() (detectors.Detector, error) { return openKind(env, "any", func(any) {}) },
		"3 is not within 1 and 2": func() (detectors.Detector, error) {
			return openKind(env, "at-least", func(c any) { a := c.(*detectors.AtLeast); a.Of, a.Least = of, 3 })
		},
		"0 is not within 1 and 2": func() (detectors.Detector, error) {
			return openKind(env, "at-least", func(c any) { c.(*detectors.AtLeast).Of = of })
		},
		`names "m0" twice`: func() (detectors.Detector, error) {
			return openKind(env, "all", func(c any) { c.(*detectors.All).Of = []string{"m0", "m0"} })
		},
		"unknown detector": func() (detectors.Detector, error) {
			return openKind(env, "any", func(c any) { c.(*detectors.Any).Of = []string{"x"} })
		},
		"in an experiment only": func() (detectors.Detector, error) {
			return openKind(detectors.Env{}, "any", func(c any) { c.(*detectors.Any).Of = of })
		},
	} {
		_, err := open()
		wantError(t, err, want)
	}
}

func TestGivenCountsWhatItIsGivenAlone(t *testing.T) {
	P, A, N := detectors.Present, detectors.Absent, detectors.NotScorable
	for said, want := range map[string]detectors.Outcome{"PP": P, "AP": A, "NP": N, "PA": N, "AA": N, "PN": N, "NN": N} {
		env, of, asked := members(said)
		d := opened(t, env, "given", func(c any) { g := c.(*detectors.Given); g.Of, g.Where = of[0], of[1] })
		results, err := d.Detect(context.Background(), make([]detectors.Utterance, 3))
		if err != nil || len(results) != 3 || results[2].Outcome != want {
			t.Errorf("%s: %v %v, not %v", said, results, err, want)
		}
		if wants := 3 + 3*strings.Count(said[1:], "P"); *asked != wants {
			t.Errorf("%s: members were asked about %d texts, not %d", said, *asked, wants)
		}
	}
}
