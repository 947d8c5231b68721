package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Keys of a sample that are read, and those that its rows keep beside their
// messages. The events of a sample, which are most of a log, are passed over.
var (
	sampleKeys = []string{"id", "epoch", "input", "messages", "output", "target", "scores", "metadata", "error"}
	rowKeys    = []string{"id", "epoch", "target", "scores", "metadata", "error"}
)

const attachmentScheme = "attachment://"

// inspectSample is one sample of an Inspect log.
type inspectSample struct {
	names       names
	keys        object
	attachments map[string][]byte // long texts by their hash, as JSON strings
	kept        []byte            // memory of the values of keys
	out         []byte
	half        bool
}

// read takes the sample off the tape.
func (s *inspectSample) read(t *tape) error {
	if s.names == nil {
		s.names = names{}
	}
	s.keys.members, s.attachments, s.half = s.keys.members[:0], nil, false
	t.out = t.out[:0]
	type place struct {
		key      string
		from, to int
	}
	var places []place
	err := t.object(func(key string) error {
		if key == "attachments" && bytes.Contains(t.out, []byte(attachmentScheme)) {
			return s.readAttachments(t)
		}
		from := len(t.out)
		t.keep = slices.Contains(sampleKeys, key)
		err := t.value()
		if t.keep {
			places = append(places, place{key, from, len(t.out)})
		}
		t.keep = false
		return err
	})
	s.kept = t.out
	for _, p := range places { // what was read before a fault names the sample
		s.keys.members = append(s.keys.members, member{p.key, s.kept[p.from:p.to]})
	}
	if err != nil {
		return err
	}
	return s.check()
}

// check validates what was kept.
func (s *inspectSample) check() error {
	if at := invalidAt(s.kept); at < len(s.kept) {
		return errors.New("is not valid UTF-8; write the log again")
	}
	for i, m := range s.keys.members {
		scan := &scanner{data: m.value}
		if _, err := scan.value(0); err != nil {
			return fmt.Errorf("%s: %w", m.key, err)
		}
		if scan.peek(); scan.at < len(m.value) {
			return fmt.Errorf("%s: %w", m.key, scan.fail("its end"))
		}
		s.half = s.half || scan.half
		for _, before := range s.keys.members[:i] {
			if before.key == m.key {
				return fmt.Errorf("the key %q stands twice; keep one", m.key)
			}
		}
	}
	return nil
}

// readAttachments keeps the texts that messages refer to. Images and other data
// are no text and stay out.
func (s *inspectSample) readAttachments(t *tape) error {
	if c, err := t.peek(); err != nil || c != '{' {
		return t.value()
	}
	s.attachments = map[string][]byte{}
	held := 0
	return t.object(func(hash string) error {
		wanted := bytes.Contains(t.out, []byte(attachmentScheme+hash))
		if _, err := t.peek(); err != nil {
			return err
		}
		if head, _ := t.r.Peek(6); !wanted || string(head) == `"data:` {
			return t.value()
		}
		own := tape{r: t.r, keep: true, limit: t.limit - len(t.out) - held}
		err := own.value()
		s.attachments[hash] = own.out
		held += len(own.out)
		return err
	})
}

// called is how errors name the sample.
func (s *inspectSample) called() string {
	id := s.keys.get("id")
	if id == nil {
		return ""
	}
	name := fmt.Sprintf("sample %.80s", id)
	if epoch := s.keys.get("epoch"); epoch != nil {
		name += fmt.Sprintf(" epoch %.20s", epoch)
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

// rows gives the chat rows of the sample: its messages, ended by the output
// where they do not end with an assistant turn, and one row more for each
// further choice of the output. A list of parts becomes the text of its text
// parts, as Inspect joins them, and is kept as content_parts.
func (s *inspectSample) rows(each func(row []byte) error) error {
	messages, err := s.conversation()
	if err != nil {
		return err
	}
	choices, model, err := s.output()
	if err != nil {
		return err
	}
	last := len(messages) - 1
	ended := last >= 0 && messages[last].role == "assistant"
	if !ended && len(choices) > 0 {
		messages, ended = append(messages, choices[0]), true
		last++
	}
	if len(messages) == 0 {
		return errors.New("has neither messages nor input nor output; remove it")
	}
	if err := each(s.row(messages, model, 0)); err != nil {
		return err
	}
	for i := 1; i < len(choices) && ended; i++ {
		if err := each(s.row(append(messages[:last:last], choices[i]), model, i)); err != nil {
			return err
		}
	}
	return nil
}

// turn is a message as its row has it.
type turn struct {
	role string
	json []byte
}

// conversation gives the messages of the sample, or its input where it has none.
func (s *inspectSample) conversation() ([]turn, error) {
	if raw := s.keys.get("messages"); raw != nil && raw[0] == '[' {
		turns, err := s.turns("messages", raw)
		if err != nil || len(turns) > 0 {
			return turns, err
		}
	} else if raw != nil && raw[0] != 'n' {
		return nil, fmt.Errorf("messages: an array was expected, not %.40s", raw)
	}
	switch raw := s.keys.get("input"); {
	case raw == nil || raw[0] == 'n':
		return nil, nil
	case raw[0] == '"':
		text, err := s.text(raw)
		if err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		return []turn{{"user", append(append([]byte(`{"role":"user","content":`), text...), '}')}}, nil
	case raw[0] == '[':
		return s.turns("input", raw)
	default:
		return nil, fmt.Errorf("input: a string or an array of messages was expected, not %.40s", raw)
	}
}

func (s *inspectSample) turns(what string, raw []byte) (all []turn, err error) {
	err = (&scanner{data: raw}).array(0, func(m []byte) error {
		t, err := s.turn(m)
		if err != nil {
			return fmt.Errorf("%s[%d]: %w", what, len(all), err)
		}
		all = append(all, t)
		return nil
	})
	return all, err
}

// output gives the messages of the output's choices, and the model's name.
func (s *inspectSample) output() (choices []turn, model []byte, err error) {
	raw := s.keys.get("output")
	if raw == nil || raw[0] != '{' {
		return nil, nil, nil
	}
	var out object
	if err := out.parse(&scanner{data: raw}, s.names); err != nil {
		return nil, nil, fmt.Errorf("output: %w", err)
	}
	if model = out.get("model"); model != nil && model[0] != '"' {
		model = nil
	}
	list := out.get("choices")
	if list == nil || list[0] != '[' {
		return nil, model, nil
	}
	err = (&scanner{data: list}).array(0, func(raw []byte) error {
		var choice object
		where := fmt.Sprintf("output.choices[%d]", len(choices))
		if raw[0] != '{' {
			return fmt.Errorf("%s: an object was expected, not %.40s", where, raw)
		}
		if err := choice.parse(&scanner{data: raw}, s.names); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		m := choice.get("message")
		if m == nil {
			return fmt.Errorf(`%s: has no "message"`, where)
		}
		t, err := s.turn(m)
		if err != nil {
			return fmt.Errorf("%s.message: %w", where, err)
		}
		choices = append(choices, t)
		return nil
	})
	return choices, model, err
}

// row writes a row of chat JSONL.
func (s *inspectSample) row(messages []turn, model []byte, choice int) []byte {
	out := append(s.out[:0], `{"messages":[`...)
	for i, m := range messages {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, m.json...)
	}
	out = append(out, ']')
	for _, key := range rowKeys {
		if value := s.keys.get(key); value != nil && value[0] != 'n' {
			out = append(append(append(out, ',', '"'), key...), '"', ':')
			out = append(out, value...)
		}
	}
	if model != nil {
		out = append(append(out, `,"model":`...), model...)
	}
	if choice > 0 {
		out = fmt.Appendf(out, `,"choice":%d`, choice)
	}
	s.out = append(out, '}')
	return s.out
}
