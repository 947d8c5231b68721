package protocol

import (
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
)

func TestConformanceFindsEachFlawAndNamesIt(t *testing.T) {
	for mode, want := range map[string][2]string{
		"sound":      {"", ""},
		"empty is 0": {"answers an empty text with null", `for "": 0 with 0 spans`},
		"counts":     {"judges a text alone as in a batch", "then"},
		"by process": {"says the same when started anew", "then"},
		"utf-16":     {"counts spans in characters", "three pictographs before"},
		"prints":     {"prints nothing but answers", "lines are no answers"},
		"short":      {"survives a text of a million characters", "ended with exit status 1"},
		"above 1":    {"answers every row with a score within [0,1]", "is not a number within [0,1]"},
		"lingering":  {"ends when its input ends", "signal: killed"},
		"mute":       {"starts, and says who it is", "did not answer hello"},
		"dead":       {"starts, and says who it is", "no module named spiral"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c := tortured(t, mode)
			if mode == "mute" {
				c.Start = 1
			}
			r, err := c.Conform(t.Context(), Trial{Rows: 500, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, check := range r.Checks {
				what := strings.Join(check.Found, "; ")
				if strings.HasPrefix(check.Claim, want[0]) && strings.Contains(what, want[1]) && check.Failed() {
					found = true
				} else if mode == "sound" && len(check.Found) > 0 {
					t.Errorf("%s: %s", check.Claim, what)
				}
				if len(check.Found) > 0 && check.Mend == "" {
					t.Errorf("%s: no way out is given", check.Claim)
				}
			}
			if mode != "sound" && !found {
				t.Errorf("want %q under %q: %+v", want[1], want[0], r.Checks)
			}
			if r.Failed() != (mode != "sound") {
				t.Errorf("the whole fails: %v", r.Failed())
			}
		})
	}
}

func TestConformanceOfServers(t *testing.T) {
	r, err := served(t, nil).Conform(t.Context(), Trial{Env: detectors.Env{}, Texts: []string{"no no"}, Rows: 100, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range r.Checks {
		// The reference detector scores empty texts, which the panel never sends.
		if len(check.Found) > 0 && check.Claim != "answers an empty text with null" && check.Claim != "counts spans in characters: Unicode code points" {
			t.Errorf("%s: %q", check.Claim, check.Found)
		}
	}
}
