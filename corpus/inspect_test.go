package corpus

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Samples of a log: one with parts, reasoning and tool calls; one of two epochs
// with a string input; one with two choices; one that failed before an answer.
var inspectSamples = []string{
	`{"id":"a/1","epoch":1,"input":[{"role":"user","content":"q"}],"target":"t","messages":[
	  {"id":"m0","role":"system","content":"be kind"},
	  {"role":"user","content":[{"type":"text","text":"look"},{"type":"image","image":"attachment://img"},{"type":"text","text":"here \ud83d\ude00"}]},
	  {"role":"assistant","content":[{"type":"reasoning","reasoning":"hm"},{"type":"text","text":"I call"}],"tool_calls":[{"id":"c","function":"f","arguments":{"x":1}}],"model":"m/x"},
	  {"role":"tool","content":"result","tool_call_id":"c"},
	  {"role":"assistant","content":"attachment://long"}],
	  "output":{"model":"m/x","choices":[{"message":{"role":"assistant","content":"done"},"stop_reason":"stop"}]},
	  "store":{"big":[1,2,{"a":"]}\\\""}]},"events":[{"event":"model","messages":[{"role":"assistant","content":"not this"}]}],
	  "attachments":{"img":"data:image/png;base64,AAAA","long":"the \"long\" text","unused":"u"}}`,
	`{"id":2,"epoch":1,"input":"why?","messages":[],"output":{"model":"m/y","choices":[{"message":{"role":"assistant","content":"because"}}]},"error":null}`,
	`{"id":2,"epoch":2,"input":"why?","output":{"choices":[{"message":{"role":"assistant","content":"one"}},{"message":{"role":"assistant","content":"two"}}]}}`,
	`{"id":3,"epoch":1,"input":"why?","messages":[{"role":"user","content":"why?"}],"output":{"model":"m","choices":[]},"error":{"message":"boom"}}`,
}

var inspectWant = List{
	doc("system", "be kind", "user", "look\nhere 😀", "assistant", "I call", "tool", "result", "assistant", `the "long" text`),
	doc("user", "why?", "assistant", "because"),
	doc("user", "why?", "assistant", "one"),
	doc("user", "why?", "assistant", "two"),
	doc("user", "why?"),
}

func inspectJSON(samples ...string) string {
	return `{"version":2,"status":"success","eval":{"model":"m","task":"samples"},"plan":{"samples":[1]},"samples":[` + strings.Join(samples, ",\n") + `],"reductions":null}` + "\n"
}

// packedLog is a .eval file: a zip with a file a sample, by the given method.
func packedLog(t testing.TB, method uint16, samples ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zstd.ZipMethodWinZip, zstd.ZipCompressor())
	put := func(name, text string) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
	}
	put("_journal/start.json", `{"version":2}`)
	put("summaries.json", `[{"id":1,"input":"not a sample"}]`)
	for i, s := range samples {
		put(fmt.Sprintf("samples/%d_epoch_1.json", i), s)
	}
	put("header.json", `{"version":2,"eval":{"model":"m"}}`)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func conversations(t *testing.T, docs List) (all []string) {
	t.Helper()
	for _, d := range docs {
		all = append(all, fmt.Sprintf("%q", d.Messages))
	}
	return all
}

func TestInspectLogsAreReadInEveryPacking(t *testing.T) {
	want := conversations(t, inspectWant)
	for name, data := range map[string][]byte{
		"a.json":      []byte("\xef\xbb\xbf" + inspectJSON(inspectSamples...)),
		"b.json.gz":   gzipped(inspectJSON(inspectSamples...)),
		"c.eval":      packedLog(t, zip.Deflate, inspectSamples...),
		"d.eval":      packedLog(t, zstd.ZipMethodWinZip, inspectSamples...),
		"e.eval":      packedLog(t, zip.Store, inspectSamples...),
		"f.json":      packedLog(t, zip.Deflate, inspectSamples...), // told by its bytes, not its name
		"g.json.zstd": zstded(inspectJSON(inspectSamples...)),
	} {
		f := open(t, fileWith(t, name, data), Options{})
		var opened, streamed List
		for i := range f.Len() {
			d, err := f.Document(i)
			if err != nil {
				t.Fatal(err)
			}
			opened = append(opened, d)
		}
		for d, err := range Stream(f.name, Options{}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			streamed = append(streamed, d)
		}
		parsed, err := Parse(name, struct{ io.Reader }{bytes.NewReader(data)}, Options{}) // without random access
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for how, docs := range map[string]List{"opened": opened, "streamed": streamed, "parsed": parsed} {
			if got := conversations(t, docs); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s %s gives\n%s\ninstead of\n%s", name, how, got, want)
			}
		}
		if rows := []int{streamed[2].Origin.Row, streamed[3].Origin.Row, streamed[4].Origin.Row}; fmt.Sprint(rows) != "[2 3 4]" {
			t.Errorf("%s: the last documents are of rows %v", name, rows)
		}
	}
}

func TestInspectSamplesKeepTheirStructure(t *testing.T) {
	docs := parse(t, "x.json", inspectJSON(inspectSamples...), Options{})
	extra := docs[0].Extra
	if string(extra["id"]) != `"a/1"` || string(extra["epoch"]) != "1" || string(extra["model"]) != `"m/x"` || string(extra["target"]) != `"t"` {
		t.Errorf("keys of the sample are lost: %s", extra)
	}
	for _, kept := range []string{`"tool_calls":[{"id":"c"`, `"tool_call_id":"c"`, `"content_parts":[{"type":"reasoning","reasoning":"hm"}`, `"id":"m0"`} {
		if !strings.Contains(string(extra["messages"]), kept) {
			t.Errorf("%s is not in %s", kept, extra["messages"])
		}
	}
	if _, has := extra["events"]; has || strings.Contains(fmt.Sprint(docs[0]), "not this") {
		t.Error("events are taken for messages")
	}
	if string(docs[3].Extra["choice"]) != "1" || docs[2].Extra["choice"] != nil {
		t.Errorf("choices are numbered %s and %s", docs[2].Extra["choice"], docs[3].Extra["choice"])
	}
	if again := parse(t, "y.jsonl", string(write(t, Chat, docs)), Options{}); fmt.Sprint(conversations(t, again)) != fmt.Sprint(conversations(t, docs)) {
		t.Error("written as chat, the log reads otherwise")
	}
}

func TestFinalKeepsTheLastAssistantTurn(t *testing.T) {
	rows := `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"},{"role":"user","content":"e"}]}` + "\n" +
		`{"messages":[{"role":"user","content":"never answered"}]}` + "\n"
	sameDocs(t, parse(t, "x.jsonl", rows, Options{Turns: 9, Final: true}), List{doc("user", "a", "assistant", "b", "user", "c", "assistant", "d")})
	var of []int
	for d, err := range Stream(fileWith(t, "x.jsonl", []byte(rows+rows)), Options{Turns: 9}) {
		if err != nil {
			t.Fatal(err)
		}
		of = append(of, d.Origin.Row)
	}
	if fmt.Sprint(of) != "[0 0 1 1]" {
		t.Errorf("the turns are of rows %v", of)
	}
}

func TestFaultsOfInspectLogsNameTheSample(t *testing.T) {
	good := inspectSamples[1]
	sample := func(s string) string { return inspectJSON(good, s) }
	cut := packedLog(t, zip.Deflate, inspectSamples...)
	flipped := bytes.Clone(packedLog(t, zip.Store, good))
	flipped[bytes.Index(flipped, []byte("because"))] = 'B'
	encrypted := bytes.ReplaceAll(packedLog(t, zip.Deflate, good), []byte{0x08, 0x00, 0x00, 0x00}, []byte{0x63, 0x00, 0x00, 0x00})
	for name, c := range map[string]struct{ data, want string }{
		"rows.json":     {`[{"messages":[]}]`, "rows of JSON belong in a .jsonl file"},
		"header.json":   {`{"version":2,"samples":null}`, `has no "samples"`},
		"cut.json":      {inspectJSON(inspectSamples...)[:700], `cut.json:1: sample "a/1" epoch 1: the JSON ends too early`},
		"after.json":    {inspectJSON(good) + "x", "the end was expected, not 'x'"},
		"role.json":     {sample(`{"id":"z","epoch":3,"messages":[{"role":"bot","content":"x"}]}`), `role.json:2: sample "z" epoch 3: messages[0]: role: "bot" is not known`},
		"part.json":     {sample(`{"id":"z","messages":[{"role":"user","content":[{"type":"hologram"}]}]}`), `messages[0]: content[0]: a part of type "hologram" is not known`},
		"gone.json":     {sample(`{"id":"z","messages":[{"role":"user","content":"attachment://x"}],"attachments":{}}`), `refers to the attachment "x"`},
		"half.json":     {sample(`{"id":"z","messages":[{"role":"user","content":[{"type":"text","text":"\ud800"}]}]}`), "half a character"},
		"utf8.json":     {sample("{\"id\":\"z\",\"input\":\"\xff\"}"), `sample "z": is not valid UTF-8`},
		"twice.json":    {sample(`{"id":"z","input":"a","input":"b"}`), `the key "input" stands twice`},
		"nothing.json":  {sample(`{"id":"z"}`), "has neither messages nor input nor output"},
		"nan.json":      {sample(`{"id":"z","input":"q","metadata":{"x":NaN}}`), "NaN is not JSON"},
		"number.json":   {sample(`7`), "{ was expected, not '7'"},
		"tail.eval":     {string(cut[:len(cut)-30]), "the zip directory at its end is missing or damaged"},
		"half.eval":     {string(cut[:len(cut)/2]), "the log is cut off"},
		"flip.eval":     {string(flipped), "is cut off or damaged (zip: checksum error)"},
		"method.eval":   {string(encrypted), "is compressed by method 99"},
		"empty.eval":    {string(packedLog(t, zip.Deflate)), "holds no samples/….json"},
		"inside.eval":   {string(packedLog(t, zip.Deflate, `{"id":1,"input":"q"`)), "the JSON ends too early"},
		"trailing.eval": {string(packedLog(t, zip.Deflate, good+good)), "the end was expected"},
	} {
		for how, read := range map[string]func() error{
			"open": func() error { _, err := Open(fileWith(t, name, []byte(c.data)), Options{}); return err },
			"stream": func() (err error) {
				for _, err = range Stream(fileWith(t, name, []byte(c.data)), Options{}) {
				}
				return err
			},
		} {
			if err := read(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %s: %v does not say %q", how, name, err, c.want)
			}
		}
	}
}

// zeros are samples of so many bytes that shrink to almost nothing.
func zeros(n int) string { return `{"id":1,"input":"` + strings.Repeat("0", n) + `"}` }

func TestZipBombsAreRefusedInLittleMemory(t *testing.T) {
	long := packedLog(t, zip.Deflate, zeros(80<<20))
	if _, err := Open(fileWith(t, "long.eval", long), Options{}); err == nil || !strings.Contains(err.Error(), "is longer than 67108864 bytes") {
		t.Errorf("a sample of 80 MiB in a file of %d bytes: %v", len(long), err)
	}
	// Events are passed over, whatever their size, but not without end.
	var before, after runtime.MemStats
	events := `{"id":1,"input":"q","events":["` + strings.Repeat("0", 40<<20) + `"]}`
	packed := packedLog(t, zip.Deflate, events)
	path := fileWith(t, "events.eval", packed)
	runtime.GC()
	runtime.ReadMemStats(&before)
	f := open(t, path, Options{})
	runtime.ReadMemStats(&after)
	if f.Len() != 1 || after.TotalAlloc-before.TotalAlloc > 8<<20 {
		t.Errorf("%d documents, %d bytes taken to pass over 40 MiB of events", f.Len(), after.TotalAlloc-before.TotalAlloc)
	}
	budget := int64(1 << 20)
	w := &inspectWalk{yield: func(record, error) bool { return true }, limit: 1 << 20}
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, e := range r.File {
		if strings.HasPrefix(e.Name, "samples/") {
			err = w.entry(e, &budget)
		}
	}
	if err == nil || !strings.Contains(err.Error(), "unpacks to more than 200 times its size") {
		t.Errorf("beyond the budget of a log: %v", err)
	}
}

// Whatever happens to a log, it is read or answered: 3000 damaged logs, the same
// ones every time.
func TestDamagedInspectLogsAreReadOrAnswered(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	whole := [][]byte{[]byte(inspectJSON(inspectSamples...)), packedLog(t, zip.Deflate, inspectSamples...), packedLog(t, zstd.ZipMethodWinZip, inspectSamples[1])}
	read, answered := 0, 0
	for i := range 3000 {
		data := bytes.Clone(whole[i%len(whole)])
		for range 1 + r.IntN(3) {
			at := r.IntN(len(data))
			switch r.IntN(3) {
			case 0:
				data[at] = byte(r.IntN(256))
			case 1:
				data = data[:at+1]
			case 2:
				data = append(data[:at:at+1], data[min(len(data)-1, at+r.IntN(20)):]...)
			}
		}
		if roundTrips(t, data) {
			read++
		} else {
			answered++
		}
	}
	if read < 30 || answered < 300 {
		t.Errorf("%d logs were read and %d answered; the damage is of no use", read, answered)
	}
}

// roundTrips reads a log, and writes what it says as chat and reads that. It is
// false where the log is answered with a fault.
func roundTrips(t *testing.T, data []byte) bool {
	t.Helper()
	var docs List
	for d, err := range Read(bytes.NewReader(data), Options{Format: Inspect, MaxLineBytes: 1 << 16}) {
		if err != nil {
			if text := err.Error(); text == "" || strings.Contains(text, "%!") {
				t.Errorf("the fault reads %q", text)
			}
			return false
		}
		docs = append(docs, d)
	}
	again := parse(t, "x.jsonl", string(write(t, Chat, docs)), Options{Format: Chat})
	if fmt.Sprint(conversations(t, again)) != fmt.Sprint(conversations(t, docs)) {
		t.Errorf("%v written as chat reads %v", docs, again)
	}
	return true
}

// The reader of a stream agrees with the parser of a whole text on what is there.
func FuzzInspectLog(f *testing.F) {
	f.Add([]byte(inspectJSON(inspectSamples...)))
	f.Add(packedLog(f, zip.Deflate, inspectSamples...))
	f.Add(packedLog(f, zstd.ZipMethodWinZip, inspectSamples[1]))
	for _, s := range inspectSamples {
		f.Add([]byte(inspectJSON(s)))
	}
	f.Add([]byte(`{"samples":[{"id":"\"","input":[{"role":"user","content":[{"type":"text","text":"a"}]}],"attachments":{"x":"y"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) { roundTrips(t, data) })
}
