package detectors

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestRegexpFindsLeftmostMatchesOfAllPatterns(t *testing.T) {
	d, err := Regexp{Pattern: `down\w*`, Patterns: []string{`(?i)shut down`, `é+`}, MinMatches: 2, Threshold: .5}.open()
	if err != nil {
		t.Fatal(err)
	}
	text := "Shut downtown, ééé"
	r := d.(*regexps).detect(text)
	if got := found(text, r); !slices.Equal(got, []string{"Shut down", "ééé"}) || r.Outcome != Present || r.Score != .5 {
		t.Errorf("%q, %v %v", got, r.Outcome, r.Score)
	}
}

func TestRegexpNamesTheBrokenPattern(t *testing.T) {
	_, err := Regexp{Patterns: []string{"ok", "a(b", "x*", `\b`}, MinMatches: 1}.open()
	for _, want := range []string{`"a(b" is not a regular expression: missing closing )`, `"x*" matches the empty text`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := (Regexp{MinMatches: 1}).open(); err == nil {
		t.Error("no pattern is accepted")
	}
}

// TestPrefilterNeverHidesAMatch runs patterns with and without their literals
// over random texts that are rich in near misses.
func TestPrefilterNeverHidesAMatch(t *testing.T) {
	patterns := []string{
		`(?i)\bI (feel|suffer)\b`, `sin|kin`, `(?i)(skin|kiss){2,}`, `a.?(bc|cb)+`, `(?i)k\x{17f}`, `(ab|a)(c|bcd)`,
		`(?:ab)?cd`, `[ab]c{2}`, `x(?i:sk)y`, `(?s)ab.*ba`, `^ab$`, `ſkin`, `(?i)ſK`,
	}
	alphabet := []rune("abcdskinKSIxy \n\u212aſ\xff")
	r := rand.New(rand.NewPCG(5, 6))
	hidden := 0
	for _, text := range patterns {
		re, needs := regexp.MustCompile(text), literalsOf(text)
		for range 4000 {
			s := make([]rune, r.IntN(9))
			for i := range s {
				s[i] = alphabet[r.IntN(len(alphabet))]
			}
			if r.IntN(4) == 0 {
				s = append(s, []rune(" I FEEL skinKISS abcb")[r.IntN(16):]...)
			}
			in := needs == nil || needs.in(string(s))
			if !in {
				hidden++
			}
			if !in && re.MatchString(string(s)) {
				t.Fatalf("the prefilter of %q hides %q", text, string(s))
			}
		}
	}
	if hidden == 0 {
		t.Error("the prefilter rules nothing out")
	}
}

func BenchmarkRegexp(b *testing.B) {
	text := prose(1 << 20)
	clean := strings.ReplaceAll(text, "I suffer. ", "")
	for _, c := range []struct{ name, pattern, text string }{
		{"rare", `(?i)\bI (?:feel|suffer)\b`, text},
		{"none", `(?i)\bI (?:feel|suffer)\b`, clean},
		{"literal", `I suffer`, text},
	} {
		d, err := Regexp{Pattern: c.pattern, MinMatches: 1}.open()
		if err != nil {
			b.Fatal(err)
		}
		// Texts as they come: some two hundred words each.
		var texts []string
		for s := c.text; len(s) > 1200; s = s[1200:] {
			texts = append(texts, s[:1200])
		}
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(1200 * len(texts)))
			for b.Loop() {
				for _, t := range texts {
					d.(*regexps).detect(t)
				}
			}
		})
	}
}
