package corpus

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Writer writes documents to a stream. Close finishes the stream and leaves
// what is below it open; without Close the output is incomplete. After an error
// of Write nothing of that document has been written.
type Writer interface {
	Write(Document) error
	Close() error
}

// NewWriter writes in the given format; JSONL means Chat. What Read gave is
// written back: extra keys byte for byte in sorted order, and messages that were
// not changed with the keys that they had beside role and content. A document
// that the format cannot hold is an error. Origin is never written.
func NewWriter(w io.Writer, format Format) (Writer, error) {
	b := bufio.NewWriterSize(w, 1<<16)
	switch format {
	case Chat, JSONL:
		return &textWriter{w: b, encode: appendChat}, nil
	case Completion:
		return &textWriter{w: b, encode: appendCompletion}, nil
	case Lines:
		return &textWriter{w: b, encode: appendLine}, nil
	case Paragraphs:
		return &textWriter{w: b, encode: appendParagraph}, nil
	case Whole:
		return &textWriter{w: b, encode: appendWhole}, nil
	case Parquet:
		return newParquetWriter(w), nil
	case Pairs:
		return nil, errors.New("format: pairs is read and not written; write chat")
	case Inspect:
		return nil, errors.New("format: inspect is read and not written; write chat")
	}
	return nil, fmt.Errorf("format: %q is not known; known are %s", format, listed(formats))
}

// textWriter writes the formats that need no more than the document at hand.
type textWriter struct {
	w      *bufio.Writer
	encode func(out []byte, d Document, n int) ([]byte, error) // n documents stand before d
	out    []byte
	n      int
}

func (w *textWriter) Write(d Document) error {
	err := check(d)
	if err == nil {
		w.out, err = w.encode(w.out[:0], d, w.n)
	}
	if err == nil {
		_, err = w.w.Write(w.out)
	}
	if err != nil {
		return fmt.Errorf("document %d: %w", w.n, err)
	}
	w.n++
	return nil
}

func (w *textWriter) Close() error { return w.w.Flush() }

// check refuses what could not be read back.
func check(d Document) error {
	if len(d.Messages) == 0 {
		return errors.New("has no messages")
	}
	if d.Rejected != nil {
		return errors.New("is a pair, of which every format that is written would lose the rejected side")
	}
	for i, m := range d.Messages {
		if !slices.Contains(roles, m.Role) {
			return fmt.Errorf("messages[%d].role: %q is not known; known are %s", i, m.Role, listed(roles))
		}
		if !utf8.ValidString(m.Content) {
			return fmt.Errorf("messages[%d].content: is not valid UTF-8", i)
		}
	}
	for key, value := range d.Extra {
		s := &scanner{data: value}
		if _, err := s.value(0); err != nil {
			return fmt.Errorf("extra key %q: %w", key, err)
		}
		if s.peek(); s.at < len(value) || !utf8.Valid(value) || !utf8.ValidString(key) {
			return fmt.Errorf("extra key %q: one JSON value in UTF-8 was expected", key)
		}
		if key == "messages" && standing(value) == nil {
			return errors.New("extra key \"messages\" is kept for the message objects of a chat row; rename it")
		}
	}
	return nil
}

func appendChat(out []byte, d Document, _ int) ([]byte, error) {
	return appendExtra(appendMessages(append(out, `{"messages":`...), d), d)
}

func appendCompletion(out []byte, d Document, _ int) ([]byte, error) {
	prompt, completion := "", d.Messages[len(d.Messages)-1]
	if len(d.Messages) == 2 && d.Messages[0].Role == "user" {
		prompt = d.Messages[0].Content
	} else if len(d.Messages) != 1 {
		return out, fmt.Errorf("has the turns %s, and a completion row holds user and assistant alone; write it as chat", turnsOf(d))
	}
	if completion.Role != "assistant" {
		return out, fmt.Errorf("ends with a %s turn, and a completion is an assistant turn; write it as chat", completion.Role)
	}
	if d.Extra["messages"] != nil {
		return out, errors.New("has messages with more than role and content, which a completion row cannot hold; write it as chat")
	}
	out = appendString(append(out, `{"prompt":`...), prompt)
	out = appendString(append(out, `,"completion":`...), completion.Content)
	return appendExtra(out, d, "prompt", "completion")
}

func turnsOf(d Document) string {
	all := make([]string, 0, len(d.Messages))
	for _, m := range d.Messages[:min(len(d.Messages), 8)] {
		all = append(all, m.Role)
	}
	if len(d.Messages) > len(all) {
		all = append(all, "…")
	}
	return strings.Join(all, ", ")
}

// appendExtra writes the extra keys, save the reserved messages, and ends the
// row. No extra key may be one of the row's own.
func appendExtra(out []byte, d Document, own ...string) ([]byte, error) {
	for _, key := range slices.Sorted(maps.Keys(d.Extra)) {
		if key == "messages" {
			continue
		}
		if slices.Contains(own, key) {
			return out, fmt.Errorf("extra key %q is a key of the format itself; rename it", key)
		}
		out = append(appendString(append(out, ','), key), ':')
		out = appendOneLine(out, d.Extra[key])
	}
	return append(out, "}\n"...), nil
}

// appendOneLine writes a JSON value, whose line ends, if any, are mere space.
func appendOneLine(out []byte, raw json.RawMessage) []byte {
	if bytes.IndexByte(raw, '\n') < 0 {
		return append(out, raw...)
	}
	return append(out, bytes.ReplaceAll(raw, []byte("\n"), []byte(" "))...)
}

// appendMessages writes the messages of a document. Where Extra keeps message
// objects as they stood in the file, each message that still says the same is
// written as it stood.
func appendMessages(out []byte, d Document) []byte {
	stood := standing(d.Extra["messages"])
	shift, matches := align(d.Messages, stood)
	if matches == len(stood) && matches > 0 && len(stood) == len(d.Messages) {
		return appendOneLine(out, d.Extra["messages"])
	}
	out = append(out, '[')
	for i, m := range d.Messages {
		if i > 0 {
			out = append(out, ',')
		}
		if same(m, stood, i+shift) {
			out = appendOneLine(out, stood[i+shift].raw)
			continue
		}
		out = appendString(append(out, `{"role":`...), m.Role)
		out = append(appendString(append(out, `,"content":`...), m.Content), '}')
	}
	return append(out, ']')
}

func same(m Message, stood []message, i int) bool {
	return i >= 0 && i < len(stood) && stood[i].role == m.Role && stood[i].text() == m.Content
}

// align tells whether messages were added or taken away at the start or at the
// end: message i is stood[i+shift] for the most i, which it counts.
func align(messages []Message, stood []message) (shift, matches int) {
	for _, by := range []int{0, len(stood) - len(messages)} {
		n := 0
		for i, m := range messages {
			if same(m, stood, i+by) {
				n++
			}
		}
		if n > matches {
			shift, matches = by, n
		}
	}
	return shift, matches
}

// standing reads the message objects that Extra keeps; what is none is ignored.
func standing(raw json.RawMessage) []message {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	d := &decoder{names: names{}}
	err := (&scanner{data: raw}).array(0, d.parseMessage)
	if err != nil {
		return nil
	}
	return d.messages
}

func text(d Document) (string, error) {
	if len(d.Messages) != 1 || d.Messages[0].Role != "assistant" {
		return "", fmt.Errorf("has the turns %s, and plain text holds one assistant turn; write it as chat", turnsOf(d))
	}
	if len(d.Extra) > 0 {
		return "", fmt.Errorf("has the extra keys %s, which plain text cannot hold; write it as chat or drop them", listed(slices.Sorted(maps.Keys(d.Extra))))
	}
	t := d.Messages[0].Content
	if strings.TrimSpace(t) == "" {
		return "", errors.New("is blank, and reading it back would skip it; write it as chat")
	}
	if strings.HasPrefix(t, string(utf8BOM)) {
		return "", errors.New("starts with a byte-order mark, which reading would drop; write it as chat")
	}
	return t, nil
}

func appendLine(out []byte, d Document, _ int) ([]byte, error) {
	t, err := text(d)
	if err == nil && strings.ContainsAny(t, "\r\n") {
		err = errors.New("has several lines; write it as paragraphs, whole or chat")
	}
	return append(append(out, t...), '\n'), err
}

func appendParagraph(out []byte, d Document, n int) ([]byte, error) {
	t, err := text(d)
	if err != nil {
		return out, err
	}
	if strings.Contains(t, "\r") {
		return out, errors.New("has carriage returns, which reading paragraphs would change; write it whole or as chat")
	}
	for line := range strings.SplitSeq(t, "\n") {
		if strings.TrimSpace(line) == "" {
			return out, errors.New("has a blank line, which would split it; write it whole or as chat")
		}
	}
	if n > 0 {
		out = append(out, '\n')
	}
	return append(append(out, t...), '\n'), nil
}

func appendWhole(out []byte, d Document, n int) ([]byte, error) {
	if n > 0 {
		return out, errors.New("is the second one, and a whole file is one document; write a file a document, or chat")
	}
	t, err := text(d)
	return append(out, t...), err
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string. Unlike encoding/json it leaves <, > and &
// as they are, which keeps training rows readable.
func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		case '\r':
			out = append(out, '\\', 'r')
		case '\t':
			out = append(out, '\\', 't')
		default:
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(out, s[start:]...), '"')
}
