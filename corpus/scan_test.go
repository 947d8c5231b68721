package corpus

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// The scanner accepts what encoding/json accepts, save deeper nesting, and
// decodes strings to the same text.
func FuzzScannerAgreesWithEncodingJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e+3,true,null,"\u00e9\ud83d\ude00\\\n"]}`, `"\ud800x"`, `"\ud800\u0041"`, `-`, `01`, `1.`, `1e`, `[1,]`, `{"a":1,}`, `"a`, "\"\x01\"", `nul`, ` {} `, `{"a" 1}`, `"\x"`, `"\u12g4"`, `-0`, `[[]]`, "\xff", `1 2`, `"é"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &scanner{data: data}
		raw, err := s.value(0)
		ok := err == nil && s.peek() == 0 && s.at == len(data)
		if depth := bytes.Count(data, []byte("[")) + bytes.Count(data, []byte("{")); ok != json.Valid(data) && depth < maxDepth {
			t.Fatalf("%q: valid is %v here: %v", data, ok, err)
		}
		if !ok || raw[0] != '"' || !utf8.Valid(raw) {
			return
		}
		var want string
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		got, whole := unquote(raw)
		if got != want {
			t.Fatalf("%q decodes to %q, want %q", raw, got, want)
		}
		if back, _ := unquote(appendString(nil, got)); whole && back != got {
			t.Fatalf("%q comes back as %q", got, back)
		}
		if encoded := appendString(nil, got); !json.Valid(encoded) {
			t.Fatalf("%q is written as %s", got, encoded)
		}
	})
}
