package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// drawnKeys are what a row that was drawn for labelling may have.
var drawnKeys = []string{"id", "node", "part", "index", "arms", "line", "replicate", "generation", "verdict", "score", "messages", "label", "note", "behaviour"}

// labelRow is a row to be checked against the ledger.
type labelRow struct {
	line     int
	messages []lineage.Message
	of       string // behaviour that it was drawn for, where the row tells
	lineage.Label
}

// ReadLabels reads rows that were drawn from a ledger and labelled since. Rows whose
// label is null are left out and counted. Everything that is wrong is in the error, an
// *Invalid: each row must hold the text that the ledger has at its place.
func ReadLabels(l lineage.Ledger, study lineage.Study, behaviour, labeller, name string, data []byte) (labels lineage.Labels, skipped int, err error) {
	var names []string
	for _, b := range study.Behaviours {
		names = append(names, b.Name)
	}
	if !slices.Contains(names, behaviour) {
		return labels, 0, fmt.Errorf("%s", unknown("behaviour", behaviour, names))
	}
	var found faults
	var rows []labelRow
	first := map[string]int{}
	line, read := 0, 0
	for raw := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		line++
		if raw = bytes.TrimSpace(raw); len(raw) == 0 {
			continue
		}
		read++
		row, labelled, err := readLabel(raw)
		row.line = line
		place := fmt.Sprintf("%s %s %d", row.Node, row.Part, row.Index)
		switch {
		case err != nil:
			found.add(Fault{File: name, Line: line, Column: 1, Message: err.Error()})
			continue
		case first[place] > 0:
			found.add(Fault{File: name, Line: line, Column: 1, Message: fmt.Sprintf("is the text of line %d again; a text has one label", first[place])})
			continue
		case row.of != "" && row.of != behaviour:
			found.add(Fault{File: name, Line: line, Column: 1, Message: fmt.Sprintf("was drawn to be labelled for %s, and not for %s", row.of, behaviour)})
			continue
		case !labelled:
			skipped++
		}
		first[place] = line
		if labelled {
			rows = append(rows, row)
		}
	}
	switch {
	case read == 0:
		found.add(Fault{File: name, Message: "is empty; heirloom detector label draw writes rows to label"})
	case len(rows) == 0 && len(found.list) == 0:
		found.add(Fault{File: name, Message: "no row is labelled: write true or false in the place of null"})
	}
	slices.SortFunc(rows, func(a, b labelRow) int {
		return cmp.Or(strings.Compare(string(a.Node), string(b.Node)), strings.Compare(a.Part, b.Part), a.Index-b.Index)
	})
	if err := checkLabels(l, behaviour, name, rows, &found); err != nil {
		return labels, 0, err
	}
	labels = lineage.Labels{Behaviour: behaviour, Labeller: labeller, File: digest(data)}
	for _, r := range rows {
		labels.Rows = append(labels.Rows, r.Label)
	}
	return labels, skipped, found.err()
}

func readLabel(raw []byte) (row labelRow, labelled bool, err error) {
	if !utf8.Valid(raw) {
		return row, false, fmt.Errorf("the row is not UTF-8")
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return row, false, fmt.Errorf("the row is not a JSON object: %v", err)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Contains(drawnKeys, key) {
			return row, false, fmt.Errorf("%s", unknown("key", key, drawnKeys))
		}
	}
	for i, into := range []any{&row.Node, &row.Part, &row.Index} {
		key := drawnKeys[i+1]
		if raw, ok := keys[key]; !ok || json.Unmarshal(raw, into) != nil || string(raw) == "null" {
			return row, false, fmt.Errorf("%s: is missing or damaged; node, part and index say where the text stands, as label draw wrote them", key)
		}
	}
	if !slices.Contains(judgedParts, row.Part) {
		return row, false, fmt.Errorf("part: %s", unknown("value", row.Part, judgedParts))
	}
	if err := json.Unmarshal(keys["messages"], &row.messages); err != nil || len(row.messages) == 0 {
		return row, false, fmt.Errorf("messages: are missing or damaged; label draw wrote them")
	}
	if of, ok := keys["behaviour"]; ok && json.Unmarshal(of, &row.of) != nil {
		return row, false, fmt.Errorf("behaviour: is damaged; label draw wrote it")
	}
	switch string(keys["label"]) {
	case "null":
		return row, false, nil
	case "true", "false":
		row.Positive = string(keys["label"]) == "true"
		return row, true, nil
	case "":
		return row, false, fmt.Errorf("has no label; write true, false, or null where it cannot be judged")
	}
	return row, false, fmt.Errorf("label: %.40s is none of true, false and null", keys["label"])
}

// checkLabels compares rows, sorted by their place, with the ledger.
func checkLabels(l lineage.Ledger, behaviour, name string, rows []labelRow, found *faults) error {
	from := newStored(l)
	var node lineage.Node
	for _, row := range rows {
		bad := func(format string, args ...any) {
			found.add(Fault{File: name, Line: row.line, Column: 1, Message: fmt.Sprintf(format, args...)})
		}
		if row.Node != node.ID {
			var n lineage.Node
			ok, err := l.Load(lineage.NodeKey(row.Node), &n)
			if err != nil {
				return err
			}
			if !ok {
				bad("node: the ledger has no model %.40s; the rows were drawn from another run", row.Node)
				continue
			}
			node = n
		}
		count, p, err := from.part(node, row.Part)
		if err != nil {
			return err
		}
		if row.Index < 0 || row.Index >= count {
			bad("index: the model has %d %s, counted from 0, and this is %d", count, row.Part, row.Index)
			continue
		}
		if row.Part == lineage.Probes {
			if of := p.Behaviours[row.Index%len(p.Conversations)]; of != behaviour {
				bad("is the answer to a probe of %s, not of %s", of, behaviour)
				continue
			}
		}
		messages, err := from.conversation(node, row.Part, row.Index)
		if err != nil {
			return err
		}
		if !slices.Equal(asJSON(messages), row.messages) {
			bad("messages: are not those of the ledger; labels belong to the text as it was drawn")
		}
	}
	return nil
}

// asJSON gives messages as they come out of a file: bytes that are not UTF-8 become
// replacement characters on the way.
func asJSON(messages []lineage.Message) (read []lineage.Message) {
	data, err := json.Marshal(messages)
	if err == nil {
		err = json.Unmarshal(data, &read)
	}
	if err != nil {
		panic("sim: messages as JSON: " + err.Error())
	}
	return read
}
