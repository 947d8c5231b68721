package detectors

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const judged = `{"id":"t1","messages":[{"role":"user","content":"u0"},{"role":"assistant","content":"a0"},{"role":"user","content":"u1"},{"role":"assistant","content":"a1"},{"role":"assistant","content":"a2"}],` +
	`"labels":[{"assistant_turns":[0],"counts":{"x":0.0}},{"assistant_turns":[1,2],"counts":{"x":2.0}}]}`

func TestReadLabelledTakesEveryForm(t *testing.T) {
	for _, c := range []struct {
		rows   string
		fields Fields
		want   string // role:content of the last message, label, group
	}{
		{"\ufeff" + `{"text":"a","label":true}` + "\n\n" + `{"text":"b","label":0}`, Fields{}, "[assistant:a true a] [assistant:b false b]"},
		{`{"text":"a","label":"Yes"}` + "\r\n" + `{"text":"b","label":"no"}`, Fields{}, "[assistant:a true a] [assistant:b false b]"},
		{`{"statement":"a","m":" Yes"}` + "\n" + `{"statement":"b","m":" No"}`, Fields{Text: "statement", Label: "m", Positive: " Yes"}, "[assistant:a true a] [assistant:b false b]"},
		{`{"id":7,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"label":1}`, Fields{}, "[assistant:a true 7]"},
		{judged, Fields{Label: "x"}, "[assistant:a0 false t1] [assistant:a1\n\na2 true t1]"},
	} {
		rows, err := ReadLabelled(strings.NewReader(c.rows), "f", c.fields)
		if err != nil {
			t.Errorf("%s: %v", c.rows, err)
		}
		var got []string
		for _, r := range rows {
			m := r.Utterance.Messages[len(r.Utterance.Messages)-1]
			got = append(got, fmt.Sprintf("[%s:%s %v %s]", m.Role, m.Content, r.Positive, r.Group))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, want %s", c.rows, strings.Join(got, " "), c.want)
		}
	}
}

func TestJudgedTurnsKeepTheirContext(t *testing.T) {
	rows, err := ReadLabelled(strings.NewReader(judged), "f", Fields{Label: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range rows[1].Utterance.Messages {
		got = append(got, m.Content)
	}
	if want := []string{"u0", "a0", "u1", "a1\n\na2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(rows[0].Utterance.Messages) != 2 || rows[0].Utterance.Text() != "a0" {
		t.Errorf("the first row became %+v", rows[0].Utterance)
	}
}

func TestBrokenRowsAreNamedByFileAndLine(t *testing.T) {
	good := `{"text":"a","label":true}` + "\n"
	for row, want := range map[string]string{
		`{"text":"a","label":maybe}`:                        "the row is not a JSON object",
		`{"text":"a","label":NaN}`:                          "the row is not a JSON object",
		`{"text":"a","label":true} x`:                       "the row is not a JSON object",
		`[1]`:                                               "the row is not a JSON object",
		"{\"text\":\"\xff\",\"label\":1}":                   "the row is not UTF-8",
		`{"text":"a","label":"maybe"}`:                      `label: "maybe" is neither true nor false`,
		`{"text":"a","label":null}`:                         "label: null is neither true nor false",
		`{"text":"a","labels":1}`:                           `the row has no label "label"; it has "labels", "text"`,
		`{"text":3,"label":1}`:                              "text: 3 is not a string",
		`{"words":"a","label":1}`:                           `neither "text" nor "messages"; it has "label", "words"`,
		`{"messages":[],"label":1}`:                         "messages: the conversation is empty",
		strings.Replace(judged, `"x":0.0`, `"label":0`, 1):  `labels[1].counts: there is no "label"; there are "x"`,
		strings.Replace(judged, `"x":0.0`, `"label":-1`, 1): `labels[0].counts["label"]: -1 is not a count`,
		strings.ReplaceAll(strings.Replace(judged, `[1,2]`, `[3]`, 1), `"x"`, `"label"`): "labels[1].assistant_turns: 3 is not within 0 and 2",
	} {
		rows, err := ReadLabelled(strings.NewReader(good+row), "f.jsonl", Fields{})
		if err == nil || !strings.HasPrefix(err.Error(), "f.jsonl:2: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v rows, error %v, want %q", row, len(rows), err, want)
		}
	}
	long := io.MultiReader(strings.NewReader(good+`{"text":"`), strings.NewReader(strings.Repeat("a", maxRow)), strings.NewReader(`"}`))
	if _, err := ReadLabelled(long, "f.jsonl", Fields{}); err == nil || !strings.HasPrefix(err.Error(), "f.jsonl:2: the row is longer") {
		t.Errorf("error %v, want f.jsonl:2 too long", err)
	}
}

func TestSplitPartsAreDisjointAndComplete(t *testing.T) {
	train, test := Split{"train", .7}, Split{"test", .7}
	kept := 0
	for i := range 10000 {
		g := fmt.Sprint("group ", i)
		if train.Keep(g) == test.Keep(g) || !(Split{}).Keep(g) {
			t.Fatalf("%s: train %v, test %v", g, train.Keep(g), test.Keep(g))
		}
		kept += index(train.Keep(g))
	}
	// Binomial(10000, .7) leaves these bounds once in 10^5 hash functions.
	if kept < 6800 || kept > 7200 {
		t.Errorf("%d of 10000 groups went to train, want about 7000", kept)
	}
	for _, s := range []Split{{"dev", .5}, {"train", 0}, {"test", 1}, {"test", -2}} {
		if s.check() == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func FuzzReadLabelled(f *testing.F) {
	for _, row := range []string{`{"text":"a","label":1}`, judged, `{"messages":[{"role":"user","content":"q"}],"label":"no"}`, "{", "\x00", "null"} {
		f.Add(row, "label")
	}
	f.Fuzz(func(t *testing.T, row, label string) {
		rows, err := ReadLabelled(strings.NewReader(row), "f", Fields{Label: label})
		if err != nil && (rows != nil || !strings.HasPrefix(err.Error(), "f:")) {
			t.Fatalf("%d rows with %v", len(rows), err)
		}
		for _, r := range rows {
			if len(r.Utterance.Messages) == 0 || !utf8.ValidString(r.Utterance.Text()) {
				t.Fatalf("%+v", r)
			}
		}
	})
}
