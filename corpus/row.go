package corpus

import (
	"fmt"
	"slices"
	"strings"
)

// object is a JSON object whose values are slices of its text.
type object struct{ members []member }

type member struct {
	key   string
	value []byte
}

func (o *object) get(key string) []byte {
	for i := range o.members {
		if o.members[i].key == key {
			return o.members[i].value
		}
	}
	return nil
}

func (o *object) keys() string {
	all := make([]string, 0, len(o.members))
	for _, m := range o.members {
		all = append(all, fmt.Sprintf("%.40q", m.key))
	}
	if len(all) > 12 {
		all = append(all[:12], "…")
	}
	return strings.Join(all, ", ")
}

// names shares the memory of keys that come back in row after row.
type names map[string]string

func (n names) of(raw []byte) string {
	if known, ok := n[string(raw)]; ok {
		return known
	}
	name, _ := unquote(raw)
	if len(n) < 1024 && len(raw) < 128 {
		n[string(raw)] = name
	}
	return name
}

// parse reads the object at the scanner into o and refuses a key that stands
// twice, because readers disagree on which of the two counts.
func (o *object) parse(s *scanner, n names) error {
	o.members = o.members[:0]
	var seen map[string]bool
	return s.object(0, func(key, value []byte) error {
		name := n.of(key)
		if len(o.members) == 32 {
			seen = make(map[string]bool)
			for _, m := range o.members {
				seen[m.key] = true
			}
		}
		if seen == nil && o.get(name) != nil || seen[name] {
			return fmt.Errorf("the key %.80q stands twice; keep one", name)
		}
		if seen != nil {
			seen[name] = true
		}
		o.members = append(o.members, member{name, value})
		return nil
	})
}

// message is one turn of a row before its text is decoded.
type message struct {
	role    string
	content []byte // a JSON string, an array of parts, null, or nil where there is none
	raw     []byte // the whole object, nil in a row without message objects
	more    bool   // raw holds more than a role and a string
	turn    int    // of an assistant turn: how many stand before it
}

func (m *message) text() string {
	switch {
	case len(m.content) == 0 || m.content[0] == 'n':
		return ""
	case m.content[0] == '"':
		text, _ := unquote(m.content)
		return text
	}
	return joinParts(m.content)
}

var roles = []string{"system", "developer", "user", "assistant", "tool"}

func (d *decoder) parseMessage(raw []byte) error {
	if raw[0] != '{' {
		return fmt.Errorf(`an object with "role" and "content" was expected, not %.40s`, raw)
	}
	if err := d.item.parse(&scanner{data: raw}, d.names); err != nil {
		return err
	}
	m := message{raw: raw, content: d.item.get("content"), more: len(d.item.members) != 2}
	role := d.item.get("role")
	if len(role) == 0 {
		return fmt.Errorf(`has no "role"; its keys are %s`, d.item.keys())
	}
	if role[0] == '"' {
		m.role = d.names.of(role)
	}
	if !slices.Contains(roles, m.role) {
		return fmt.Errorf("role: %.60s is not known; known are %s", role, listed(roles))
	}
	if m.content == nil && d.item.get("tool_calls") == nil && d.item.get("function_call") == nil {
		return fmt.Errorf(`has no "content"; its keys are %s`, d.item.keys())
	}
	d.messages = append(d.messages, m)
	return d.checkContent(&d.messages[len(d.messages)-1])
}

func (d *decoder) checkContent(m *message) error {
	if len(m.content) == 0 || m.content[0] == 'n' {
		m.more = true
		return nil
	}
	switch m.content[0] {
	case '"':
		return d.checkString("content", m.content)
	case '[':
		m.more = true
		return d.checkParts(m.content)
	}
	return fmt.Errorf("content: a string was expected, not %.40s", m.content)
}

func (d *decoder) checkString(what string, raw []byte) error {
	if raw[0] != '"' {
		return fmt.Errorf("%s: a string was expected, not %.40s", what, raw)
	}
	if d.half {
		if _, whole := unquote(raw); !whole {
			return fmt.Errorf(`%s: an escape \ud800…\udfff stands alone and is half a character; write the row again from whole text`, what)
		}
	}
	return nil
}

// eachPart calls each with the text of every part of content that is a list: a
// string, or an object with a string "text".
func eachPart(raw []byte, each func(text []byte) error) error {
	n := -1
	return (&scanner{data: raw}).array(0, func(part []byte) error {
		n++
		if part[0] == '{' {
			var o object
			if err := o.parse(&scanner{data: part}, names{}); err != nil {
				return fmt.Errorf("content[%d]: %w", n, err)
			}
			text := o.get("text")
			if text == nil {
				return fmt.Errorf("content[%d]: a part of type %.40s has no \"text\"; only text can be read", n, o.get("type"))
			}
			part = text
		}
		return each(part)
	})
}

func (d *decoder) checkParts(raw []byte) error {
	return eachPart(raw, func(text []byte) error { return d.checkString("content", text) })
}

func joinParts(raw []byte) string {
	var all strings.Builder
	eachPart(raw, func(part []byte) error { // checked before
		text, _ := unquote(part)
		all.WriteString(text)
		return nil
	})
	return all.String()
}
