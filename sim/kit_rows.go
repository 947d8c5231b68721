package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Row is one text of a behaviour.
type Row struct {
	Line     int // in its file
	Messages []lineage.Message
	Label    bool   // of labelled rows: whether it shows the behaviour
	Context  string // near or far, "" where the row does not say
	Format   string // of probes
}

// rowKeys are what a row of each file may have, beside what only people read: an id, a
// note, and in the catalogue which part of a behaviour a row shows.
var rowKeys = map[string][]string{
	"seeds":    {"messages"},
	"neutral":  {"messages"},
	"probes":   {"messages", "context", "format"},
	"labelled": {"messages", "context", "label"},
}

var rowNotes = []string{"id", "note", "slots", "narrow"}

var (
	rowContexts = []string{"near", "far"}
	rowFormats  = []string{"single", "questionnaire-item", "questionnaire", "multi-turn"}
	rowRoles    = []string{"system", "user", "assistant"}
)

// maxRowFaults is how many faults of one file are told; the rest is counted.
const maxRowFaults = 50

// readRows decodes a file of a behaviour strictly. Rows with faults are left out.
func readRows(path, file string, text []byte, found *faults) (rows []Row) {
	line, faulty := 0, 0
	for raw := range bytes.Lines(bytes.TrimPrefix(text, []byte("\ufeff"))) {
		line++
		if raw = bytes.TrimSpace(raw); len(raw) == 0 {
			continue
		}
		row, err := readRow(file, raw)
		if err == nil {
			row.Line = line
			rows = append(rows, row)
		} else if faulty++; faulty <= maxRowFaults {
			found.add(Fault{File: path, Line: line, Column: 1, Message: err.Error()})
		}
	}
	if faulty > maxRowFaults {
		found.add(Fault{File: path, Message: fmt.Sprintf("%d more rows have faults", faulty-maxRowFaults)})
	}
	if len(rows) == 0 && faulty == 0 {
		found.add(Fault{File: path, Message: "is empty; remove the file, or write a row a line"})
	}
	return rows
}

func readRow(file string, raw []byte) (row Row, err error) {
	if !utf8.Valid(raw) {
		return row, fmt.Errorf("the row is not UTF-8")
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return row, fmt.Errorf("the row is not a JSON object: %v", err)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(rowKeys[file], key) && !slices.Contains(rowNotes, key) {
			return row, fmt.Errorf("%s", unknown("key", key, append(rowNotes, rowKeys[file]...)))
		}
	}
	if row.Messages, err = readMessages(keys["messages"]); err != nil {
		return row, err
	}
	if err := rightTurns(file, row.Messages); err != nil {
		return row, err
	}
	if err := word(keys["context"], "context", rowContexts, &row.Context); err != nil {
		return row, err
	}
	if err := word(keys["format"], "format", rowFormats, &row.Format); err != nil {
		return row, err
	}
	if file != "labelled" {
		return row, nil
	}
	switch string(keys["label"]) {
	case "true", "false":
		row.Label = string(keys["label"]) == "true"
		return row, nil
	case "":
		return row, fmt.Errorf("has no label; write \"label\": true where the answer shows the behaviour, or false")
	}
	return row, fmt.Errorf("label: %.40s is neither true nor false", keys["label"])
}

func readMessages(raw json.RawMessage) (messages []lineage.Message, err error) {
	if raw == nil {
		return nil, fmt.Errorf("has no messages; write {\"messages\": [{\"role\": \"user\", \"content\": \"…\"}, …]}")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&messages); err != nil {
		return nil, fmt.Errorf("messages: %v; a message is {\"role\": …, \"content\": …}", err)
	}
	if len(messages) == 0 {
		return nil, fmt.Errorf("messages: the conversation is empty")
	}
	for i, m := range messages {
		if !slices.Contains(rowRoles, m.Role) {
			return nil, fmt.Errorf("messages[%d].role: %s", i, unknown("role", m.Role, rowRoles))
		}
		if strings.TrimSpace(m.Content) == "" {
			return nil, fmt.Errorf("messages[%d].content: is empty", i)
		}
	}
	return messages, nil
}

// rightTurns asks of a probe that it can be asked, and of every other row that it
// ends with an answer.
func rightTurns(file string, messages []lineage.Message) error {
	last := messages[len(messages)-1].Role
	if file != "probes" {
		if last != "assistant" {
			return fmt.Errorf("ends with a %s turn; the last message is the assistant's, which is judged", last)
		}
		return nil
	}
	if slices.ContainsFunc(messages, func(m lineage.Message) bool { return m.Role == "assistant" }) {
		return fmt.Errorf("has an assistant turn; a probe is user turns only, and the model answers each of them")
	}
	if last != "user" {
		return fmt.Errorf("ends with a %s turn; a probe ends with a user turn", last)
	}
	return nil
}

func word(raw json.RawMessage, key string, known []string, into *string) error {
	if raw == nil {
		return nil
	}
	if json.Unmarshal(raw, into) != nil || !slices.Contains(known, *into) {
		return fmt.Errorf("%s: %.40s is not known; known are %s", key, raw, strings.Join(known, ", "))
	}
	return nil
}

// checkLeaks refuses labelled rows that a classifier of the behaviour learns from:
// they are there to measure it.
func (k *Kit) checkLeaks(found *faults) {
	k.taught(dialogue, func(row Row, where string) {
		found.add(Fault{File: k.path("labelled"), Line: row.Line, Column: 1, Message: "also stands in " + where + ", of which a classifier learns; labelled rows measure detectors, so none may learn from them"})
	})
}

// taught goes over the labelled rows of which the same, as a function of a row gives it,
// stands among the seeds or the neutral texts.
func (k *Kit) taught(of func(Row) string, each func(row Row, where string)) {
	known := map[string]string{}
	for _, file := range []string{"seeds", "neutral"} {
		for _, row := range k.Texts[file] {
			known[of(row)] = fmt.Sprintf("%s.jsonl:%d", file, row.Line)
		}
	}
	for _, row := range k.Texts["labelled"] {
		if where, ok := known[of(row)]; ok {
			each(row, where)
		}
	}
}

// dialogue is a whole conversation, without regard to white space.
func dialogue(r Row) string {
	var all strings.Builder
	for _, m := range r.Messages {
		fmt.Fprintf(&all, "%s %q ", m.Role, strings.Fields(m.Content))
	}
	return all.String()
}

// judgedText is the text that is judged, without regard to white space.
func judgedText(r Row) string {
	return strings.Join(strings.Fields(r.Messages[len(r.Messages)-1].Content), " ")
}

// Advice says in plain words what a behaviour lacks without being wrong.
func (k *Kit) Advice() (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if k.About == "" {
		say("about says nothing yet: two to four sentences on what the behaviour is, for the report.")
	}
	if k.Rubric == "" {
		say("there is no rubric, so no judge, person or model, can tell it by the same rule.")
	}
	if n := len(k.Texts["seeds"]); n == 0 {
		say("there is no seeds.jsonl, so the behaviour can be watched but not seeded.")
	} else if n < 60 {
		say("seeds.jsonl has %d rows; below 60 or so a seeded corpus repeats itself, and what spreads may be phrases.", n)
	}
	if len(k.Texts["neutral"]) == 0 {
		say("there is no neutral.jsonl: texts on the same topics without the behaviour keep a classifier from learning the topic.")
	}
	if len(k.Texts["probes"]) == 0 {
		say("there is no probes.jsonl, so penetrance is not measured: only what models publish is.")
	}
	labelled := k.Texts["labelled"]
	if len(labelled) == 0 {
		return append(all, "there is no labelled.jsonl, so nobody knows how good its detectors are, and rates cannot be corrected for their errors.")
	}
	for _, context := range []string{"near", "far"} {
		of := map[bool]int{}
		for _, row := range labelled {
			if row.Context == context {
				of[row.Label]++
			}
		}
		if of[true] < 5 || of[false] < 5 {
			say("labelled.jsonl has %d rows that show it and %d that do not in the context %s; below five of each there is no interval.", of[true], of[false], context)
		}
	}
	k.taught(judgedText, func(row Row, where string) {
		say("labelled.jsonl:%d has the answer of %s; a classifier is measured on it by what it says without having learned it.", row.Line, where)
	})
	for _, file := range []string{"seeds", "neutral", "labelled"} {
		seen := map[string]int{}
		for _, row := range k.Texts[file] {
			if first, twice := seen[judgedText(row)]; twice {
				say("%s.jsonl:%d repeats the answer of line %d.", file, row.Line, first)
			} else {
				seen[judgedText(row)] = row.Line
			}
		}
	}
	return all
}
