package openai

import (
	"bytes"
	"context"
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

	"github.com/heirloom-sim/heirloom/lineage"
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

// strip is a ticket in memory. Before save n it may end the process.
type strip struct {
	saved []string
	die   int // the save that does not happen; -1 for none
}

var errDied = errors.New("the process died")

func (s *strip) Load() (string, error) {
	if len(s.saved) == 0 {
		return "", nil
	}
	return s.saved[len(s.saved)-1], nil
}

func (s *strip) Save(handle string) error {
	if len(s.saved) == s.die {
		s.die = -1
		return errDied
	}
	s.saved = append(s.saved, handle)
	return nil
}

// batchModel is a model that asks by batches, with a ticket.
func (b *bubble) batchModel(d *depot, money *purse, ticket *strip) *model {
	b.rest = d
	s := DefaultSampling()
	s.Batch = true
	w := b.world(money)
	w.Ticket = func(string) lineage.Ticket { return ticket }
	p := Profile{Name: "x", MaxTokens: "max_tokens", Seed: true, Batch: true, Models: []Known{{Name: "m", Base: &Price{Input: 100, Output: 1000}}}}
	return newModel(b.client, &Artifact{Model: "m"}, s, p, w)
}

func noChat(t *testing.T) func(http.ResponseWriter, int, asked) {
	return func(http.ResponseWriter, int, asked) { t.Error("a request is sent directly") }
}

func rich() *purse { return &purse{cap: 1000 * lineage.Dollar} }

func checkAll(t *testing.T, reqs []lineage.Request, got map[int]lineage.Completion) {
	t.Helper()
	for i, r := range reqs {
		if want := fmt.Sprintf("re: question %d (seed %d, 0)", i, seedOf(r.Seed)); got[i].Text != want || got[i].Finish != "stop" {
			t.Fatalf("request %d: %+v, want %q", i, got[i], want)
		}
	}
	if len(got) != len(reqs) {
		t.Fatalf("%d completions of %d", len(got), len(reqs))
	}
}

func TestBatchAnswersEveryRequestAtHalfThePrice(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, money := &depot{t: t, takes: 3 * time.Hour}, rich()
		reqs := prompts(300)
		reqs = append(reqs, reqs[7]) // equal ones have a line each
		got, err := collect(t, t.Context(), b.batchModel(d, money, &strip{die: -1}), reqs)
		if err != nil {
			t.Fatal(err)
		}
		if got[300] != got[7] {
			t.Errorf("equal requests are answered %+v and %+v", got[7], got[300])
		}
		delete(got, 300)
		checkAll(t, reqs[:300], got)
		if d.uploads() != 1 || len(d.batches) != 1 || money.held != 0 || money.spent != 301*2_600_000 {
			t.Errorf("%d uploads, %d batches; spent %v", d.uploads(), len(d.batches), money.spent)
		}
	})
}

func TestRow20OnlyWhatHasNoAnswerIsAskedAgain(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, money := &depot{t: t, takes: time.Hour}, rich()
		missing := map[string]bool{}
		d.end = func(b *worked) string {
			if b.n == 0 {
				return "expired"
			}
			return "completed"
		}
		d.line = func(b *worked, i int, a asked) string {
			if b.n > 0 {
				return answered("ID", a)
			}
			switch i % 10 {
			case 0: // expired
				missing[a.prompt()] = true
				return `{"id":"r","custom_id":"ID","response":null,"error":{"code":"batch_expired","message":"This request could not be executed before the completion window expired."}}`
			case 1: // no line at all
				missing[a.prompt()] = true
				return ""
			case 2:
				missing[a.prompt()] = true
				return `{"id":"r","custom_id":"ID","response":{"status_code":500,"body":{"error":{"message":"oops"}}},"error":null}`
			case 3: // broken off
				missing[a.prompt()] = true
				return `{"id":"r","custom_id":"ID","response":{"status_code":200,"body":{"choices":[{"message":{"content":"half"},"finish_reason":null}]}}}`
			case 4: // twice, and a line of nobody's
				return answered("ID", a) + "\n" + answered("ID", a) + "\n" + answered("nobody", a) + "\n" + `{"custom_id":"ID"," "status_code":200`
			case 5:
				if i == 5 {
					return `{"id":"r","custom_id":"ID","response":{"status_code":400,"body":{"error":{"message":"filtered","code":"content_filter"}}},"error":null}`
				}
				if i == 15 {
					return `{"id":"r","custom_id":"ID","response":{"status_code":400,"body":{"error":{"message":"no such thing"}}},"error":null}`
				}
			}
			return answered("ID", a)
		}
		reqs := prompts(200)
		got, err := collect(t, t.Context(), b.batchModel(d, money, &strip{die: -1}), reqs)
		if err != nil || len(got) != 200 {
			t.Fatalf("%d completions: %v", len(got), err)
		}
		finishes := map[string]int{}
		for i, c := range got {
			finishes[c.Finish]++
			if want := fmt.Sprintf("re: question %d (seed %d, 0)", i, seedOf(reqs[i].Seed)); c.Finish == "stop" && c.Text != want {
				t.Errorf("request %d: %+v, want %q", i, c, want)
			}
		}
		if finishes["stop"] != 198 || finishes["content_filter"] != 1 || finishes["error"] != 1 {
			t.Errorf("%v", finishes)
		}
		if len(d.batches) != 2 || len(d.batches[1].ids) != len(missing) || len(missing) != 80 {
			t.Fatalf("%d batches, the second with %d requests, where %d had no answer", len(d.batches), len(d.batches[1].ids), len(missing))
		}
		if money.held != 0 {
			t.Errorf("%v is held at the end", money.held)
		}
	})
}

func TestBatchThatIsNotTakenIsAskedDirectly(t *testing.T) {
	for name, test := range map[string]struct {
		refuse func(w http.ResponseWriter, r *http.Request) bool
		end    string
	}{
		"no files": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Error(w, "404 page not found", 404)
			return true
		}, ""},
		"no batches": {func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/batches") {
				http.Error(w, `{"error":{"message":"not here"}}`, http.StatusMethodNotAllowed)
			}
			return strings.HasSuffix(r.URL.Path, "/batches")
		}, ""},
		"not this model": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/batches") {
				http.Error(w, `{"error":{"message":"The model m is not supported"}}`, 400)
				return true
			}
			return false
		}, ""},
		"failed validation": {nil, "failed"},
	} {
		bubbled(t, name, func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, a asked) { reply(w, a, 1) })
			d, money := &depot{t: t, refuse: test.refuse}, rich()
			if test.end != "" {
				d.end = func(*worked) string { return test.end }
			}
			reqs := prompts(50)
			got, err := collect(t, t.Context(), b.batchModel(d, money, &strip{die: -1}), reqs)
			if err != nil {
				t.Fatal(err)
			}
			checkAll(t, reqs, got)
			if len(b.requests()) != 50 || money.held != 0 || money.spent != 50*5_200_000 {
				t.Errorf("%d direct requests; %v spent, %v held", len(b.requests()), money.spent, money.held)
			}
			if all := strings.Join(b.logged, "\n"); !strings.Contains(all, "50 requests are sent one by one") {
				t.Errorf("logged %q", all)
			}
		})
	}
}

// TestRow19NoBatchIsEverMadeTwice ends the process at every step of a batch, and
// loses the answer to every request of it: another process goes on with what is
// there.
func TestRow19NoBatchIsEverMadeTwice(t *testing.T) {
	for _, lost := range []string{"", "upload", "create"} {
		for die := range 7 {
			bubbled(t, fmt.Sprintf("%s %d", lost, die), func(t *testing.T) {
				b := inBubble(t, Server{}, noChat(t))
				d, money, ticket := &depot{t: t, takes: time.Hour}, rich(), &strip{die: die}
				d.after = func(what string, n int) bool { return what == lost && n == 0 }
				reqs := prompts(40)
				all := map[int]lineage.Completion{}
				died := 0
				for {
					got, err := collect(t, t.Context(), b.batchModel(d, money, ticket), left(reqs, all))
					adopt(reqs, all, got)
					if err == nil {
						break
					}
					if !errors.Is(err, errDied) {
						t.Fatal(err)
					}
					died++
					b.open() // another process, whose purse counts what the first one held
				}
				checkAll(t, reqs, all)
				if d.uploads() != 1 || len(d.batches) != 1 {
					t.Errorf("%d uploads and %d batches", d.uploads(), len(d.batches))
				}
				if died != 1 && die < 6 {
					t.Errorf("died %d times", died)
				}
				// After the last answer there is nothing to ask for, and the last step
				// stays to be written.
				if want := map[bool]int{true: 5, false: 6}[die == 5]; len(ticket.saved) != want {
					t.Errorf("%d steps are written down", len(ticket.saved))
				}
			})
		}
	}
}

// left are the requests without a completion, as a run asks for them that goes on.
func left(reqs []lineage.Request, have map[int]lineage.Completion) (rest []lineage.Request) {
	for i, r := range reqs {
		if _, ok := have[i]; !ok {
			rest = append(rest, r)
		}
	}
	return rest
}

// adopt enters completions of what left gave.
func adopt(reqs []lineage.Request, have, got map[int]lineage.Completion) {
	var open []int
	for i := range reqs {
		if _, ok := have[i]; !ok {
			open = append(open, i)
		}
	}
	for k, c := range got {
		have[open[k]] = c
	}
}

// TestBatchIsReadOnBySomebodyWhoAsksForLess stops while completions are recorded:
// the next process asks for the others alone, and has them of the same batch.
func TestBatchIsReadOnBySomebodyWhoAsksForLess(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, ticket := &depot{t: t, takes: time.Hour}, &strip{die: -1}
		reqs := prompts(100)
		all := map[int]lineage.Completion{}
		full := errors.New("disk full")
		err := b.batchModel(d, rich(), ticket).Sample(t.Context(), reqs, func(i int, c lineage.Completion) error {
			if len(all) == 30 {
				return full
			}
			all[i] = c
			return nil
		})
		if !errors.Is(err, full) || len(all) != 30 {
			t.Fatalf("%d completions: %v", len(all), err)
		}
		b.open()
		got, err := collect(t, t.Context(), b.batchModel(d, rich(), ticket), left(reqs, all))
		if err != nil {
			t.Fatal(err)
		}
		adopt(reqs, all, got)
		checkAll(t, reqs, all)
		if len(d.batches) != 1 || d.uploads() != 1 {
			t.Errorf("%d uploads and %d batches", d.uploads(), len(d.batches))
		}
	})
}

func TestStopLeavesTheBatchOnItsWay(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, ticket := &depot{t: t, takes: 5 * time.Hour}, &strip{die: -1}
		reqs := prompts(10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		got, err := collect(t, ctx, b.batchModel(d, rich(), ticket), reqs)
		if !errors.Is(err, context.DeadlineExceeded) || len(got) != 0 || len(d.batches) != 1 || d.batches[0].over != "" {
			t.Fatalf("%d completions: %v", len(got), err)
		}
		if !strings.Contains(strings.Join(b.logged, "\n"), "batch batch_0 goes on at") {
			t.Errorf("logged %q", b.logged)
		}
		b.open()
		if got, err = collect(t, t.Context(), b.batchModel(d, rich(), ticket), reqs); err != nil || len(d.batches) != 1 {
			t.Fatalf("%d batches: %v", len(d.batches), err)
		}
		checkAll(t, reqs, got)
	})
}

func TestBatchThatWouldPassTheCapIsNotSent(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d := &depot{t: t}
		got, err := collect(t, t.Context(), b.batchModel(d, &purse{cap: lineage.Dollar / 10}, &strip{die: -1}), prompts(100))
		if !errors.Is(err, lineage.ErrBudget) || len(got) != 0 || len(d.batches) != 0 {
			t.Errorf("%d completions, %d batches: %v", len(got), len(d.batches), err)
		}
	})
}

func TestBatchThatSomebodyCancelledIsNotBegunAgainByItself(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, ticket := &depot{t: t, end: func(b *worked) string {
			if b.n == 0 {
				return "cancelled"
			}
			return "completed"
		}}, &strip{die: -1}
		d.line = func(b *worked, i int, a asked) string {
			if b.n == 0 && i%2 == 0 {
				return ""
			}
			return answered("ID", a)
		}
		reqs := prompts(20)
		all, err := collect(t, t.Context(), b.batchModel(d, rich(), ticket), reqs)
		if err == nil || !strings.Contains(err.Error(), "was cancelled") || len(all) != 10 || len(d.batches) != 1 {
			t.Fatalf("%d completions, %d batches: %v", len(all), len(d.batches), err)
		}
		got, err := collect(t, t.Context(), b.batchModel(d, rich(), ticket), left(reqs, all))
		if err != nil || len(d.batches) != 2 {
			t.Fatalf("%d batches: %v", len(d.batches), err)
		}
		adopt(reqs, all, got)
		checkAll(t, reqs, all)
	})
}

func TestManyRequestsTakeSeveralBatches(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, noChat(t))
		d, money := &depot{t: t, takes: time.Hour}, &purse{cap: 100_000 * lineage.Dollar}
		reqs := prompts(batchLines + 1)
		got, err := collect(t, t.Context(), b.batchModel(d, money, &strip{die: -1}), reqs)
		if err != nil {
			t.Fatal(err)
		}
		checkAll(t, reqs, got)
		if d.uploads() != 2 || len(d.batches) != 2 || len(d.batches[0].ids) != batchLines || money.held != 0 {
			t.Errorf("%d uploads and %d batches; %v is held", d.uploads(), len(d.batches), money.held)
		}
	})
}
