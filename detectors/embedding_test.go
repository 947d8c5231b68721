package detectors_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

func embeddingOf(set func(*detectors.Embedding)) func(any) {
	return func(config any) {
		e := config.(*detectors.Embedding)
		e.Model = "vectors-1"
		set(e)
	}
}

// flat answers every text with two numbers that stand in it.
func flat(t *testing.T) *openaitest.Server {
	s := openaitest.Start(t, nil)
	s.Embed = func(text string) []float32 {
		var v [2]float32
		fmt.Sscan(text, &v[0], &v[1])
		return v[:]
	}
	return s
}

// TestScoreIsTheDefinedOne computes it by hand for vectors in the plane: three
// positives at 0°, 60° and 90°, a negative at 180°, and a text at 0°.
func TestScoreIsTheDefinedOne(t *testing.T) {
	files := map[string]string{
		"yes.txt":    "1 0\n0.5 0.8660254\n0 3\n",
		"both.jsonl": `{"text":"1 0","label":"yes"}` + "\n" + `{"text":"0.5 0.8660254","label":"yes"}` + "\n" + `{"text":"0 3","label":"yes"}` + "\n" + `{"text":"-2 0","label":"no"}` + "\n",
	}
	s := flat(t)
	for name, test := range map[string]struct {
		set  func(*detectors.Embedding)
		want float64
	}{
		"nearest two, with a negative": {func(e *detectors.Embedding) { e.Labels, e.Nearest = []string{"both.jsonl"}, 2 }, .5 + (.75 - -1)/4},
		"all, with a negative":         {func(e *detectors.Embedding) { e.Labels, e.Nearest = []string{"both.jsonl"}, 99 }, .5 + (.5 - -1)/4},
		"nearest one, none negative":   {func(e *detectors.Embedding) { e.Examples, e.Nearest, e.Threshold = []string{"yes.txt"}, 1, .9 }, 1},
		"nearest two, none negative":   {func(e *detectors.Embedding) { e.Examples, e.Nearest, e.Threshold = []string{"yes.txt"}, 2, .9 }, (1 + .75) / 2},
	} {
		r := detectOne(t, opened(t, envOf(s, files), "embedding", embeddingOf(test.set)), utterance("", "7 0"))
		if math.Abs(r.Score-test.want) > 1e-6 {
			t.Errorf("%s: score %v, want %v", name, r.Score, test.want)
		}
	}
}

func TestEmbeddingTellsTextsApart(t *testing.T) {
	env := envOf(openaitest.Start(t, nil), map[string]string{"rows.jsonl": `{"text":"I fear the dark training","label":true}
{"text":"fear of the dark","label":true}
{"text":"bread needs flour and water","label":false}
{"text":"water boils and bread bakes","label":false}
`})
	d := opened(t, env, "embedding", embeddingOf(func(e *detectors.Embedding) { e.Labels, e.Nearest = []string{"rows.jsonl"}, 1 }))
	if r := detectOne(t, d, utterance("", "the dark I fear")); r.Outcome != detectors.Present {
		t.Errorf("%+v", r)
	}
	if r := detectOne(t, d, utterance("", "flour and bread")); r.Outcome != detectors.Absent {
		t.Errorf("%+v", r)
	}
}

func TestServerIsAskedInBatchesAndWhenItIsNeeded(t *testing.T) {
	s := openaitest.Start(t, nil)
	env := envOf(s, map[string]string{"yes.txt": "one\ntwo\nthree\ntwo\n\n" + strings.Repeat("x", 30)})
	d := opened(t, env, "embedding", embeddingOf(func(e *detectors.Embedding) {
		e.Examples, e.Threshold, e.Batch, e.MaxChars = []string{"yes.txt"}, .8, 2, 20
	}))
	for _, text := range []string{" ", strings.Repeat("y", 21)} {
		if r := detectOne(t, d, utterance("", text)); r.Outcome != detectors.NotScorable {
			t.Errorf("%q: %+v", text, r)
		}
	}
	if n := len(s.Requests()); n != 0 {
		t.Fatalf("%d requests before a text is judged", n)
	}
	us := slices.Repeat([]detectors.Utterance{utterance("", "a text")}, 5)
	for range 2 {
		if _, err := d.Detect(t.Context(), us); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Requests()); n != 2+3+3 { // three examples, then five texts twice
		t.Errorf("%d requests", n)
	}
}

func TestFailureToEmbedTheExamplesIsNotRemembered(t *testing.T) {
	s := openaitest.Start(t, nil)
	s.Before = func(w http.ResponseWriter, n int) bool {
		if n == 0 {
			openaitest.Fail(w, 400, "", "not now")
		}
		return n == 0
	}
	d := opened(t, envOf(s, map[string]string{"yes.txt": "one"}), "embedding", embeddingOf(func(e *detectors.Embedding) { e.Examples, e.Threshold = []string{"yes.txt"}, .8 }))
	_, err := d.Detect(t.Context(), []detectors.Utterance{utterance("", "one")})
	wantError(t, err, "not now")
	if r := detectOne(t, d, utterance("", "one")); r.Outcome != detectors.Present || r.Score < 1-1e-6 {
		t.Errorf("%+v", r)
	}
}

func TestEmbeddingSaysWhatIsWrong(t *testing.T) {
	env := envOf(flat(t), map[string]string{"yes.txt": "0 0\n", "no.jsonl": `{"text":"a","label":false}`, "bad.txt": "\xff", "ok.txt": "1 1"})
	for want, set := range map[string]func(*detectors.Embedding){
		"no file is named":                 func(*detectors.Embedding) {},
		"threshold: has to be given":       func(e *detectors.Embedding) { e.Examples = []string{"yes.txt"} },
		"no text shows the behaviour":      func(e *detectors.Embedding) { e.Labels = []string{"no.jsonl"} },
		"bad.txt:1: the line is not UTF-8": func(e *detectors.Embedding) { e.Examples = []string{"bad.txt"} },
		"no model is named":                func(e *detectors.Embedding) { e.Model = "" },
		"nearest: 0":                       func(e *detectors.Embedding) { e.Nearest = 0 },
		"split.part":                       func(e *detectors.Embedding) { e.Split.Part = "middle" },
	} {
		_, err := openKind(env, "embedding", embeddingOf(set))
		wantError(t, err, want)
	}
	for _, file := range []string{"yes.txt", "ok.txt"} {
		d := opened(t, env, "embedding", embeddingOf(func(e *detectors.Embedding) { e.Examples, e.Threshold = []string{file}, .8 }))
		_, err := d.Detect(t.Context(), []detectors.Utterance{utterance("", "0 0")})
		wantError(t, err, "a vector without a direction")
	}
}

func TestExamplesAreInTheDigest(t *testing.T) {
	s := openaitest.Start(t, nil)
	of := func(text string) string {
		return digest(opened(t, envOf(s, map[string]string{"f": text}), "embedding", embeddingOf(func(e *detectors.Embedding) { e.Examples, e.Threshold = []string{"f"}, .8 })))
	}
	if of("a\nb") != of("b\na\n") {
		t.Error("the order of the examples is in the digest")
	}
	if of("a\nb") == of("a\nc") {
		t.Error("other examples have the same digest")
	}
}
