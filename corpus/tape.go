package corpus

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// tape reads JSON from a stream and copies the values that are kept, so that a
// log of any size is read in the memory of one sample. What is passed over is
// looked at for its brackets and quotes alone; what is kept is validated by
// whoever parses it.
type tape struct {
	r     *bufio.Reader
	out   []byte
	keep  bool
	limit int // of out
}

func newTape(r io.Reader, limit int) *tape {
	return &tape{r: bufio.NewReaderSize(r, 1<<16), limit: limit}
}

var errCutOff = errors.New("the JSON ends too early; the file is cut off, fetch it again")

func (t *tape) byte() (byte, error) {
	c, err := t.r.ReadByte()
	if err == io.EOF {
		err = errCutOff
	}
	return c, err
}

// peek gives the next byte that is not space.
func (t *tape) peek() (byte, error) {
	for {
		c, err := t.byte()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c, t.r.UnreadByte()
		}
	}
}

func (t *tape) expect(want byte, what string) error {
	c, err := t.peek()
	if err == nil && c != want {
		err = fmt.Errorf("%s was expected, not %q", what, c)
	}
	if err == nil {
		t.r.Discard(1)
	}
	return err
}

// put keeps a byte of a value that is kept.
func (t *tape) put(c byte) error {
	if !t.keep {
		return nil
	}
	if len(t.out) >= t.limit {
		return tooLong(t.limit)
	}
	t.out = append(t.out, c)
	return nil
}

// value copies one value, or passes it over.
func (t *tape) value() error {
	c, err := t.peek()
	if err != nil {
		return err
	}
	if c != '"' && c != '{' && c != '[' {
		return t.scalar()
	}
	depth, quoted, escaped := 0, false, false
	for {
		c, err := t.byte()
		if err == nil {
			err = t.put(c)
		}
		if err != nil {
			return err
		}
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth == 0 && !quoted && !escaped {
			return nil
		}
	}
}

func (t *tape) scalar() error {
	for n := 0; ; n++ {
		c, err := t.r.ReadByte()
		if err == io.EOF && n > 0 {
			return nil
		}
		if err != nil {
			return errCutOff
		}
		switch c {
		case ',', ']', '}', ':', ' ', '\t', '\r', '\n':
			if n == 0 {
				return fmt.Errorf("a value was expected, not %q", c)
			}
			return t.r.UnreadByte()
		}
		if err := t.put(c); err != nil {
			return err
		}
	}
}

// object calls each with every key; each takes the value off the tape.
func (t *tape) object(each func(key string) error) error {
	if err := t.expect('{', "{"); err != nil {
		return err
	}
	return t.list('}', func() error {
		key, err := t.key()
		if err == nil {
			err = t.expect(':', "a colon after "+key)
		}
		if err != nil {
			return err
		}
		return each(key)
	})
}

// array calls each for every element; each takes it off the tape.
func (t *tape) array(each func() error) error {
	if err := t.expect('[', "["); err != nil {
		return err
	}
	return t.list(']', each)
}

func (t *tape) list(end byte, each func() error) error {
	if c, err := t.peek(); err != nil || c == end {
		t.r.Discard(1)
		return err
	}
	for {
		if err := each(); err != nil {
			return err
		}
		c, err := t.peek()
		if err != nil {
			return err
		}
		if c != ',' && c != end {
			return fmt.Errorf("a comma or %q was expected, not %q", end, c)
		}
		t.r.Discard(1)
		if c == end {
			return nil
		}
	}
}

// maxKey is the longest key that is read.
const maxKey = 1 << 16

// key reads a string that is a key.
func (t *tape) key() (string, error) {
	if c, err := t.peek(); err != nil || c != '"' {
		return "", orExpected(err, "a key in double quotes", c)
	}
	own := tape{r: t.r, keep: true, limit: maxKey}
	if err := own.value(); err != nil {
		return "", err
	}
	raw, err := (&scanner{data: own.out}).string()
	if err != nil {
		return "", err
	}
	name, _ := unquote(raw)
	return name, nil
}

func orExpected(err error, what string, c byte) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s was expected, not %q", what, c)
}

// end is an error unless nothing but space is left.
func (t *tape) end() error {
	for {
		c, err := t.r.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return fmt.Errorf("the end was expected, not %q", c)
		}
	}
}
