package corpus

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a row, so that a hostile one cannot exhaust
// the stack.
const maxDepth = 1000

// scanner walks JSON text (RFC 8259) without building values: it validates and
// hands out slices of the text. encoding/json would neither report duplicate
// keys nor keep the bytes of a value without decoding the row twice.
type scanner struct {
	data []byte
	at   int
	half bool // some string has an escape that is half a character (checkString)
}

// syntaxError is where JSON is broken and what was expected there.
type syntaxError struct {
	at   int
	text string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.at+1, e.text) }

func (s *scanner) fail(expected string) error {
	rest := s.data[min(s.at, len(s.data)):]
	if len(rest) == 0 {
		return &syntaxError{s.at, expected + " was expected, but the text ends here; a row must stand whole on one line"}
	}
	for _, word := range []string{"NaN", "Infinity"} {
		if bytes.HasPrefix(rest, []byte(word)) {
			return &syntaxError{s.at, word + " is not JSON; write null or leave the key out"}
		}
	}
	r, _ := utf8.DecodeRune(rest)
	return &syntaxError{s.at, fmt.Sprintf("%s was expected, not %q", expected, r)}
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// peek skips space and gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

// value validates the value at s.at and gives its bytes.
func (s *scanner) value(depth int) ([]byte, error) {
	c := s.peek()
	start := s.at
	var err error
	switch {
	case c == '"':
		return s.string()
	case c == '{':
		err = s.object(depth, nil)
	case c == '[':
		err = s.array(depth, nil)
	case c == '-' || c >= '0' && c <= '9':
		err = s.number()
	default:
		for _, word := range []string{"true", "false", "null"} {
			if bytes.HasPrefix(s.data[s.at:], []byte(word)) {
				s.at += len(word)
				return s.data[start:s.at], nil
			}
		}
		err = s.fail("a value")
	}
	return s.data[start:s.at], err
}

// object validates the object at s.at and calls each, unless it is nil, with
// every key, in its quotes, and value.
func (s *scanner) object(depth int, each func(key, value []byte) error) error {
	if depth >= maxDepth {
		return &syntaxError{s.at, fmt.Sprintf("nested deeper than %d", maxDepth)}
	}
	s.at++
	if s.peek() == '}' {
		s.at++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.fail("a key in double quotes")
		}
		key, err := s.string()
		if err != nil {
			return err
		}
		if s.peek() != ':' {
			return s.fail("a colon after " + string(key[:min(len(key), 40)]))
		}
		s.at++
		value, err := s.value(depth + 1)
		if err != nil {
			return err
		}
		if each != nil {
			if err := each(key, value); err != nil {
				return err
			}
		}
		switch s.peek() {
		case ',':
			s.at++
		case '}':
			s.at++
			return nil
		default:
			return s.fail("a comma or } after the value of " + string(key[:min(len(key), 40)]))
		}
	}
}

// array validates the array at s.at and calls each, unless it is nil, with
// every element.
func (s *scanner) array(depth int, each func(value []byte) error) error {
	if depth >= maxDepth {
		return &syntaxError{s.at, fmt.Sprintf("nested deeper than %d", maxDepth)}
	}
	s.at++
	if s.peek() == ']' {
		s.at++
		return nil
	}
	for {
		value, err := s.value(depth + 1)
		if err != nil {
			return err
		}
		if each != nil {
			if err := each(value); err != nil {
				return err
			}
		}
		switch s.peek() {
		case ',':
			s.at++
		case ']':
			s.at++
			return nil
		default:
			return s.fail("a comma or ] after an element")
		}
	}
}

// ordinary are the bytes that stand for themselves in a string.
var ordinary = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return table
}()

// string validates the string at s.at and gives it in its quotes.
func (s *scanner) string() ([]byte, error) {
	data, start := s.data, s.at
	for i := start + 1; i < len(data); i++ {
		c := data[i]
		if ordinary[c] {
			continue
		}
		switch c {
		case '"':
			s.at = i + 1
			return data[start:s.at], nil
		case '\\':
			n := s.escape(data[i:])
			if n == 0 {
				return nil, &syntaxError{i, `a backslash must be followed by one of "\/bfnrt or by u and four hex digits`}
			}
			i += n - 1
		default:
			return nil, &syntaxError{i, fmt.Sprintf(`a raw control character 0x%02x stands in a string; write it as \u%04x`, c, c)}
		}
	}
	return nil, &syntaxError{start, "the string that starts here does not end; a row must stand whole on one line"}
}

// escape gives the length of the escape that b starts with, 0 for none.
func (s *scanner) escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	}
	r, ok := hex4(b)
	if !ok {
		return 0
	}
	if utf16.IsSurrogate(r) {
		low, _ := hex4(b[6:])
		if utf16.DecodeRune(r, low) != utf8.RuneError {
			return 12
		}
		s.half = true
	}
	return 6
}

func (s *scanner) number() error {
	if s.data[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.data) && s.data[s.at] == '0' {
		s.at++
	} else if !s.digits() {
		return s.fail("a digit")
	}
	if s.at < len(s.data) && s.data[s.at] == '.' {
		if s.at++; !s.digits() {
			return s.fail("a digit after the point")
		}
	}
	if s.at < len(s.data) && s.data[s.at]|0x20 == 'e' {
		if s.at++; s.at < len(s.data) && (s.data[s.at] == '+' || s.data[s.at] == '-') {
			s.at++
		}
		if !s.digits() {
			return s.fail("a digit of the exponent")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// hex4 reads the four digits of b, which starts with \u.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// unquote decodes a string that scanner.string gave. An escape that is half a
// surrogate pair, and so no character, becomes U+FFFD and whole is false.
func unquote(raw []byte) (text string, whole bool) {
	body := raw[1 : len(raw)-1]
	next := bytes.IndexByte(body, '\\')
	if next < 0 {
		return string(body), true
	}
	var out strings.Builder
	out.Grow(len(body))
	whole = true
	for ; next >= 0; next = bytes.IndexByte(body, '\\') {
		out.Write(body[:next])
		body = body[next:]
		if c := body[1]; c != 'u' {
			out.WriteByte(unescaped(c))
			body = body[2:]
			continue
		}
		r, _ := hex4(body)
		body = body[6:]
		if utf16.IsSurrogate(r) {
			low, _ := hex4(body)
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				body = body[6:]
			} else {
				whole = false
			}
		}
		out.WriteRune(r)
	}
	out.Write(body)
	return out.String(), whole
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // a quote, a slash or a backslash
}
