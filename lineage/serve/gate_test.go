package serve_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// gate holds every answer of a server against the official description of the
// protocol. It stands before the server in every test of this package whose
// answers are not spoiled on purpose.
type gate struct {
	next http.Handler
	t    testing.TB
	doc  *openapi3.T
}

// checked counts what gates looked at.
var checked struct{ answers, events, errors atomic.Int64 }

var description = sync.OnceValues(func() (*openapi3.T, error) {
	data, err := os.ReadFile("../../../shared/data/openai-openapi/openapi.pruned.json")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err == nil { // the description lags behind the documentation, which has pauses
		status := doc.Components.Schemas["FineTuningJob"].Value.Properties["status"].Value
		status.Enum = append(status.Enum, "paused")
	}
	return doc, err
})

// gated is the server behind a gate; where the description is not there, it is
// the server.
func gated(t testing.TB, next http.Handler) http.Handler {
	doc, err := description()
	if errors.Is(err, fs.ErrNotExist) {
		t.Log("answers are not held against the official description: ../shared/data/openai-openapi is not there")
		return next
	}
	if err != nil {
		t.Fatal(err)
	}
	return &gate{next, t, doc}
}

// taken is an answer on its way to the client.
type taken struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *taken) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *taken) Write(b []byte) (int, error) {
	w.body.Write(b)
	return w.ResponseWriter.Write(b)
}

func (w *taken) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kept := &taken{ResponseWriter: w, status: 200}
	g.next.ServeHTTP(kept, r)
	for _, name := range []string{"Content-Type", "X-Request-Id", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Tokens"} {
		if w.Header().Get(name) == "" && r.URL.Path != "/health" {
			g.t.Errorf("%s %s: the answer lacks %s", r.Method, r.URL, name)
		}
	}
	if err := g.check(r, kept); err != nil {
		g.t.Errorf("%s %s: status %d: %v\n%.2000s", r.Method, r.URL, kept.status, err, kept.body.String())
	}
}

func (g *gate) check(r *http.Request, w *taken) error {
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	if strings.HasSuffix(path, "_lora_adapter") {
		return nil
	}
	if w.status != 200 {
		checked.errors.Add(1)
		return g.fits(g.doc.Components.Schemas["ErrorResponse"], w.body.Bytes())
	}
	if strings.HasSuffix(path, "/content") { // described as JSON, though it is the file
		return nil
	}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
		return g.events(w.body.String())
	}
	op := g.operation(r.Method, path)
	if op == nil {
		return errors.New("the description has no such operation")
	}
	checked.answers.Add(1)
	return g.fits(op.Responses.Status(200).Value.Content["application/json"].Schema, w.body.Bytes())
}

func (g *gate) events(body string) error {
	lines := strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n")
	for i, line := range lines {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			return errors.New("an event is no data line: " + line)
		}
		if i == len(lines)-1 {
			if data != "[DONE]" {
				return errors.New("the stream does not end with [DONE]")
			}
			continue
		}
		checked.events.Add(1)
		if err := g.fits(g.doc.Components.Schemas["CreateChatCompletionStreamResponse"], []byte(data)); err != nil {
			return err
		}
	}
	return nil
}

func (g *gate) operation(method, path string) *openapi3.Operation {
	asked := strings.Split(path, "/")
	for pattern, item := range g.doc.Paths.Map() {
		parts := strings.Split(pattern, "/")
		same := len(parts) == len(asked)
		for i := range parts {
			same = same && (parts[i] == asked[i] || strings.HasPrefix(parts[i], "{") && asked[i] != "")
		}
		if op := item.GetOperation(method); same && op != nil {
			return op
		}
	}
	return nil
}

func (g *gate) fits(schema *openapi3.SchemaRef, body []byte) error {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	unpack(v)
	return schema.Value.VisitJSON(v, openapi3.MultiErrors(), openapi3.VisitAsResponse())
}

// unpack puts floats in the place of base64 embeddings, which are not described.
func unpack(v any) {
	object, _ := v.(map[string]any)
	data, _ := object["data"].([]any)
	for _, d := range data {
		one, _ := d.(map[string]any)
		text, ok := one["embedding"].(string)
		if !ok {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		var floats []any
		for ; len(raw) >= 4; raw = raw[4:] {
			floats = append(floats, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		}
		one["embedding"] = floats
	}
}
