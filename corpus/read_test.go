package corpus

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
)

func parse(t *testing.T, name, data string, o Options) List {
	t.Helper()
	list, err := Parse(name, strings.NewReader(data), o)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func ptr(f float64) *float64 { return &f }

func doc(pairs ...string) Document {
	var d Document
	for i := 0; i < len(pairs); i += 2 {
		d.Messages = append(d.Messages, Message{Role: pairs[i], Content: pairs[i+1]})
	}
	return d
}

func (d Document) with(pairs ...string) Document {
	d.Extra = map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		d.Extra[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return d
}

// same tells documents apart by everything but their index.
func sameDocs(t *testing.T, got, want List) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d documents, want %d: %v", len(got), len(want), got)
	}
	for i := range got {
		if got[i].Origin.Index != i {
			t.Errorf("document %d has the index %d", i, got[i].Origin.Index)
		}
		if !reflect.DeepEqual(got[i].Messages, want[i].Messages) || !reflect.DeepEqual(got[i].Extra, want[i].Extra) {
			t.Errorf("document %d is\n%v %s, want\n%v %s", i, got[i].Messages, got[i].Extra, want[i].Messages, want[i].Extra)
		}
	}
}

func TestRowsOfEveryLayoutAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		o    Options
		want List
	}{
		"chat":         {`{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"a\n\u00e9\ud83d\ude00"}]}`, Options{}, List{doc("user", "hi", "assistant", "a\né😀")}},
		"chat extras":  {`{"id": 7, "messages":[{"role":"user","content":"x"}], "b": { "c" : [1, 2.50] }}`, Options{}, List{doc("user", "x").with("id", "7", "b", `{ "c" : [1, 2.50] }`)}},
		"completion":   {`{"prompt":"p","completion":" c","k":null}`, Options{}, List{doc("user", "p", "assistant", " c").with("k", "null")}},
		"no prompt":    {`{"prompt":"","completion":"c"}` + "\n" + `{"completion":"c"}` + "\n" + `{"prompt":null,"completion":"c"}`, Options{}, List{doc("assistant", "c"), doc("assistant", "c"), doc("assistant", "c")}},
		"text":         {`{"text":"t","prompt":"is extra here"}`, Options{}, List{doc("assistant", "t").with("prompt", `"is extra here"`)}},
		"fields":       {`{"sys":"s","q":"u","a":"v"}`, Options{Fields: map[string]string{"system": "sys", "user": "q", "assistant": "a"}}, List{doc("system", "s", "user", "u", "assistant", "v")}},
		"field of two": {`{"conversations":[{"role":"user","content":"u"}]}`, Options{Fields: map[string]string{"messages": "conversations"}}, List{doc("user", "u")}},
		"prompts only": {`{"question":"q","answer":"a"}`, Options{Fields: map[string]string{"user": "question"}}, List{doc("user", "q").with("answer", `"a"`)}},
		"parts":        {`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"},"c"]}]}`, Options{}, List{doc("user", "abc").with("messages", `[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"},"c"]}]`)}},
		"null content": {`{"messages":[{"role":"assistant","content":null,"tool_calls":[]}, {"role":"tool","content":"x"}]}`, Options{}, List{doc("assistant", "", "tool", "x").with("messages", `[{"role":"assistant","content":null,"tool_calls":[]}, {"role":"tool","content":"x"}]`)}},
		"JSON text":    {`{"messages":"[{\"role\":\"user\",\"content\":\"u\"}]"}`, Options{}, List{doc("user", "u")}},
		"BOM and CRLF": {"\xef\xbb\xbf{\"text\":\"a\"}\r\n\r\n{\"text\":\"b\"}\r\n", Options{}, List{doc("assistant", "a"), doc("assistant", "b")}},
		"where":        {`{"text":"a","ok":" Yes"}` + "\n" + `{"text":"b","ok":"Yes"}` + "\n" + `{"text":"c"}`, Options{Where: map[string]string{"ok": " Yes"}}, List{doc("assistant", "a").with("ok", `" Yes"`)}},
		"where number": {`{"text":"a","n":1.0}` + "\n" + `{"text":"b","n":2}` + "\n" + `{"text":"c","n":true}`, Options{Where: map[string]string{"n": "1"}}, List{doc("assistant", "a").with("n", "1.0")}},
		"where bool":   {`{"text":"a","n":true}` + "\n" + `{"text":"b","n":false}`, Options{Where: map[string]string{"n": "true"}}, List{doc("assistant", "a").with("n", "true")}},
		"max":          {`{"text":"a"}` + "\n" + `{"text":"b"}` + "\nnot reached", Options{Max: 2}, List{doc("assistant", "a"), doc("assistant", "b")}},
		"escaped keys": {`{"te\u0078t":"a"}`, Options{}, List{doc("assistant", "a")}},
	} {
		t.Run(name, func(t *testing.T) { sameDocs(t, parse(t, "x.jsonl", c.data, c.o), c.want) })
	}
}

func TestPlainTextIsCutByItsFormat(t *testing.T) {
	const data = "\xef\xbb\xbfone\r\n two \n\n\n three\nfour\r\nfive\n \t \nsix"
	sameDocs(t, parse(t, "x.txt", data, Options{}), List{
		doc("assistant", "one"), doc("assistant", " two "), doc("assistant", " three"), doc("assistant", "four"), doc("assistant", "five"), doc("assistant", "six")})
	sameDocs(t, parse(t, "x.txt", "a", Options{Turns: 2}), List{doc("assistant", "a")}) // a text is one turn as it is
	sameDocs(t, parse(t, "x.txt", data, Options{Format: Paragraphs}), List{
		doc("assistant", "one\n two "), doc("assistant", " three\nfour\nfive"), doc("assistant", "six")})
	sameDocs(t, parse(t, "x.txt", data, Options{Format: Whole}), List{doc("assistant", strings.TrimPrefix(data, "\xef\xbb\xbf"))})
}

const transcript = `{"id":"t","messages":[{"role":"system","content":"s"},{"role":"user","content":"u0"},{"role":"assistant","content":"a0","weight":1},{"role":"user","content":"u1"},{"role":"assistant","content":"a1"},{"role":"user","content":"u2"},{"role":"assistant","content":"a2"},{"role":"user","content":"u3"}],` +
	`"labels":[{"assistant_turns":[1],"counts":{"x":2,"y":0},"judge":"j"},{"assistant_turns":[2],"counts":{"x":0}}]}`

func TestTurnsSplitATranscript(t *testing.T) {
	label1, label2 := `[{"assistant_turns":[0],"counts":{"x":2,"y":0},"judge":"j"}]`, `[{"assistant_turns":[0],"counts":{"x":0}}]`
	got := parse(t, "x.jsonl", transcript, Options{Turns: 2})
	sameDocs(t, got, List{
		doc("system", "s", "user", "u0", "assistant", "a0").with("id", `"t"`, "messages",
			`[{"role":"system","content":"s"},{"role":"user","content":"u0"},{"role":"assistant","content":"a0","weight":1}]`),
		doc("system", "s", "user", "u1", "assistant", "a1").with("id", `"t"`, "labels", label1),
		doc("system", "s", "user", "u2", "assistant", "a2").with("id", `"t"`, "labels", label2),
	})
	long := parse(t, "x.jsonl", transcript, Options{Turns: 4})
	if got := string(long[2].Extra["labels"]); got != `[{"assistant_turns":[1],"counts":{"x":0}}]` {
		t.Errorf("the label of a2 is numbered %s, and a2 is turn 1 of its document", got)
	}
	if n := len(parse(t, "x.jsonl", transcript, Options{Turns: 100})[2].Messages); n != 7 {
		t.Errorf("the longest document has %d messages, want 7", n)
	}
}

func TestLabelsChooseTurnsAndUnjudgedOnesAreLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"at least one by default": {Options{Label: "x"}, "a1"},
		"none":                    {Options{Label: "x", LabelMax: ptr(0)}, "a2"},
		"any count":               {Options{Label: "x", LabelMin: ptr(0)}, "a1 a2"},
		"counted once":            {Options{Label: "y", LabelMax: ptr(0)}, "a1"},
	} {
		c.o.Turns = 1
		var got []string
		for _, d := range parse(t, "x.jsonl", transcript, c.o) {
			got = append(got, d.Messages[len(d.Messages)-1].Content)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: kept %v, want %s", name, got, c.want)
		}
	}
}

func TestFaultsNameFileLineAndWayOut(t *testing.T) {
	chat := func(m string) string { return `{"messages":[` + m + `]}` }
	for name, c := range map[string]struct {
		data string
		o    Options
		want string
	}{
		"broken":            {"{\"text\":\"a\"}\n{\"text\" \"b\"}", Options{}, `f.jsonl:2: byte 9: a colon after "text" was expected, not '"'`},
		"cut off":           {`{"text":"a"`, Options{}, `f.jsonl:1: byte 12: a comma or } after the value of "text" was expected, but the text ends here`},
		"cut in string":     {`{"text":"a`, Options{}, "byte 9: the string that starts here does not end"},
		"trailing":          {`{"text":"a"} x`, Options{}, "byte 14: the end of the line after the row was expected, not 'x'"},
		"invalid UTF-8":     {"{\"text\":\"a\xff\"}", Options{}, "f.jsonl:1: byte 11: is not valid UTF-8; save the file as UTF-8"},
		"UTF-16":            {"\xff\xfe{\x00", Options{}, "f.jsonl: is UTF-16"},
		"empty":             {"", Options{}, "f.jsonl: is empty"},
		"blank":             {"\n \n", Options{}, "f.jsonl: is empty"},
		"duplicate":         {`{"text":"a","te\u0078t":"b"}`, Options{}, `f.jsonl:1: the key "text" stands twice`},
		"duplicate role":    {chat(`{"role":"user","role":"user","content":""}`), Options{}, `messages[0]: the key "role" stands twice`},
		"NaN":               {`{"text":"a","n":NaN}`, Options{}, "byte 17: NaN is not JSON; write null"},
		"-Infinity":         {`{"text":"a","n":-Infinity}`, Options{}, "Infinity is not JSON"},
		"too long":          {`{"text":"` + strings.Repeat("a", 100) + `"}`, Options{MaxLineBytes: 50}, "f.jsonl:1: is longer than 50 bytes; break it up, or raise max_line_bytes"},
		"no layout":         {`{"question":"a"}`, Options{}, `has neither "messages" nor "completion" nor "text"; its keys are "question"; name them in fields`},
		"no messages":       {`{"text":"a"}`, Options{Format: Chat}, `has no "messages"; its keys are "text"`},
		"empty messages":    {chat(""), Options{}, "messages: is empty"},
		"role":              {chat(`{"role":"bot","content":""}`), Options{}, `messages[0]: role: "bot" is not known; known are system, developer, user, assistant, tool`},
		"no role":           {chat(`{"role":"user","content":""},{"content":""}`), Options{}, `messages[1]: has no "role"`},
		"no content":        {chat(`{"role":"user"}`), Options{}, `messages[0]: has no "content"`},
		"content type":      {chat(`{"role":"user","content":3}`), Options{}, "content: a string was expected, not 3"},
		"image":             {chat(`{"role":"user","content":[{"type":"image_url"}]}`), Options{}, `content[0]: a part of type "image_url" has no "text"`},
		"messages type":     {`{"messages":{}}`, Options{}, "messages: an array of messages was expected, not {}"},
		"half a character":  {`{"text":"\ud83d!"}`, Options{}, "is half a character"},
		"array":             {"[\n{}", Options{}, "f.jsonl:1: starts a JSON array; write one object a line"},
		"not an object":     {`"a"`, Options{}, "a row, { … }, was expected"},
		"control":           {"{\"text\":\"a\tb\"}", Options{}, "byte 11: a raw control character 0x09"},
		"escape":            {`{"text":"\x"}`, Options{}, "byte 10: a backslash must be followed by"},
		"deep":              {`{"text":"a","d":` + strings.Repeat("[", 5000), Options{}, "nested deeper than 1000"},
		"where":             {"{\"text\":\"a\",\"k\":\" Yes\"}\n{\"text\":\"b\",\"k\":\" No\"}", Options{Where: map[string]string{"k": "Yes"}}, `none of its 2 rows gives a document: where asks for k: "Yes", and rows hold " Yes", " No"`},
		"where key":         {`{"text":"a"}`, Options{Where: map[string]string{"k": "Yes"}}, `no row has the key "k"`},
		"label":             {transcript, Options{Turns: 1, Label: "z"}, `label "z" is not counted; counted are x, y`},
		"label range":       {transcript, Options{Turns: 1, Label: "x", LabelMin: ptr(3)}, `no turn has a count of "x" within [3, +Inf]`},
		"labels missing":    {chat(`{"role":"assistant","content":""}`), Options{Turns: 1, Label: "z"}, `no row has "labels"`},
		"turn out of range": {`{"messages":[{"role":"assistant","content":""}],"labels":[{"assistant_turns":[1],"counts":{"z":1}}]}`, Options{Turns: 1, Label: "z"}, "1 is not one of the 1 assistant turns, which count from 0"},
		"labelled twice":    {`{"messages":[{"role":"assistant","content":""}],"labels":[{"assistant_turns":[0,0],"counts":{"z":1}}]}`, Options{Turns: 1, Label: "z"}, "turn 0 is labelled twice"},
		"count":             {`{"messages":[{"role":"assistant","content":""}],"labels":[{"assistant_turns":[0],"counts":{"z":"1"}}]}`, Options{Turns: 1, Label: "z"}, `"z" is "1", which is not a number`},
		"field missing":     {`{"q":"a"}`, Options{Fields: map[string]string{"user": "q", "assistant": "a"}}, `has no "a"; its keys are "q"`},
		"messages beside":   {`{"q":"a","messages":[]}`, Options{Fields: map[string]string{"user": "q"}}, `holds "messages" beside q`},
		"gzip cut off":      {string(gzipped(transcript)[:60]), Options{}, "f.jsonl:1: the gzip data is cut off or damaged"},
		"zstd cut off":      {"\x28\xb5\x2f\xfd\x00", Options{}, "the zstd data is cut off or damaged"},
		"not Parquet":       {"PAR1 this is none PAR1", Options{Format: Parquet}, "is not a Parquet file that can be read"},
		"many keys":         {manyKeys(100), Options{}, `the key "k7" stands twice`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f.jsonl", strings.NewReader(c.data), c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"k` + string(rune('0'+i%10)) + strings.Repeat("x", i/10) + `":1`)
	}
	return `{"text":"a"` + b.String() + `,"k7":2}`
}

func gzipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.Bytes()
}

func TestOptionsReportEveryFault(t *testing.T) {
	err := Options{
		Format: "csv", Fields: map[string]string{"bot": "x", "user": "", "text": "t", "messages": "m"}, Turns: -1, Label: "",
		LabelMin: ptr(2), LabelMax: ptr(1), Max: -1, MaxLineBytes: -1,
	}.Validate()
	for _, want := range []string{`"csv"`, `"bot" is not known`, "fields.user: is empty", "name either", "turns:", "need label", "no count is between 2 and 1", "max:", "max_line_bytes:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported: %v", want, err)
		}
	}
	for _, o := range []Options{{Label: "x"}, {Label: "x", Turns: 1, LabelMin: ptr(math.NaN())}} {
		if o.Validate() == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	for name, o := range map[string]Options{
		"a.txt":   {Turns: 2, Label: "x"},
		"a.csv":   {},
		"a.jsonl": {Format: Chat, Fields: map[string]string{"user": "q"}},
	} {
		if _, err := Parse(name, strings.NewReader("x"), o); err == nil || strings.Contains(err.Error(), ":1:") {
			t.Errorf("%s with %+v: %v", name, o, err)
		}
	}
}

// The experiment file and its schema are made from these tags.
func TestEveryOptionHasItsKeyAndSentence(t *testing.T) {
	for f := range reflect.TypeFor[Options]().Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		sentence := f.Tag.Get("doc")
		if key == "" || key != strings.ToLower(key) || !strings.HasSuffix(sentence, ".") || strings.Contains(sentence, ". ") {
			t.Errorf("%s: yaml %q, doc %q", f.Name, key, sentence)
		}
	}
}

// An unending line is refused after the limit, not after the stream: reading
// more would never return.
func TestALongLineIsNotReadWhole(t *testing.T) {
	for _, f := range []Format{JSONL, Lines, Paragraphs, Whole} {
		endless := &counted{}
		for _, err := range Read(endless, Options{Format: f, MaxLineBytes: 1 << 20}) {
			if err == nil || !strings.Contains(err.Error(), "is longer than 1048576 bytes") {
				t.Errorf("%s: %v", f, err)
			}
		}
		if endless.n > 4<<20 {
			t.Errorf("%s: %d bytes were read of a line over the limit of 1 MiB", f, endless.n)
		}
	}
}

type counted struct{ n int }

func (c *counted) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	c.n += len(p)
	return len(p), nil
}

var errBoom = errors.New("boom")

type failing struct{ r io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err == io.EOF {
		err = errBoom
	}
	return n, err
}

func TestAFailingReaderLosesNothingSilently(t *testing.T) {
	for _, o := range []Options{{}, {Format: Lines}, {Format: Paragraphs}, {Format: Whole}, {Format: Parquet}} {
		_, err := Parse("x.jsonl", failing{strings.NewReader("{\"text\":\"a\"}\n{\"text\":\"b\"}")}, o)
		if !errors.Is(err, errBoom) {
			t.Errorf("%q: %v", o.Format, err)
		}
	}
}

func TestReadStopsWhereTheReaderOfItStops(t *testing.T) {
	n := 0
	for range Read(strings.NewReader(strings.Repeat("{\"text\":\"a\"}\n", 10)), Options{}) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d documents", n)
	}
}
