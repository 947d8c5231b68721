package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// depot is a server's side of files and batches: what it was asked and made.
type depot struct {
	t       *testing.T
	mu      sync.Mutex
	files   []*stored
	batches []*worked
	after   func(what string, n int) bool                     // tells whether the answer to upload or create n is lost; nil for never
	refuse  func(w http.ResponseWriter, r *http.Request) bool // may answer in the depot's stead
	end     func(b *worked) string                            // the state that a batch ends in; "completed" where it is nil
	line    func(b *worked, i int, a asked) string            // the result line of request i; "" for none
	takes   time.Duration                                     // that a batch takes
}

type stored struct {
	id, name, purpose string
	data              []byte
}

type worked struct {
	id, file, key string
	n             int
	made          time.Time
	ids           []string
	over          string
	output        string
	errors        string
}

func (d *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil && d.refuse(w, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	lost := false
	switch parts := strings.Split(path, "/"); {
	case r.Method == "POST" && path == "/files":
		file, head, err := r.FormFile("file")
		if err != nil {
			d.t.Error(err)
			return
		}
		data, _ := io.ReadAll(file)
		f := &stored{fmt.Sprintf("file-%d", len(d.files)), head.Filename, r.FormValue("purpose"), data}
		d.files = append(d.files, f)
		lost = d.after != nil && d.after("upload", len(d.files)-1)
		defer d.say(w, &lost, f.shown())
	case r.Method == "GET" && path == "/files":
		var all []any
		for _, f := range d.files {
			if p := r.URL.Query().Get("purpose"); p == "" || p == f.purpose {
				all = append(all, f.shown())
			}
		}
		d.say(w, nil, map[string]any{"object": "list", "data": all, "has_more": false})
	case r.Method == "GET" && len(parts) == 4 && parts[3] == "content":
		for _, f := range d.files {
			if f.id == parts[2] {
				w.Write(f.data)
				return
			}
		}
		http.Error(w, `{"error":{"message":"no such file"}}`, 404)
	case r.Method == "POST" && path == "/batches":
		var q batchRequest
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Endpoint != batchEndpoint || q.Window != "24h" {
			d.t.Errorf("%+v: %v", q, err)
		}
		b := &worked{id: fmt.Sprintf("batch_%d", len(d.batches)), file: q.Input, key: q.Metadata[keyName], n: len(d.batches), made: time.Now()}
		d.batches = append(d.batches, b)
		lost = d.after != nil && d.after("create", len(d.batches)-1)
		d.say(w, &lost, d.shown(b))
	case r.Method == "GET" && path == "/batches":
		var all []any
		for _, b := range slices.Backward(d.batches) {
			all = append(all, d.shown(b))
		}
		d.say(w, nil, map[string]any{"object": "list", "data": all, "has_more": false})
	case r.Method == "GET" && len(parts) == 3 && parts[1] == "batches":
		for _, b := range d.batches {
			if b.id == parts[2] {
				if b.over == "" && time.Since(b.made) >= d.takes {
					d.work(b)
				}
				d.say(w, nil, d.shown(b))
				return
			}
		}
		http.Error(w, `{"error":{"message":"no such batch"}}`, 404)
	default:
		d.t.Errorf("%s %s is asked for", r.Method, r.URL)
	}
}

// say answers, or hangs up where the answer is lost.
func (d *depot) say(w http.ResponseWriter, lost *bool, v any) {
	if lost != nil && *lost {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (f *stored) shown() any {
	return map[string]any{"id": f.id, "object": "file", "bytes": len(f.data), "filename": f.name, "purpose": f.purpose, "created_at": 946684800, "status": "processed"}
}

func (d *depot) shown(b *worked) any {
	v := map[string]any{
		"id": b.id, "object": "batch", "status": "in_progress", "input_file_id": b.file, "output_file_id": nil, "error_file_id": nil,
		"created_at": b.made.Unix(), "metadata": map[string]string{keyName: b.key}, "errors": nil,
	}
	if b.over != "" {
		v["status"] = b.over
		if b.over == "failed" {
			v["errors"] = map[string]any{"object": "list", "data": []any{map[string]any{"code": "model_not_found", "message": "The model is not supported by batches"}}}
		}
		if b.output != "" {
			v["output_file_id"] = b.output
		}
		if b.errors != "" {
			v["error_file_id"] = b.errors
		}
	}
	return v
}

// work ends a batch: results in no order, those that are no answers in a file of
// their own.
func (d *depot) work(b *worked) {
	b.over = "completed"
	if d.end != nil {
		b.over = d.end(b)
	}
	var in []byte
	for _, f := range d.files {
		if f.id == b.file {
			in = f.data
		}
	}
	var out, errs []string
	for i, text := range bytes.Split(bytes.TrimSpace(in), []byte("\n")) {
		var l struct {
			ID          string `json:"custom_id"`
			Method, URL string
			Body        json.RawMessage
		}
		var a asked
		if err := errors.Join(json.Unmarshal(text, &l), json.Unmarshal(l.Body, &a.body)); err != nil || l.Method != "POST" || l.URL != batchEndpoint {
			d.t.Errorf("line %d is %s: %v", i, text, err)
		}
		b.ids = append(b.ids, l.ID)
		if b.over == "failed" {
			continue
		}
		result := answered(l.ID, a)
		if d.line != nil {
			result = d.line(b, i, a)
			result = strings.ReplaceAll(result, "ID", l.ID)
		}
		switch {
		case result == "":
		case strings.Contains(result, `"status_code":200`):
			out = append(out, strings.Split(result, "\n")...)
		default:
			errs = append(errs, result)
		}
	}
	shuffle := rand.New(rand.NewPCG(uint64(b.n), 0))
	keep := func(lines []string) string {
		if len(lines) == 0 {
			return ""
		}
		shuffle.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		f := &stored{fmt.Sprintf("file-%d", len(d.files)), "results", "batch_output", []byte(strings.Join(lines, "\n") + "\n")}
		d.files = append(d.files, f)
		return f.id
	}
	b.output, b.errors = keep(out), keep(errs)
}

// answered is the result line of a request that is answered.
func answered(id string, a asked) string {
	return fmt.Sprintf(`{"id":"r","custom_id":%q,"response":{"status_code":200,"request_id":"q","body":{"choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":%s}},"error":null}`,
		id, told(a, 0), usage(a, 1))
}

// uploads counts the files of requests.
func (d *depot) uploads() (n int) {
	for _, f := range d.files {
		if f.purpose == purposeBatch {
			n++
		}
	}
	return n
}
