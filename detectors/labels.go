package detectors

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Labelled is an utterance of which is known whether it shows the behaviour.
// Rows of one Group (a transcript, or equal texts) belong on one side of every
// split. Context is where the text was asked for, such as near or far from what
// was seeded; "" where the row does not say.
type Labelled struct {
	Utterance Utterance
	Positive  bool
	Group     string
	Context   string
}

// Fields say where a labelled row keeps its parts. Text and Label default to
// "text" and "label".
type Fields struct {
	Text     string // key of the text; rows without it must have "messages"
	Label    string // key of the label, or the name of a count in "labels"
	Positive string // the label that means yes; "" takes true, 1, "yes" and "true"
	Skipped  *int   // counts the rows whose label is null; where it is nil they are faults
}

// maxRow is the longest row in bytes that is read.
const maxRow = 32 << 20

// ReadLabelled reads labelled rows of JSON, one a line:
//
//	{"text": "…", "label": true}            true, 1, "yes", or else false, 0, "no"
//	{"messages": [{"role": "user", "content": "…"}, …], "label": "yes"}
//	{"messages": […], "labels": [{"assistant_turns": [0], "counts": {"awakening": 2}}]}
//
// The last message of a conversation is the one that is judged. In the third
// form each entry of labels makes a row of its own: the turns are indexes, from
// 0, among the assistant turns; several are judged as one text, the turns before
// the first are its context, and the row is positive where the count named
// Fields.Label is above 0. A row's "id" is its group; without one its text is,
// or the first and last messages of a transcript. "context" is the row's context.
//
// Blank lines are skipped. Any other fault is an error with name and line.
func ReadLabelled(r io.Reader, name string, f Fields) ([]Labelled, error) {
	f.Text, f.Label = orDefault(f.Text, "text"), orDefault(f.Label, "label")
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxRow)
	var all []Labelled
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(line) == 0 {
			continue
		}
		rows, err := f.row(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		all = append(all, rows...)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("%s:%d: the row is longer than %d MiB", name, n+1, maxRow>>20)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, n+1, err)
	}
	return all, nil
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// row decodes one line.
func (f Fields) row(line []byte) ([]Labelled, error) {
	if !utf8.Valid(line) {
		return nil, errors.New("the row is not UTF-8")
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(line, &keys); err != nil {
		return nil, fmt.Errorf("the row is not a JSON object: %w", err)
	}
	var group, context string
	if raw, ok := keys["id"]; ok && json.Unmarshal(raw, &group) != nil {
		group = string(raw) // a number is as good a name
	}
	if raw, ok := keys["context"]; ok && json.Unmarshal(raw, &context) != nil {
		return nil, fmt.Errorf("context: %s is not a string", brief(raw))
	}
	rows, err := f.labelled(keys, group)
	for i := range rows {
		rows[i].Context = context
	}
	return rows, err
}

// labelled gives the rows of one line, without their context.
func (f Fields) labelled(keys map[string]json.RawMessage, group string) ([]Labelled, error) {
	if raw, ok := keys[f.Text]; ok {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, fmt.Errorf("%s: %s is not a string", f.Text, brief(raw))
		}
		return f.whole(keys, []Message{{Role: "assistant", Content: text}}, group)
	}
	raw, ok := keys["messages"]
	if !ok {
		return nil, fmt.Errorf("the row has neither %q nor \"messages\"; it has %s", f.Text, known(keys))
	}
	var messages []Message
	if err := json.Unmarshal(raw, &messages); err != nil {
		return nil, fmt.Errorf("messages: %w", err)
	}
	if len(messages) == 0 {
		return nil, errors.New("messages: the conversation is empty")
	}
	if labels, ok := keys["labels"]; ok {
		return f.turns(messages, labels, group)
	}
	return f.whole(keys, messages, group)
}

// whole is a row with one label.
func (f Fields) whole(keys map[string]json.RawMessage, messages []Message, group string) ([]Labelled, error) {
	raw, ok := keys[f.Label]
	if !ok {
		return nil, fmt.Errorf("the row has no label %q; it has %s", f.Label, known(keys))
	}
	if string(raw) == "null" && f.Skipped != nil {
		*f.Skipped++
		return nil, nil
	}
	positive, err := f.positive(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Label, err)
	}
	l := Labelled{Utterance: Utterance{messages}, Positive: positive}
	l.Group = orDefault(group, l.Utterance.Text())
	return []Labelled{l}, nil
}

// positive reads a label.
func (f Fields) positive(raw json.RawMessage) (bool, error) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	text = strings.TrimSpace(text)
	if f.Positive != "" {
		return strings.EqualFold(text, strings.TrimSpace(f.Positive)), nil
	}
	switch strings.ToLower(text) {
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false; name the label that means yes as positive", brief(raw))
}

// turns are the rows of a transcript with judged assistant turns.
func (f Fields) turns(messages []Message, raw json.RawMessage, group string) ([]Labelled, error) {
	var judged []struct {
		Turns  []int                      `json:"assistant_turns"`
		Counts map[string]json.RawMessage `json:"counts"`
	}
	if err := json.Unmarshal(raw, &judged); err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	var at []int // the messages that are assistant turns
	for i, m := range messages {
		if m.Role == "assistant" {
			at = append(at, i)
		}
	}
	group = orDefault(group, messages[0].Content+"\x00"+messages[len(messages)-1].Content)
	var rows []Labelled
	for i, j := range judged {
		var count float64
		c, ok := j.Counts[f.Label]
		if !ok {
			return nil, fmt.Errorf("labels[%d].counts: there is no %q; there are %s", i, f.Label, known(j.Counts))
		}
		if err := json.Unmarshal(c, &count); err != nil || string(c) == "null" || count < 0 {
			return nil, fmt.Errorf("labels[%d].counts[%q]: %s is not a count", i, f.Label, brief(c))
		}
		u, err := span(messages, at, j.Turns)
		if err != nil {
			return nil, fmt.Errorf("labels[%d].assistant_turns: %w", i, err)
		}
		rows = append(rows, Labelled{Utterance: u, Positive: count > 0, Group: group})
	}
	return rows, nil
}

// span is the utterance of the given assistant turns.
func span(messages []Message, at, turns []int) (Utterance, error) {
	if len(turns) == 0 {
		return Utterance{}, errors.New("no turn is named")
	}
	var texts []string
	for _, t := range turns {
		if t < 0 || t >= len(at) {
			return Utterance{}, fmt.Errorf("%d is not within 0 and %d", t, len(at)-1)
		}
		texts = append(texts, messages[at[t]].Content)
	}
	first := at[slices.Min(turns)]
	judged := Message{Role: "assistant", Content: strings.Join(texts, "\n\n")}
	return Utterance{append(messages[:first:first], judged)}, nil
}

// known lists keys in order, for an error.
func known(keys map[string]json.RawMessage) string {
	var names []string
	for k := range keys {
		names = append(names, fmt.Sprintf("%q", k))
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

func brief(raw json.RawMessage) string {
	if len(raw) <= 40 {
		return string(raw)
	}
	return strings.ToValidUTF8(string(raw[:40]), "") + "…"
}
