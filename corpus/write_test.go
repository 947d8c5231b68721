package corpus

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func write(t testing.TB, format Format, docs List) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, format)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if err := w.Write(d); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEveryFormatGivesBackWhatWasWritten(t *testing.T) {
	chat := List{
		doc("system", "s", "user", "u\r\n\t\x00<&>\u2028", "assistant", ""),
		doc("user", "x").with("b", `{ "z": 1.50, "a":[ ] }`, "a", `"\u00e9"`, "labels", "null"),
		doc("tool", "r", "developer", "d").with("messages", `[{"role":"tool","content":"r","tool_call_id":"1"} , {"content":[{"text":"d"}],"role":"developer"}]`, "extra", `{"k":1}`, "role", "2"),
	}
	completion := List{doc("user", "p", "assistant", "c").with("n", "1"), doc("assistant", "only")}
	lines := List{doc("assistant", " a line "), doc("assistant", "b")}
	paragraphs := List{doc("assistant", "a\n b"), doc("assistant", "c")}
	whole := List{doc("assistant", "\n a\r\n\nb\n\n")}
	for _, c := range []struct {
		format Format
		docs   List
	}{
		{Chat, chat}, {JSONL, chat}, {Parquet, chat}, {Chat, completion}, {Completion, completion}, {Parquet, completion},
		{Lines, lines}, {Paragraphs, lines}, {Paragraphs, paragraphs}, {Chat, paragraphs}, {Whole, whole},
	} {
		out := write(t, c.format, c.docs)
		got, err := Parse("x", bytes.NewReader(out), Options{Format: c.format})
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.format, err, out)
		}
		want := make(List, len(c.docs))
		for i, d := range c.docs {
			d.Origin.Index = i
			want[i] = d
		}
		sameDocs(t, got, want)
		if again := write(t, c.format, got); !bytes.Equal(again, out) {
			t.Errorf("%s: writing what was read gives other bytes", c.format)
		}
	}
}

func TestExtraKeysAreWrittenSortedAndByteForByte(t *testing.T) {
	out := write(t, Chat, List{doc("user", "<x>").with("z", "1.0", "a", `{"k" :  "é" }`, "m", "[\n1]")})
	if want := `{"messages":[{"role":"user","content":"<x>"}],"a":{"k" :  "é" },"m":[ 1],"z":1.0}` + "\n"; string(out) != want {
		t.Errorf("got  %swant %s", out, want)
	}
}

// Messages that were not changed keep the keys that they had in the file,
// whatever was changed around them.
func TestUnchangedMessagesKeepTheirKeys(t *testing.T) {
	const row = `{"messages":[{"role":"user","content":"u","name":"n"},{"role":"assistant","content":"a","weight":0},{"role":"user","content":"v"},{"role":"assistant","content":"b","weight":1}]}`
	for name, c := range map[string]struct {
		edit func(d *Document)
		want string
	}{
		"untouched": {func(d *Document) {}, row},
		"edited": {func(d *Document) { d.Messages[1].Content = "A" },
			strings.Replace(row, `{"role":"assistant","content":"a","weight":0}`, `{"role":"assistant","content":"A"}`, 1)},
		"system prompt added": {func(d *Document) { d.Messages = append(doc("system", "s").Messages, d.Messages...) },
			strings.Replace(row, `[`, `[{"role":"system","content":"s"},`, 1)},
		"cut after two": {func(d *Document) { d.Messages = d.Messages[:2] },
			`{"messages":[{"role":"user","content":"u","name":"n"},{"role":"assistant","content":"a","weight":0}]}`},
	} {
		d := parse(t, "x.jsonl", row, Options{})[0]
		c.edit(&d)
		if got := string(write(t, Chat, List{d})); got != c.want+"\n" {
			t.Errorf("%s:\ngot  %swant %s", name, got, c.want)
		}
	}
}

func TestDocumentsThatAFormatCannotHoldAreRefused(t *testing.T) {
	chat := doc("user", "u", "assistant", "a", "user", "v", "assistant", "b")
	for name, c := range map[string]struct {
		format Format
		docs   List
		want   string
	}{
		"turns":        {Completion, List{chat}, "has the turns user, assistant, user, assistant"},
		"no answer":    {Completion, List{doc("user", "u")}, "ends with a user turn"},
		"own key":      {Completion, List{doc("assistant", "a").with("prompt", `"x"`)}, `extra key "prompt" is a key of the format itself`},
		"message keys": {Completion, List{doc("assistant", "a").with("messages", `[{"role":"assistant","content":"a","weight":1}]`)}, "write it as chat"},
		"reserved":     {Chat, List{doc("assistant", "a").with("messages", `3`)}, `"messages" is kept for`},
		"not JSON":     {Chat, List{doc("assistant", "a").with("k", `{`)}, `extra key "k": byte 2`},
		"two values":   {Parquet, List{doc("assistant", "a").with("k", `1 2`)}, `extra key "k": one JSON value`},
		"role":         {Chat, List{doc("bot", "a")}, `messages[0].role: "bot" is not known`},
		"not UTF-8":    {Parquet, List{doc("user", "a\xff")}, "messages[0].content: is not valid UTF-8"},
		"no messages":  {Chat, List{{}}, "has no messages"},
		"several":      {Lines, List{doc("assistant", "a\nb")}, "has several lines"},
		"blank line":   {Paragraphs, List{doc("assistant", "a\n\nb")}, "has a blank line"},
		"blank":        {Lines, List{doc("assistant", " ")}, "is blank"},
		"chat as text": {Lines, List{doc("user", "a")}, "has the turns user"},
		"extras":       {Whole, List{doc("assistant", "a").with("k", "1")}, "has the extra keys k"},
		"second":       {Whole, List{doc("assistant", "a"), doc("assistant", "b")}, "document 1: is the second one"},
	} {
		w, err := NewWriter(new(bytes.Buffer), c.format)
		for _, d := range c.docs {
			if err == nil {
				err = w.Write(d)
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := NewWriter(nil, "csv"); err == nil || !strings.Contains(err.Error(), "known are jsonl, chat") {
		t.Error(err)
	}
}

// Whatever can be read can be written as chat and as Parquet, and comes back.
func FuzzReadWriteRead(f *testing.F) {
	f.Add([]byte(transcript), uint8(0), uint8(0))
	f.Add([]byte(transcript), uint8(1), uint8(2))
	f.Add([]byte(`{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"}]}],"x":"\ud800"}`), uint8(0), uint8(1))
	f.Add([]byte(`{"prompt":"p","completion":"c","extra":{"a":1}}`), uint8(2), uint8(0))
	f.Add([]byte("{\"text\":\"a\"}\r\n\n{\"text\":\"\\u0000\"}"), uint8(0), uint8(0))
	f.Add([]byte("a\n\nb\r\nc"), uint8(4), uint8(0))
	f.Add([]byte("\xef\xbb\xbfa\r\n"), uint8(5), uint8(0))
	f.Add(gzipped(`{"text":"a"}`), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, format, turns uint8) {
		o := Options{Format: formats[int(format)%6], MaxLineBytes: 1 << 16}
		if !o.Format.plain() {
			o.Turns = int(turns)
		}
		docs, err := Parse("x", bytes.NewReader(data), o)
		if err != nil {
			return
		}
		for _, back := range []Format{Chat, Parquet} {
			again, err := Parse("x", bytes.NewReader(write(t, back, docs)), Options{Format: back})
			if err != nil {
				t.Fatal(err)
			}
			for i := range docs {
				for key, value := range docs[i].Extra {
					docs[i].Extra[key] = json.RawMessage(strings.ReplaceAll(string(value), "\n", " "))
				}
			}
			sameDocs(t, again, docs)
		}
	})
}
