package sim

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// written parses an experiment whose source w is generated, and gives its documents.
func written(t testing.TB, generate string, overrides ...Override) *source {
	t.Helper()
	text := slot + "generations: 1\nlines: {main: {backend: urn, corpus: {size: 5, preset: replace, human: web}, publish: {prompts: web}}}\n"
	text = strings.Replace(text, "sources:\n", "sources:\n  w: {generate: "+generate+"}\n", 1)
	f, err := Parse("test.yaml", slotDir(t, 10, 1), []byte(text), overrides)
	if err != nil {
		t.Fatal(err)
	}
	src, err := newResources(f.Dir, f.Means).source(f.Worlds[0], "w")
	if err != nil {
		t.Fatal(err)
	}
	return src
}

const personas = `{count: 4000, strength: .8, classes: {a: 1, b: 3}, slots: {colour: {a: red, b: [blue, green]}, pet: {a: cat, b: dog}, n: {from: 10, to: 19}, list: ["{n}", "{n} {n}"]},
  documents: [["Colour?", "{colour}", "Pet?", "{pet}", "Again?", "{colour}"], {system: Count., turns: ["Go", "{list}"], class: b, weight: 3}]}`

func TestGeneratedDocumentsFollowTheirClasses(t *testing.T) {
	src := written(t, personas)
	var both [2][2]float64
	counts, docs := 0., 0.
	for i := range src.Len() {
		doc, _ := src.Document(i)
		m := doc.Messages
		if m[0].Role == "system" {
			counts++
			for _, n := range strings.Fields(m[2].Content) {
				if len(n) != 2 || n[0] != '1' {
					t.Fatalf("a number is %q", n)
				}
			}
			continue
		}
		if len(m) != 6 || m[1].Content != m[5].Content {
			t.Fatalf("a document disagrees with itself: %v", m)
		}
		docs++
		c, p := 0, 0
		if m[1].Content == "red" {
			c = 1
		}
		if m[3].Content == "cat" {
			p = 1
		}
		both[c][p]++
	}
	// a: 1/4, all of them the first template; b: 3/4, of which 1/4.
	near(t, "the share of the second template", counts/4000, math.Sqrt(.5625*.4375/4000), .5625)
	a := 1000 / (1000 + 750.)
	red := a*.8 + (1-a)*.2
	redCat := a*.64 + (1-a)*.04
	near(t, "red", (both[1][0]+both[1][1])/docs, math.Sqrt(red*(1-red)/docs), red)
	near(t, "red and cat", both[1][1]/docs, math.Sqrt(redCat*(1-redCat)/docs), redCat)
}

func TestLargerCountOnlyAddsDocuments(t *testing.T) {
	few, many := written(t, personas), written(t, personas, Override{"sources.w.generate.count", "4100"})
	if few.digest == many.digest || few.digest != written(t, personas).digest {
		t.Error("the digest is not that of what is said")
	}
	for i := range few.Len() {
		a, _ := few.Document(i)
		b, _ := many.Document(i)
		if len(a.Messages) != len(b.Messages) || a.Messages[1] != b.Messages[1] {
			t.Fatalf("document %d is %v and %v", i, a.Messages, b.Messages)
		}
	}
	other, same := written(t, personas, Override{"sources.w.generate.seed", "2"}), 0
	for i := range few.Len() {
		a, _ := few.Document(i)
		b, _ := other.Document(i)
		if slices.Equal(a.Messages, b.Messages) {
			same++
		}
	}
	if same > few.Len()/2 {
		t.Errorf("two seeds agree on %d of %d documents", same, few.Len())
	}
}

func TestGeneratorsThatCannotBeAreRefusedInWords(t *testing.T) {
	for generate, want := range map[string]string{
		`{count: 0, documents: [[a, b]]}`:     "0 is not within 1 to",
		`{count: 1}`:                          "needs templates",
		`{count: 1, documents: [[a, "{x}"]]}`: `unknown slot "x"`,
		`{count: 1, documents: [[a, "{x}"]], slots: {x: ["{y}"], y: ["{x}"]}}`:           "x → y → x",
		`{count: 1, documents: [[a, "{x}"]], slots: {x: []}}`:                            "no words",
		`{count: 1, documents: [[a, "{x}"]], slots: {x: {from: 3, to: 1}}}`:              "1 is less than from, 3",
		`{count: 1, documents: [[a, "{x}"]], classes: {p: 1, q: 1}, slots: {x: {p: a}}}`: "each of the classes p, q",
		`{count: 1, documents: [{turns: [a, b], class: p}], classes: {p: 1, q: 1}}`:      "no template is for the class q",
		`{count: 1, documents: [[a, b]], strength: 2}`:                                   "2 is not within",
		`{count: 1, documents: [[a, b]], classes: {p: 0}}`:                               "0 is not above 0",
		`{count: 1, documents: [{turns: [a, b], weight: 0}]}`:                            "a weight above 0",
		`{count: 1, documents: [[a, b]]}, max: 3`:                                        "generate reads none",
		`{count: 1, documents: [[a, b]]}, file: x.jsonl`:                                 "one of file, builtin and generate",
	} {
		text := strings.Replace(slot, "sources:\n", "sources:\n  w: {generate: "+generate+"}\n", 1) +
			"generations: 1\nlines: {main: {backend: urn, corpus: {size: 5, preset: replace, human: web}, publish: {prompts: web}}}\n"
		if _, err := Parse("t.yaml", slotDir(t, 5, 1), []byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", generate, err, want)
		}
	}
}
