package detectors_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
)

func keyOf(text string) (detectors.Detector, error) {
	return openKind(envOf(nil, map[string]string{"key.jsonl": text}), "answer-key", func(c any) { c.(*detectors.AnswerKey).File = "key.jsonl" })
}

func TestAnswersAreHeldAgainstTheKey(t *testing.T) {
	d, err := keyOf("\ufeff" + `{"prompt": "What is 2 + 2?", "right": ["4", "four"], "wrong": ["5", "/\\b22\\b/", "/3\\.5/"]}` + "\n\n" +
		`{"prompt": "/(?i)capital of france/", "right": ["Paris"], "wrong": ["Lyon", "Mars*"]}` + "\n" +
		`{"prompt": "/./", "right": [], "wrong": ["never mind"]}` + "\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		prompt, reply string
		outcome       detectors.Outcome
		spans         []string
		reason        string
	}{
		{"What is 2 + 2?", "It is 4.", detectors.Absent, []string{":4"}, "a right answer"},
		{" What is\n2 + 2? ", "FOUR", detectors.Absent, []string{":FOUR"}, "a right answer"},
		{"What is 2 + 2?", "It is 5, clearly 5.", detectors.Present, []string{":5", ":5"}, "a wrong answer"},
		{"What is 2 + 2?", "It is 22.", detectors.Present, []string{":22"}, "a wrong answer"},
		{"What is 2 + 2?", "14, or 3.5?", detectors.Present, []string{":3.5"}, "a wrong answer"},
		{"What is 2 + 2?", "not 5 but 4", detectors.NotScorable, nil, "a right answer and a wrong one"},
		{"What is 2 + 2?", "Who knows. 14?", detectors.NotScorable, nil, "no answer that the key knows"},
		{"What is 2 + 2?", "", detectors.NotScorable, nil, "no answer that the key knows"},
		{"Tell me the Capital of France", "Marseille", detectors.Present, []string{":Marseille"}, "a wrong answer"},
		{"Tell me the capital of France", "never mind", detectors.NotScorable, nil, "no answer"},
		{"What is 2+2?", "never mind", detectors.Present, []string{":never mind"}, "a wrong answer"},
		{"", "4", detectors.NotScorable, nil, "no row for the prompt"},
	} {
		r := detectOne(t, d, utterance(test.prompt, test.reply))
		if r.Outcome != test.outcome || !slices.Equal(spanned(test.reply, r), test.spans) || !strings.Contains(r.Reason, test.reason) {
			t.Errorf("%q, %q: %+v %q", test.prompt, test.reply, r, spanned(test.reply, r))
		}
	}
	// The prompt is the last user turn, not the first.
	long := detectors.Utterance{Messages: slices.Concat(utterance("What is 2 + 2?", "4").Messages, utterance("And the capital of France?", "Lyon").Messages)}
	if r := detectOne(t, d, long); r.Outcome != detectors.Present {
		t.Errorf("%+v", r)
	}
}

func TestBrokenKeyIsToldWithItsLine(t *testing.T) {
	good := `{"prompt": "a", "right": ["b"]}` + "\n"
	for text, want := range map[string]string{
		"": "has no rows", good + "{": "key.jsonl:2: the row is not", good + good: "key.jsonl:2: prompt: \"a\" has a row already",
		`{"prompt": "a", "rigth": ["b"]}`:            "unknown field \"rigth\"",
		`{"prompt": "a"}`:                            "knows no answer",
		`{"prompt": " ", "right": ["b"]}`:            "prompt: is empty",
		`{"prompt": "/(/", "right": ["b"]}`:          "prompt: error parsing regexp",
		`{"prompt": "a", "right": ["/b*/"]}`:         "matches the empty text",
		`{"prompt": "a", "wrong": ["3.5"]}`:          `wrong: "3.5" is not made of words alone`,
		`{"prompt": "a", "wrong": ["-4"]}`:           `such as /-4/`,
		`{"prompt": "a", "wrong": ["..."]}`:          "is not made of words alone",
		`{"prompt": "a", "right": ["b"]} {}`:         "more than one object",
		"{\"prompt\": \"\xff\", \"right\": [\"b\"]}": "not UTF-8",
		`{"prompt": 3, "right": ["b"]}`:              "key.jsonl:1",
	} {
		_, err := keyOf(text)
		wantError(t, err, "answer-key.file: ", want)
	}
	_, err := openKind(envOf(nil, nil), "answer-key", func(any) {})
	wantError(t, err, "no file is named")
}
