package corpus

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// turn writes a message with its content as a string.
func (s *inspectSample) turn(raw []byte) (turn, error) {
	if raw[0] != '{' {
		return turn{}, fmt.Errorf(`an object with "role" and "content" was expected, not %.40s`, raw)
	}
	var m object
	if err := m.parse(&scanner{data: raw}, s.names); err != nil {
		return turn{}, err
	}
	t := turn{}
	if role := m.get("role"); len(role) > 0 && role[0] == '"' {
		t.role = s.names.of(role)
	}
	content := m.get("content")
	plain := content != nil && content[0] == '"'
	if plain && !bytes.HasPrefix(content[1:], []byte(attachmentScheme)) {
		t.json = raw
		return t, nil
	}
	text, err := s.content(content)
	if err != nil {
		return turn{}, err
	}
	t.json = append([]byte(`{"content":`), text...)
	if content != nil && !plain {
		t.json = append(append(t.json, `,"content_parts":`...), content...)
	}
	for _, k := range m.members {
		if k.key != "content" && k.key != "content_parts" {
			t.json = append(appendString(append(t.json, ','), k.key), ':')
			t.json = append(t.json, k.value...)
		}
	}
	t.json = append(t.json, '}')
	return t, nil
}

// Parts of a content that hold no text of the conversation.
var silentParts = []string{"reasoning", "image", "audio", "video", "data", "document", "tool_use"}

// content gives the JSON string of a content of any form.
func (s *inspectSample) content(raw []byte) ([]byte, error) {
	switch {
	case raw == nil || raw[0] == 'n':
		return []byte(`""`), nil
	case raw[0] == '"':
		return s.text(raw)
	case raw[0] != '[':
		return nil, fmt.Errorf("content: a string or an array of parts was expected, not %.40s", raw)
	}
	var parts []string
	n := -1
	err := (&scanner{data: raw}).array(0, func(part []byte) error {
		n++
		if part[0] == '{' {
			var o object
			if err := o.parse(&scanner{data: part}, s.names); err != nil {
				return fmt.Errorf("content[%d]: %w", n, err)
			}
			kind := ""
			if raw := o.get("type"); raw != nil && raw[0] == '"' {
				kind = s.names.of(raw)
			}
			if slices.Contains(silentParts, kind) {
				return nil
			}
			if part = o.get("text"); kind != "text" || part == nil {
				return fmt.Errorf("content[%d]: a part of type %q is not known; known are text, %s", n, kind, listed(silentParts))
			}
		}
		quoted, err := s.text(part)
		if err != nil {
			return fmt.Errorf("content[%d]: %w", n, err)
		}
		text, _ := unquote(quoted)
		parts = append(parts, text)
		return nil
	})
	return appendString(nil, strings.Join(parts, "\n")), err
}

// text gives a JSON string, or the attachment that it stands for.
func (s *inspectSample) text(raw []byte) ([]byte, error) {
	if raw[0] != '"' {
		return nil, fmt.Errorf("a string was expected, not %.40s", raw)
	}
	if err := (&decoder{half: s.half}).checkString("content", raw); err != nil {
		return nil, err
	}
	hash, is := strings.CutPrefix(string(raw[1:len(raw)-1]), attachmentScheme)
	if !is {
		return raw, nil
	}
	text, ok := s.attachments[hash]
	if !ok {
		return nil, fmt.Errorf("refers to the attachment %.40q, which the sample does not have; write the log again with its attachments", hash)
	}
	scan := &scanner{data: text}
	if _, err := scan.value(0); err != nil || text[0] != '"' || !utf8.Valid(text) {
		return nil, fmt.Errorf("the attachment %.40q is not a text", hash)
	}
	return text, (&decoder{half: scan.half}).checkString("content", text)
}
