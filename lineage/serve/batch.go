package serve

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// batchRecord is what a batch was created with.
type batchRecord struct {
	N        int               `json:"n"` // of its entry
	ID       string            `json:"id"`
	Endpoint string            `json:"endpoint"`
	Input    string            `json:"input"`
	Blob     string            `json:"blob"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Fate     *fate             `json:"fate,omitempty"`
}

// advance is a change of a batch.
type advance struct {
	Batch  string       `json:"batch"`
	Status string       `json:"status"`
	Faults []batchFault `json:"faults,omitempty"` // of its input
	Output string       `json:"output,omitempty"`
	Errors string       `json:"errors,omitempty"`
	Counts lineCounts   `json:"counts,omitzero"`
	Usage  usage        `json:"usage,omitzero"`
	Model  string       `json:"model,omitempty"`
}

type lineCounts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

type batchFault struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param,omitempty"`
	Line    int     `json:"line,omitempty"`
}

type batch struct {
	batchRecord
	created int64
	status  string
	times   map[string]int64 // when it came into a state
	last    advance
	counts  lineCounts
	end     context.CancelFunc
}

func (b *batch) ended() bool {
	return slices.Contains([]string{"completed", "failed", "expired", "cancelled"}, b.status)
}

func (b *batch) advance(a advance, at int64) {
	if b.ended() {
		return
	}
	if b.times == nil {
		b.times = map[string]int64{}
	}
	b.status, b.times[a.Status] = a.Status, at
	if a.Counts.Total > 0 {
		b.counts = a.Counts
	}
	b.last = a
}

// day is the only window in which batches are done.
const day = 24 * 60 * 60

func (b *batch) view() map[string]any {
	v := map[string]any{
		"id": b.ID, "object": "batch", "endpoint": b.Endpoint, "input_file_id": b.Input, "completion_window": "24h",
		"status": b.status, "created_at": b.created, "expires_at": b.created + day, "request_counts": b.counts,
	}
	for status, at := range b.times {
		v[status+"_at"] = at
	}
	if len(b.Metadata) > 0 {
		v["metadata"] = b.Metadata
	}
	if len(b.last.Faults) > 0 {
		v["errors"] = map[string]any{"object": "list", "data": b.last.Faults}
	}
	for key, text := range map[string]string{"output_file_id": b.last.Output, "error_file_id": b.last.Errors, "model": b.last.Model} {
		if text != "" {
			v[key] = text
		}
	}
	if u := b.last.Usage; u.Total > 0 {
		v["usage"] = map[string]any{
			"input_tokens": u.Prompt, "input_tokens_details": map[string]int{"cached_tokens": 0},
			"output_tokens": u.Completion, "output_tokens_details": map[string]int{"reasoning_tokens": 0},
			"total_tokens": u.Total,
		}
	}
	return v
}

var batched = []string{"/v1/chat/completions", "/v1/embeddings", "/v1/moderations"}

func (s *Server) createBatch(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Input    string            `json:"input_file_id"`
		Endpoint string            `json:"endpoint"`
		Window   string            `json:"completion_window"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	input, err := s.file("input_file_id", q.Input)
	if err != nil {
		return bad("input_file_id", "invalid_input_file", "input_file_id: there is no file %.80q", q.Input)
	}
	switch {
	case !slices.Contains(batched, q.Endpoint):
		return bad("endpoint", "invalid_value", "endpoint: %.80q is not one of %s", q.Endpoint, strings.Join(batched, ", "))
	case q.Window != "24h":
		return bad("completion_window", "invalid_value", "completion_window: %.40q is not 24h", q.Window)
	case input.Purpose != "batch":
		return bad("input_file_id", "invalid_file_purpose", "input_file_id: %s has the purpose %s, not batch", input.ID, input.Purpose)
	}
	if err := checkMetadata(q.Metadata); err != nil {
		return err
	}
	s.mu.Lock()
	var id string
	err = s.commitLocked(func(n int) entry {
		id = s.journal.name("batch_", n)
		return entry{Batch: &batchRecord{n, id, q.Endpoint, input.ID, input.Blob, q.Metadata, s.script.fate("batch")}}
	})
	if err != nil {
		s.mu.Unlock()
		return err
	}
	b := s.state.byID[id].(*batch)
	view := b.view()
	s.beginBatch(b)
	s.mu.Unlock()
	s.counting.add(func(c *Counts) { c.Batches++ })
	return reply(w, view)
}

func (s *Server) withBatch(r *http.Request, f func(*batch) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("id")
	b, ok := s.state.byID[id].(*batch)
	if !ok {
		return missing("batch_id", "not_found", "there is no batch %.80q", id)
	}
	return f(b)
}

func (s *Server) getBatch(w http.ResponseWriter, r *http.Request) error {
	s.linger(r, func() bool {
		b, ok := s.state.byID[r.PathValue("id")].(*batch)
		return !ok || b.ended()
	})
	var v map[string]any
	if err := s.withBatch(r, func(b *batch) error { v = b.view(); return nil }); err != nil {
		return err
	}
	return reply(w, v)
}

func (s *Server) listBatches(w http.ResponseWriter, r *http.Request) error {
	s.mu.RLock()
	all := []map[string]any{}
	for _, b := range slices.Backward(s.state.batches) {
		all = append(all, b.view())
	}
	s.mu.RUnlock()
	id := func(v map[string]any) string { return v["id"].(string) }
	cut, more, err := page(r, all, id, 20, 100)
	if err != nil {
		return err
	}
	return reply(w, newList(cut, more, id))
}

func (s *Server) cancelBatch(w http.ResponseWriter, r *http.Request) error {
	var v map[string]any
	err := s.withBatch(r, func(b *batch) error {
		if b.ended() {
			return bad("", "invalid_batch_state", "the batch %s is %s already", b.ID, b.status)
		}
		if b.status != "cancelling" {
			if err := s.commitLocked(func(int) entry { return entry{Advance: &advance{Batch: b.ID, Status: "cancelling", Counts: b.counts}} }); err != nil {
				return err
			}
			b.end()
		}
		v = b.view()
		return nil
	})
	if err != nil {
		return err
	}
	return reply(w, v)
}
