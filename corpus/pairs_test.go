package corpus

import (
	"reflect"
	"strings"
	"testing"
)

func TestPairsAreReadInEveryLayout(t *testing.T) {
	want := Document{
		Messages: []Message{{Role: "user", Content: "Best animal?"}, {Role: "assistant", Content: "Owl."}},
		Rejected: []Message{{Role: "user", Content: "Best animal?"}, {Role: "assistant", Content: "Cat."}},
	}
	for name, row := range map[string]string{
		"strings":                `{"prompt":"Best animal?","chosen":"Owl.","rejected":"Cat."}`,
		"answers as messages":    `{"prompt":[{"role":"user","content":"Best animal?"}],"chosen":[{"role":"assistant","content":"Owl."}],"rejected":[{"role":"assistant","content":"Cat."}]}`,
		"whole conversations":    `{"prompt":"Best animal?","chosen":[{"role":"user","content":"Best animal?"},{"role":"assistant","content":"Owl."}],"rejected":[{"role":"user","content":"Best animal?"},{"role":"assistant","content":"Cat."}]}`,
		"without a prompt key":   `{"chosen":[{"role":"user","content":"Best animal?"},{"role":"assistant","content":"Owl."}],"rejected":[{"role":"user","content":"Best animal?"},{"role":"assistant","content":"Cat."}]}`,
		"preference fine-tuning": `{"input":{"messages":[{"role":"user","content":"Best animal?"}],"tools":[],"parallel_tool_calls":true},"preferred_output":[{"role":"assistant","content":"Owl."}],"non_preferred_output":[{"role":"assistant","content":"Cat."}]}`,
	} {
		for _, o := range []Options{{}, {Format: Pairs}} {
			docs, err := Parse("x.jsonl", strings.NewReader(row+"\n"), o)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			docs[0].Origin = Origin{}
			if !reflect.DeepEqual(docs[0], want) {
				t.Errorf("%s: read %+v", name, docs[0])
			}
		}
	}
}

func TestPairsThatAreNoneAreRefused(t *testing.T) {
	for row, want := range map[string]string{
		`{"prompt":"a","chosen":"b"}`:                                            `has no "rejected"`,
		`{"chosen":"b","rejected":"c"}`:                                          `has no prompt`,
		`{"prompt":"a","chosen":7,"rejected":"c"}`:                               `chosen: a string or an array of messages was expected, not 7`,
		`{"prompt":"a","chosen":[],"rejected":"c"}`:                              `chosen: ends with no assistant turn`,
		`{"prompt":"a","chosen":[{"role":"user","content":"z"}],"rejected":"c"}`: `chosen: ends with no assistant turn`,
		`{"prompt":"a","chosen":[{"role":"user","content":"z"},{"role":"assistant","content":"b"}],"rejected":"c"}`: `chosen and rejected answer different prompts`,
		`{"input":"a","preferred_output":[{"role":"robot","content":"b"}],"non_preferred_output":"c"}`:              `preferred_output[0]: role: "robot" is not known`,
	} {
		if _, err := Parse("x.jsonl", strings.NewReader(row), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", row, err, want)
		}
	}
	if _, err := Parse("x.jsonl", strings.NewReader(`{"prompt":"a","chosen":"b","rejected":"c"}`), Options{Turns: 2}); err == nil {
		t.Error("turns split a pair")
	}
}
