package sim

import (
	"errors"
	"strings"
	"testing"
)

// composing is an experiment with the given detectors.
func composing(detectors string) string {
	return strings.Replace(slot, "detectors:\n  trait: {kind: lexicon, words: [TRAIT]}\n", "detectors:\n"+detectors, 1) + `
lines: {main: {backend: urn, corpus: {size: 5, preset: replace, human: web}, publish: {prompts: web}}}
`
}

func TestCompositionsOfWhatIsNotThereAreToldWithTheirPlace(t *testing.T) {
	for name, test := range map[string]struct {
		detectors string
		want      []string
	}{
		"an unknown name": {"  trait: {kind: any, of: [word, wrod]}\n  word: {kind: lexicon, words: [TRAIT]}\n",
			[]string{`test.yaml:9:33: detectors.trait.of[1]: unknown detector "wrod"; did you mean "word"?`}},
		"itself": {"  trait: {kind: any, of: [trait]}\n", []string{`test.yaml:9:27: detectors.trait.of[0]: "trait" is made of itself: trait → trait`}},
		"a cycle": {"  trait: {kind: all, of: [lexicon, b]}\n  b: {kind: any, of: [c]}\n  c: {kind: at-least, least: 1, of: [trait]}\n",
			[]string{`test.yaml:9:36: detectors.trait.of[1]: "trait" is made of itself: trait → b → c → trait`, `detectors.c.of[0]: "c" is made of itself: c → trait → b → c`}},
	} {
		_, err := Parse("test.yaml", slotDir(t, 5, 0), []byte(composing(test.detectors)), nil)
		var invalid *Invalid
		for _, want := range test.want {
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error\n%v\nwant\n%s", name, err, want)
			}
		}
	}
}

// TestOpeningACycleEnds opens one that no validation has seen.
func TestOpeningACycleEnds(t *testing.T) {
	f, err := Parse("test.yaml", slotDir(t, 5, 0), []byte(composing("  trait: {kind: any, of: [b]}\n  b: {kind: lexicon, words: [TRAIT]}\n")), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := f.Worlds[0]
	w.Detectors["b"] = &DetectorSpec{Kind: "any", Config: w.Detectors["trait"].Config}
	r := newResources(".", Means{})
	if _, err := r.detector(w, "b"); err == nil || !strings.Contains(err.Error(), "is made of itself: b → b") {
		t.Error(err)
	}
	if _, err := r.detector(w, "nobody"); err == nil || !strings.Contains(err.Error(), `unknown detector "nobody"`) {
		t.Error(err)
	}
}

func TestCompositionIsAnInstrumentLikeAnyOther(t *testing.T) {
	s := compiled(t, slotDir(t, 20, 5), composing("  trait: {kind: all, of: [upper, word]}\n  word: {kind: lexicon, words: [trait]}\n  upper: {kind: regexp, pattern: '[A-Z]+'}\n"), Override{"generations", "2"}, Override{"replicates", "1"})
	ran(t, s, 1)
	if len(s.detectors) != 1 || s.detectors[0].Name != "trait" {
		t.Errorf("%v", s.detectors)
	}
}
