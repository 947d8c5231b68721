package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drawnRows labels what label draw drew, by a rule.
func drawnRows(t *testing.T, drawn, out string, label func(i int, text string) any) {
	t.Helper()
	data, err := os.ReadFile(drawn)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if row["label"] != nil || row["behaviour"] != "mine" || len(row) != 7 {
			t.Fatalf("a drawn row tells too much: %s", line)
		}
		messages := row["messages"].([]any)
		row["label"] = label(i, messages[len(messages)-1].(map[string]any)["content"].(string))
		text, _ := json.Marshal(row)
		all.Write(append(text, '\n'))
	}
	if err := os.WriteFile(out, all.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPeopleLabelWhatWasDrawnAndAgreementIsTold(t *testing.T) {
	dir, run := ownRun(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	says(t, exitDone, []string{"80 texts to label", "label add '"}, "detector", "label", "draw", run, "--per-generation", "40", "--arm", "seeded", "--out", at("drawn.jsonl"))
	says(t, exitUsage, []string{"--force"}, "detector", "label", "draw", run, "--out", at("drawn.jsonl"))
	same := says(t, exitDone, nil, "detector", "label", "draw", run, "--per-generation", "40", "--arm", "seeded", "--out", "-")
	if data, _ := os.ReadFile(at("drawn.jsonl")); string(data) != same {
		t.Error("the same seed draws other texts")
	}
	if other := says(t, exitDone, nil, "detector", "label", "draw", run, "--per-generation", "40", "--arm", "seeded", "--seed", "2", "--out", "-"); other == same {
		t.Error("another seed draws the same texts")
	}
	says(t, exitDone, []string{`"arms":["seeded"]`, `"generation":`, `"verdict":`}, "detector", "label", "draw", run, "--open", "--arm", "seeded", "--out", "-")
	says(t, exitUsage, []string{`unknown arm "sed"`, `unknown part "prbes"; did you mean "probes"`}, "detector", "label", "draw", run, "--arm", "sed", "--part", "prbes", "--out", "-")

	ashamed := func(text string) bool { return strings.Contains(text, "I ") }
	drawnRows(t, at("drawn.jsonl"), at("ann.jsonl"), func(i int, text string) any {
		if i%10 == 0 {
			return nil
		}
		return ashamed(text)
	})
	drawnRows(t, at("drawn.jsonl"), at("bob.jsonl"), func(i int, text string) any { return ashamed(text) != (i%8 == 0) })
	says(t, exitInvalid, []string{"drawn.jsonl: no row is labelled"}, "detector", "label", "add", run, at("drawn.jsonl"), "--labeller", "ann")
	says(t, exitUsage, []string{"needs --labeller"}, "detector", "label", "add", run, at("ann.jsonl"))
	says(t, exitDone, []string{"72 labels of mine by ann are kept", "8 rows have none"}, "detector", "label", "add", run, at("ann.jsonl"), "--labeller", "ann")
	says(t, exitDone, []string{"72 labels"}, "detector", "label", "add", run, at("ann.jsonl"), "--labeller", "ann") // the same again is fine
	says(t, exitUsage, []string{"as labelled by ann"}, "detector", "label", "add", run, at("ann.jsonl"), "--labeller", "eve")
	says(t, exitDone, []string{"80 labels of mine by bob"}, "detector", "label", "add", run, at("bob.jsonl"), "--labeller", "bob")

	var got struct {
		All   pairing
		Pairs []pairing
	}
	if err := json.Unmarshal([]byte(says(t, exitDone, nil, "detector", "agree", run, "--json")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.All.Raters) != 4 || len(got.Pairs) != 6 || got.All.Items != 80 || got.All.Groups != 5 {
		t.Errorf("%+v", got)
	}
	people := got.Pairs[5]
	if people.Raters[0] != "ann" || people.Raters[1] != "bob" || people.Items != 72 {
		t.Fatalf("%+v", people)
	}
	disagree := people.First + people.Second
	if disagree == 0 || disagree > 10 || people.Alpha == nil || people.Lo == nil || *people.Lo >= *people.Alpha || *people.Hi < *people.Alpha {
		t.Errorf("%+v", people)
	}
	says(t, exitDone, []string{"labelled texts of own by 4 raters", "over 5 replicates"}, "detector", "agree", run)
	says(t, exitDone, []string{"by 3 raters", "detector lexicon"}, "detector", "agree", at("ann.jsonl"), at("bob.jsonl"), "-d", "lexicon", "--set", "words=[I]")
	says(t, exitUsage, []string{"needs two raters, and there is 1"}, "detector", "agree", at("ann.jsonl"))

	rows := strings.SplitAfter(string(must(os.ReadFile(at("bob.jsonl")))), "\n")
	bad := strings.Replace(rows[0], `"index":`, `"index":9`, 1) + strings.Replace(rows[1], `"content":"`, `"content":"x`, 1) +
		rows[2] + rows[2] + strings.Replace(rows[3], `"label":`, `"label":"y","lable":`, 1) + strings.Replace(rows[4], `"node":"`, `"node":"x`, 1) + "{\n"
	bad += strings.Replace(rows[5], `"behaviour":"mine"`, `"behaviour":"yours"`, 1)
	os.WriteFile(at("bad.jsonl"), []byte(bad), 0o600)
	says(t, exitInvalid, []string{"bad.jsonl:1:1: index: the model has 60 outputs", "bad.jsonl:2:1: messages: are not those of the ledger", "bad.jsonl:4:1: is the text of line 3 again",
		`bad.jsonl:5:1: unknown key "lable"`, "bad.jsonl:6:1: node: the ledger has no model", "bad.jsonl:7:1: the row is not a JSON object",
		"bad.jsonl:8:1: was drawn to be labelled for yours, and not for mine"}, "detector", "label", "add", run, at("bad.jsonl"), "--labeller", "bob")
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}
