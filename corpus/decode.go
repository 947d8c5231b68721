package corpus

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// decoder turns one record of a file, a JSON row or a plain text, into
// documents in two steps: parse validates it and says which documents it gives,
// document builds one of them. It belongs to one goroutine at a time and keeps
// slices of the record between the two steps.
type decoder struct {
	o      Options
	format Format

	plain     []byte // the record of a plain-text format
	row, item object
	names     names
	half      bool // some string of the row has half a character
	messages  []message
	rejected  []message // of a pair: the conversation with the answer that was not preferred
	list      []byte    // the raw array that messages came from, nil in other layouts
	taken     []string  // keys of the row that are not extra
	labels    []label   // of the assistant turns in order, empty without any
	kept      []int32   // messages that a document ends with, or whole

	unmatched misses
}

// whole stands in kept for a transcript that is not split.
const whole = -1

func newDecoder(name string, o Options) (*decoder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	format, err := o.format(name)
	if err != nil {
		return nil, err
	}
	if format.plain() && (len(o.Fields) > 0 || len(o.Where) > 0 || o.Label != "") {
		return nil, fmt.Errorf("format: %s is plain text, in which fields, where and label find nothing", format)
	}
	if format == Inspect && len(o.Fields) > 0 {
		return nil, errors.New("fields: the samples of an Inspect log have messages alone; leave fields out")
	}
	if format == Pairs && (len(o.Fields) > 0 || o.Turns != 0) {
		return nil, errors.New("format: pairs has its own keys and whole conversations; leave fields and turns out")
	}
	if format == Chat && len(o.Fields) > 0 && o.Fields[fieldMessages] == "" {
		return nil, errors.New("fields: format chat has messages alone; leave format out or name messages")
	}
	if format == Completion && (o.Fields[fieldMessages] != "" || o.Fields[fieldText] != "") {
		return nil, errors.New("fields: format completion has system, user and assistant alone; leave format out")
	}
	return &decoder{o: o, format: format, names: names{}}, nil
}

// clone gives a decoder for another goroutine.
func (d *decoder) clone() *decoder {
	return &decoder{o: d.o, format: d.format, names: names{}}
}

func (d *decoder) parse(record []byte) error {
	d.kept = d.kept[:0]
	if !utf8.Valid(record) {
		return fmt.Errorf("byte %d: is not valid UTF-8; save the file as UTF-8", invalidAt(record)+1)
	}
	if d.format.plain() {
		d.plain = record
		d.kept = append(d.kept, whole)
		return nil
	}
	if err := d.parseRow(record); err != nil {
		return err
	}
	if !d.matches() {
		return nil
	}
	d.messages, d.rejected, d.labels, d.list = d.messages[:0], nil, d.labels[:0], nil
	if err := d.parseLayout(); err != nil {
		return err
	}
	if d.row.get("messages") != nil && !slices.Contains(d.taken, "messages") {
		return fmt.Errorf(`holds "messages" beside %s; remove one of the two`, listed(d.taken))
	}
	return d.split()
}

func invalidAt(b []byte) int {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(b)
}

func (d *decoder) parseRow(record []byte) error {
	s := &scanner{data: record}
	switch s.peek() {
	case '{':
	case '[':
		return errors.New("starts a JSON array; write one object a line (jq -c '.[]' does it)")
	default:
		return s.fail("a row, { … },")
	}
	if err := d.row.parse(s, d.names); err != nil {
		return err
	}
	if s.peek(); s.at < len(s.data) {
		return s.fail("the end of the line after the row")
	}
	d.half = s.half
	return nil
}

// parseLayout finds the messages of the row.
func (d *decoder) parseLayout() error {
	f := d.o.Fields
	pair, paired := d.pairLayout()
	switch {
	case d.format == Pairs:
		return d.parsePair(pair)
	case d.format == Chat || f[fieldMessages] != "":
		return d.parseChat(cmp.Or(f[fieldMessages], "messages"))
	case f[fieldText] != "":
		return d.parseTurns([3]string{2: f[fieldText]})
	case len(f) > 0:
		return d.parseTurns([3]string{f[fieldSystem], f[fieldUser], f[fieldAssistant]})
	case d.format == Completion || d.row.get("messages") == nil && d.row.get("completion") != nil:
		return d.parseTurns([3]string{1: "prompt", 2: "completion"})
	case d.row.get("messages") != nil:
		return d.parseChat("messages")
	case d.row.get("text") != nil:
		return d.parseTurns([3]string{2: "text"})
	case paired:
		return d.parsePair(pair)
	}
	return fmt.Errorf(`has neither "messages" nor "completion" nor "text"; its keys are %s; name them in fields, such as fields: {user: question, assistant: answer}`, d.row.keys())
}

func (d *decoder) missing(key string) error {
	return fmt.Errorf("has no %q; its keys are %s; fields renames them", key, d.row.keys())
}

func (d *decoder) parseChat(key string) error {
	d.taken = append(d.taken[:0], key)
	list := d.row.get(key)
	if list == nil {
		return d.missing(key)
	}
	if list[0] == '"' { // a column of JSON text
		text, _ := unquote(list)
		list = []byte(text)
		s := &scanner{data: list}
		if _, err := s.value(0); err != nil {
			return fmt.Errorf("%s: is a string that is not JSON: %w", key, err)
		}
		if s.peek(); s.at < len(list) {
			return fmt.Errorf("%s: is a string with more in it than one JSON array", key)
		}
		list = bytes.TrimSpace(list)
		d.half = d.half || s.half
	}
	if list[0] != '[' {
		return fmt.Errorf("%s: an array of messages was expected, not %.40s", key, list)
	}
	d.list = list
	if err := (&scanner{data: list}).array(0, func(raw []byte) error {
		if err := d.parseMessage(raw); err != nil {
			return fmt.Errorf("%s[%d]: %w", key, len(d.messages), err)
		}
		return nil
	}); err != nil {
		return err
	}
	if len(d.messages) == 0 {
		return fmt.Errorf("%s: is empty; a document needs at least one message", key)
	}
	return nil
}

// parseTurns reads a row that has a key for each turn. A system prompt or user
// turn that is empty or null is no turn; "prompt" may be absent as well.
func (d *decoder) parseTurns(keys [3]string) error {
	d.taken = d.taken[:0]
	for i, role := range [3]string{"system", "user", "assistant"} {
		key := keys[i]
		if key == "" {
			continue
		}
		value := d.row.get(key)
		if value == nil && (role == "assistant" || len(d.o.Fields) > 0) {
			return d.missing(key)
		}
		d.taken = append(d.taken, key)
		if role != "assistant" && (value == nil || value[0] == 'n' || string(value) == `""`) {
			continue
		}
		if err := d.checkString(key, value); err != nil {
			return err
		}
		d.messages = append(d.messages, message{role: role, content: value})
	}
	if len(d.messages) == 0 {
		return fmt.Errorf("gives no turn, as %s is empty", listed(d.taken))
	}
	return nil
}

// document builds the document that ends with message `last`, or the whole.
func (d *decoder) document(last int32) Document {
	if d.format.plain() {
		text := string(d.plain)
		if d.format == Paragraphs {
			text = string(bytes.ReplaceAll(d.plain, []byte("\r\n"), []byte("\n")))
		}
		return Document{Messages: []Message{{Role: "assistant", Content: text}}}
	}
	told, said := d.window(last)
	doc := Document{Messages: make([]Message, 0, len(told)+len(said))}
	rich := false
	for _, part := range [2][]message{told, said} {
		for i := range part {
			doc.Messages = append(doc.Messages, Message{Role: part[i].role, Content: part[i].text()})
			rich = rich || part[i].more
		}
	}
	for i := range d.rejected {
		doc.Rejected = append(doc.Rejected, Message{Role: d.rejected[i].role, Content: d.rejected[i].text()})
	}
	relabel := last != whole && len(d.labels) > 0
	for _, m := range d.row.members {
		if !slices.Contains(d.taken, m.key) && !(relabel && m.key == "labels") {
			doc.keep(m.key, bytes.Clone(m.value))
		}
	}
	if relabel {
		d.relabel(&doc, last)
	}
	switch {
	case rich && d.rejected != nil: // what more a message held is not kept of a pair
	case rich && len(doc.Messages) == len(d.messages):
		doc.keep("messages", bytes.Clone(d.list))
	case rich:
		doc.keep("messages", joinRaw(told, said))
	}
	return doc
}

func (doc *Document) keep(key string, value json.RawMessage) {
	if doc.Extra == nil {
		doc.Extra = make(map[string]json.RawMessage)
	}
	doc.Extra[key] = value
}

// joinRaw gives the JSON array of message objects as they stood.
func joinRaw(parts ...[]message) json.RawMessage {
	out := []byte{'['}
	for _, part := range parts {
		for i := range part {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, part[i].raw...)
		}
	}
	return append(out, ']')
}
