package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// How long a batch takes at least, by the server's clock, and how large it is at
// most.
const (
	validatingBatch = 5 * time.Second
	lineTime        = 20 * time.Millisecond
	mostLines       = 50_000
	linesTogether   = 8
)

// batchLine is one request of a batch's input.
type batchLine struct {
	ID     string          `json:"custom_id"`
	Method string          `json:"method"`
	URL    string          `json:"url"`
	Body   json.RawMessage `json:"body"`
}

// beginBatch takes a batch up. The server is locked.
func (s *Server) beginBatch(b *batch) {
	var ctx context.Context
	ctx, b.end = context.WithCancel(s.ctx)
	if b.status == "cancelling" {
		b.end()
	}
	s.work.Go(func() {
		defer b.end()
		if err := s.runBatch(ctx, b); err != nil && s.ctx.Err() == nil {
			s.options.Log("%s: %v", b.ID, err)
		}
	})
}

// runBatch takes a batch to its end. Where ctx ends and the server does not, the
// batch was cancelled. What a cut-off run answered is answered again, the same.
func (s *Server) runBatch(ctx context.Context, b *batch) error {
	data, err := s.journal.fetch(b.Blob)
	if err != nil {
		return err
	}
	lines, faults := readBatch(data, b.Endpoint)
	if s.clock.sleep(ctx, validatingBatch); s.ctx.Err() != nil {
		return nil
	}
	if len(faults) > 0 && ctx.Err() == nil {
		return s.commit(func(int) entry { return entry{Advance: &advance{Batch: b.ID, Status: "failed", Faults: faults}} })
	}
	total := lineCounts{Total: len(lines)}
	if ctx.Err() == nil {
		if err := s.commit(func(int) entry { return entry{Advance: &advance{Batch: b.ID, Status: "in_progress", Counts: total}} }); err != nil {
			return err
		}
	}
	do, end := len(lines), "completed"
	if f := b.Fate; f != nil && f.Do == doExpire {
		do, end = len(lines)/2, "expired"
	} else if f != nil && f.Do == doStall {
		<-ctx.Done()
	}
	answers := s.answerLines(ctx, b, lines[:do])
	if end == "completed" {
		s.clock.sleep(ctx, time.Duration(len(lines))*lineTime)
	}
	if s.ctx.Err() != nil {
		return nil
	}
	if ctx.Err() != nil {
		end = "cancelled"
	}
	return s.settle(b, lines, answers, end)
}

// readBatch reads the input of a batch and finds every fault in it.
func readBatch(data []byte, endpoint string) (lines []batchLine, faults []batchFault) {
	fault := func(n int, code, format string, args ...any) {
		if len(faults) < 100 {
			faults = append(faults, batchFault{Code: code, Message: fmt.Sprintf(format, args...), Line: n})
		}
	}
	if !utf8.Valid(data) {
		fault(0, "invalid_utf8", "the file is not UTF-8")
		return nil, faults
	}
	seen, n := map[string]bool{}, 0
	for text := range bytes.Lines(data) {
		n++
		var l batchLine
		switch err := json.Unmarshal(text, &l); {
		case err != nil:
			fault(n, "invalid_json_line", "line %d is not a request: %v", n, err)
		case l.ID == "":
			fault(n, "missing_required_parameter", "line %d has no custom_id", n)
		case seen[l.ID]:
			fault(n, "duplicate_custom_id", "line %d has a custom_id that was there before", n)
		case l.Method != http.MethodPost:
			fault(n, "invalid_method", "line %d has the method %.20q, not POST", n, l.Method)
		case l.URL != endpoint:
			fault(n, "mismatched_url", "line %d has the url %.80q, and the batch is for %s", n, l.URL, endpoint)
		case len(l.Body) == 0 || l.Body[0] != '{':
			fault(n, "missing_required_parameter", "line %d has no body", n)
		}
		seen[l.ID] = true
		lines = append(lines, l)
	}
	if n == 0 || n > mostLines {
		fault(0, "invalid_line_count", "the file has %d lines; a batch has 1 to %d", n, mostLines)
	}
	return lines, faults
}

// recorded is an answer that was kept from its client.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorded) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

func (w *recorded) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorded) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// answerLines has lines answered by the handler of the endpoint. Those that were
// not reached are nil.
func (s *Server) answerLines(ctx context.Context, b *batch, lines []batchLine) []*recorded {
	h := s.endpoints()[b.Endpoint][http.MethodPost]
	answers := make([]*recorded, len(lines))
	var workers sync.WaitGroup
	for first := range min(linesTogether, len(lines)) {
		workers.Go(func() {
			for i := first; i < len(lines) && ctx.Err() == nil; i += linesTogether {
				r, err := http.NewRequestWithContext(line{b.N, i}.in(ctx), http.MethodPost, b.Endpoint, bytes.NewReader(lines[i].Body))
				if err != nil {
					continue
				}
				w := &recorded{}
				if s.answer(h, w, r); w.status != 0 {
					answers[i] = w
				}
			}
		})
	}
	workers.Wait()
	return answers
}

// settle writes the files of a batch and ends it. Answers stand in an order of
// their own, as the protocol promises none.
func (s *Server) settle(b *batch, lines []batchLine, answers []*recorded, end string) error {
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		return bytes.Compare(s.journal.digest("order", b.N, x), s.journal.digest("order", b.N, y))
	})
	var output, errors bytes.Buffer
	done := advance{Batch: b.ID, Counts: lineCounts{Total: len(lines)}}
	for _, i := range order {
		var a *recorded
		if i < len(answers) {
			a = answers[i]
		}
		text, ok := s.outcome(b, i, lines[i], a, end)
		if ok {
			done.Counts.Completed++
			done.add(a.body.Bytes())
			output.Write(text)
		} else {
			done.Counts.Failed++
			errors.Write(text)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.status == "in_progress" && end == "completed" {
		if err := s.commitLocked(func(int) entry {
			return entry{Advance: &advance{Batch: b.ID, Status: "finalizing", Counts: lineCounts{Total: len(lines)}}}
		}); err != nil {
			return err
		}
	}
	if b.status == "cancelling" {
		end = "cancelled"
	}
	e := entry{Advance: &done}
	done.Status = end
	for k, text := range []*bytes.Buffer{&output, &errors} {
		if text.Len() == 0 {
			continue
		}
		f, err := s.write(s.journal.next, k, []string{b.ID + "_output.jsonl", b.ID + "_error.jsonl"}[k], "batch_output", text.Bytes())
		if err != nil {
			return err
		}
		e.Files = append(e.Files, f)
		*[]*string{&done.Output, &done.Errors}[k] = f.ID
	}
	return s.commitLocked(func(int) entry { return e })
}

// add counts the tokens of an answer.
func (a *advance) add(body []byte) {
	var v struct {
		Model string `json:"model"`
		Usage usage  `json:"usage"`
	}
	if json.Unmarshal(body, &v) == nil {
		a.Model = v.Model
		a.Usage.Prompt += v.Usage.Prompt
		a.Usage.Completion += v.Usage.Completion
		a.Usage.Total += v.Usage.Total
	}
}

type outcomeResponse struct {
	Status    int             `json:"status_code"`
	RequestID string          `json:"request_id"`
	Body      json.RawMessage `json:"body"`
}

type outcomeError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// outcome is a line of the output or, where ok is false, of the error file.
func (s *Server) outcome(b *batch, i int, l batchLine, a *recorded, end string) (text []byte, ok bool) {
	v := struct {
		ID       string           `json:"id"`
		CustomID string           `json:"custom_id"`
		Response *outcomeResponse `json:"response"`
		Error    *outcomeError    `json:"error"`
	}{ID: s.journal.name("batch_req_", b.N, i), CustomID: l.ID}
	switch {
	case a != nil:
		ok = a.status == http.StatusOK
		v.Response = &outcomeResponse{a.status, s.journal.name("req_", b.N, i), bytes.TrimSpace(a.body.Bytes())}
	case end == "expired":
		v.Error = &outcomeError{"batch_expired", "This request could not be executed before the completion window expired."}
	default:
		v.Error = &outcomeError{"batch_cancelled", "This request was not executed before the batch was cancelled."}
	}
	text, err := json.Marshal(v)
	if err != nil { // a body that is no JSON, such as a stream
		v.Response.Body, _ = json.Marshal(a.body.String())
		text, _ = json.Marshal(v)
	}
	return append(text, '\n'), ok
}
