package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestSamplesAreBalancedAndPointAtEvidence(t *testing.T) {
	l, study := fixture(t)
	f, err := Measure(l, study, Options{Samples: 60})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Samples) != 60 {
		t.Fatalf("%d samples", len(f.Samples))
	}
	counts := map[string]int{}
	distinct := map[string]bool{}
	for _, s := range f.Samples {
		distinct[s.ID] = true
		for _, of := range []string{s.Behaviour, fmt.Sprint("outcome ", s.Outcome), s.Arm, s.Part, fmt.Sprint("generation ", s.Generation)} {
			counts[of]++
		}
		b := slices.IndexFunc(traits, func(b struct{ name, title, sentence, evidence string }) bool { return b.name == s.Behaviour })
		if s.Outcome == lineage.Present && (len(s.Spans) != 1 || s.Text[s.Spans[0].Start:s.Spans[0].End] != traits[b].evidence) {
			t.Errorf("%s: span %v of %q", s.ID, s.Spans, s.Text)
		}
		if s.Prompt == "" {
			t.Errorf("%s has no prompt", s.ID)
		}
	}
	for of, least := range map[string]int{
		"trauma": 30, "awakening": 30, "outcome 0": 20, "outcome 1": 20, "outcome 2": 20,
		"control": 15, "seeded": 12, "quarantined": 12, "outputs": 20, "probes": 8, "generation 0": 4, "generation 7": 4,
	} {
		if counts[of] < least {
			t.Errorf("%d samples of %s, want at least %d: %v", counts[of], of, least, counts)
		}
	}
	texts := 0
	for _, n := range f.Nodes {
		texts += n.Outputs + n.Probes
	}
	if f.LeftOut != texts-len(distinct) {
		t.Errorf("%d left out of %d with %d shown", f.LeftOut, texts, len(distinct))
	}
	if none, err := Measure(l, study, Options{Samples: -1}); err != nil || len(none.Samples) != 0 || none.LeftOut != texts {
		t.Errorf("%d samples, %d left out, %v", len(none.Samples), none.LeftOut, err)
	}
}

func TestHostileTextsComeOutWhole(t *testing.T) {
	l, study := fixture(t)
	f, err := Measure(doctored{
		Ledger: l,
		texts: func(all lineage.Texts) {
			for i := range all {
				all[i].Replies = []string{"first", strings.Repeat("\xff</script>é🙂", 60) + all[i].Replies[0]}
			}
		},
		scores: func(_ lineage.Key, all lineage.Scores) lineage.Scores {
			for i := range all {
				all[i].Value = float32(math.NaN())
				all[i].Outcome += uint8(i % 2 * 7)
				all[i].Spans = []lineage.Span{{Start: -5, End: 3}, {Start: 700, End: 1 << 40}, {Start: 9, End: 2}, {Start: 14, End: 15}, {Start: 1, End: 14}}
			}
			return all
		},
	}, study, Options{Chars: 50, Samples: 40})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Samples {
		if !utf8.ValidString(s.Text) || utf8.RuneCountInString(s.Text) > 52 || s.Score != 0 || s.Outcome > lineage.Present {
			t.Fatalf("sample %+v", s)
		}
		for _, p := range s.Spans {
			if !utf8.ValidString(s.Text[p.Start:p.End]) {
				t.Fatalf("span %v of %q", p, s.Text)
			}
		}
	}
}

func TestTranscriptSetsRepliesBetweenQuestions(t *testing.T) {
	asked := []lineage.Message{{Role: "system", Content: "S"}, {Role: "user", Content: "A"}, {Role: "user", Content: "B"}}
	if got, want := transcript(asked, []string{"a", "b"}), "system: S\n\nuser: A\n\nassistant: a\n\nuser: B"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := transcript(asked[1:2], []string{"a"}); got != "A" {
		t.Errorf("%q, want the bare question", got)
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add("a long night in which nobody came", 2, 12, 5, 20, 10)
	f.Add("é\xff🙂\x80z", 0, 3, 2, 9, 3)
	f.Add(strings.Repeat("ü", 100), 180, 190, 0, 2, 12)
	f.Add("", 0, 0, 0, 0, 0)
	f.Fuzz(func(t *testing.T, text string, a, b, c, d, limit int) {
		limit = 1 + max(0, limit)%2000
		got, spans := excerpt(text, []lineage.Span{{Start: a, End: b, Label: "x"}, {Start: c, End: d}}, limit)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > limit+2 {
			t.Fatalf("%q is not at most %d characters of %q", got, limit, text)
		}
		end := 0
		for _, s := range spans {
			if s.Start < end || s.Start >= s.End || s.End > len(got) || !utf8.ValidString(got[s.Start:s.End]) {
				t.Fatalf("span %v of %q", s, got)
			}
			end = s.End
		}
		whole := utf8.ValidString(text) && utf8.RuneCountInString(text) <= limit
		if whole && got != text {
			t.Fatalf("%q became %q", text, got)
		}
		first := 0 <= a && a < b && b <= len(text)
		if whole && first && !(c >= 0 && c < d && d <= len(text)) && (len(spans) != 1 || spans[0].Start > a || spans[0].End < b) {
			t.Fatalf("span %d..%d became %v", a, b, spans)
		}
		if first && len(spans) == 0 {
			t.Fatalf("the evidence %d..%d of %q is not in %q", a, b, text, got)
		}
	})
}
