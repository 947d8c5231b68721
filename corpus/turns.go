package corpus

import (
	"fmt"
	"slices"
	"strconv"
)

// label is the entry of a row's "labels" for one assistant turn, nil for a turn
// that has none.
type label struct {
	entry  []byte
	counts []byte
}

// preamble holds for what a model is told before the conversation starts.
func (m *message) preamble() bool { return m.role == "system" || m.role == "developer" }

// window gives the messages of the document that ends with message last: a
// system message at the start of the row, if it is not among the others, and
// what was said.
func (d *decoder) window(last int32) (told, said []message) {
	if last == whole {
		return nil, d.messages
	}
	to := int(last) + 1
	from := max(0, to-d.o.Turns)
	if from > 0 && d.messages[0].preamble() {
		told = d.messages[:1]
	}
	return told, d.messages[from:to]
}

// split says which documents the row gives.
func (d *decoder) split() error {
	if d.o.Turns == 0 {
		d.kept = append(d.kept, whole)
		return nil
	}
	turns := 0
	for i := range d.messages {
		if m := &d.messages[i]; m.role == "assistant" {
			m.turn = turns
			turns++
		}
	}
	if err := d.parseLabels(turns); err != nil {
		if d.o.Label != "" {
			return err
		}
		d.labels = d.labels[:0] // "labels" of another meaning are an extra key like any other
	}
	for i := range d.messages {
		if m := &d.messages[i]; m.role == "assistant" {
			keep, err := d.labelled(m.turn)
			if err != nil {
				return err
			}
			if keep {
				d.kept = append(d.kept, int32(i))
			}
		}
	}
	if n := len(d.kept); d.o.Final && n > 1 {
		d.kept = append(d.kept[:0], d.kept[n-1])
	}
	return nil
}

// parseLabels reads [{"assistant_turns":[k],"counts":{name: n}}], in which k
// counts the assistant turns of the row from 0.
func (d *decoder) parseLabels(turns int) error {
	raw := d.row.get("labels")
	if raw == nil {
		return nil // a transcript that nobody judged
	}
	if raw[0] != '[' {
		return fmt.Errorf("labels: an array was expected, not %.40s", raw)
	}
	d.labels = slices.Grow(d.labels[:0], turns)[:turns]
	clear(d.labels)
	n := -1
	return (&scanner{data: raw}).array(0, func(entry []byte) error {
		n++
		if entry[0] != '{' {
			return fmt.Errorf("labels[%d]: an object was expected, not %.40s", n, entry)
		}
		if err := d.item.parse(&scanner{data: entry}, d.names); err != nil {
			return fmt.Errorf("labels[%d]: %w", n, err)
		}
		list, counts := d.item.get("assistant_turns"), d.item.get("counts")
		if len(list) == 0 || list[0] != '[' || len(counts) == 0 || counts[0] != '{' {
			return fmt.Errorf(`labels[%d]: "assistant_turns": [k] and "counts": {name: n} were expected; its keys are %s`, n, d.item.keys())
		}
		return (&scanner{data: list}).array(0, func(number []byte) error {
			k, err := strconv.Atoi(string(number))
			switch {
			case err != nil || k < 0 || k >= turns:
				return fmt.Errorf("labels[%d].assistant_turns: %.40s is not one of the %d assistant turns, which count from 0", n, number, turns)
			case d.labels[k].entry != nil:
				return fmt.Errorf("labels[%d].assistant_turns: turn %d is labelled twice; keep one", n, k)
			}
			d.labels[k] = label{entry, counts}
			return nil
		})
	})
}

// labelled tells whether an assistant turn is kept. A turn without the count is
// not one with a count of 0: it was not judged, and is left out.
func (d *decoder) labelled(turn int) (bool, error) {
	if d.o.Label == "" {
		return true, nil
	}
	if len(d.labels) == 0 || d.labels[turn].counts == nil {
		return false, nil
	}
	counts := d.labels[turn].counts
	if err := d.item.parse(&scanner{data: counts}, d.names); err != nil {
		return false, fmt.Errorf("labels: counts of turn %d: %w", turn, err)
	}
	d.unmatched.sawLabels(&d.item)
	raw := d.item.get(d.o.Label)
	if raw == nil || raw[0] == 'n' {
		return false, nil
	}
	count, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return false, fmt.Errorf("labels: counts of turn %d: %q is %.40s, which is not a number", turn, d.o.Label, raw)
	}
	low, high := d.o.labelBounds()
	return low <= count && count <= high, nil
}

// relabel gives the document the label of its last turn in the place of those of
// the transcript, numbered as the turn stands in the document.
func (d *decoder) relabel(doc *Document, last int32) {
	entry := d.labels[d.messages[last].turn].entry
	if entry == nil {
		return
	}
	inside := -1
	for _, m := range doc.Messages {
		if m.Role == "assistant" {
			inside++
		}
	}
	out := []byte(`[{"assistant_turns":[` + strconv.Itoa(inside) + "]")
	d.item.parse(&scanner{data: entry}, d.names) // parsed before
	for _, m := range d.item.members {
		if m.key != "assistant_turns" {
			out = append(appendString(append(out, ','), m.key), ':')
			out = append(out, m.value...)
		}
	}
	doc.keep("labels", append(out, "}]"...))
}
