package openai

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	api "github.com/sashabaranov/go-openai"
)

// maxFile bounds a file of results.
const maxFile = 4 << 30

// collect waits until a batch has ended and emits what it answered.
func (m *model) collect(ctx context.Context, k *book, b *batch, reqs []lineage.Request, todo map[string]asking, emit func(int, lineage.Completion) error, r *refusals) error {
	b.driven.Lock()
	defer b.driven.Unlock()
	if b.Step == ended {
		return nil
	}
	end, err := m.follow(ctx, b)
	if err != nil {
		return err
	}
	if end.Status == failed {
		if err := m.endBatch(k, b, failed, 0); err != nil {
			return err
		}
		return m.invalid(b, end)
	}
	if err := k.save(b, func() { b.State, b.Output, b.Errors = line(end.Status), end.Output, end.Errors }); err != nil {
		return err
	}
	got := &harvest{model: m, all: map[string]result{}}
	for _, file := range []string{end.Output, end.Errors} {
		if err := got.read(ctx, file); err != nil {
			return fmt.Errorf("results of batch %s: %w", b.ID, err)
		}
	}
	for name, res := range got.all {
		a, ok := todo[name]
		if !ok {
			continue
		}
		if err := m.deliver(reqs, todo, name, a, res, emit, r); err != nil {
			return err
		}
	}
	spent := got.spent
	if got.untold {
		spent = b.Most
	}
	if got.odd > 0 {
		m.world.Log("batch %s: %d lines of its results cannot be read, or repeat others, and are left out", b.ID, got.odd)
	}
	return m.endBatch(k, b, b.State, spent)
}

// deliver emits the answers to one request of a batch. What it did not answer
// stays to be done.
func (m *model) deliver(reqs []lineage.Request, todo map[string]asking, name string, a asking, res result, emit func(int, lineage.Completion) error, r *refusals) error {
	delete(todo, name)
	var d *declined
	switch {
	case errors.As(res.err, &d) && d.finish != "":
		for _, i := range a.order {
			if err := emit(i, lineage.Completion{Finish: d.finish}); err != nil {
				return err
			}
		}
		return nil
	case res.err != nil:
		for _, i := range a.order {
			if err := r.add(outcome{i: i, err: res.err}); err != nil {
				return err
			}
		}
		return nil
	}
	if err := readWhole(m.body(m.group(reqs, a.order)).Messages, res.answer.usage.PromptTokens); err != nil {
		return halt(fmt.Errorf("%s: %w", m.client.Address(), err))
	}
	got := res.answer.completions(len(a.order))
	for k, c := range got {
		if err := emit(a.order[k], c); err != nil {
			return err
		}
	}
	if rest := a.order[len(got):]; len(rest) > 0 {
		return m.enlist(todo, reqs, rest)
	}
	return nil
}

// follow looks at a batch until it ends.
func (m *model) follow(ctx context.Context, b *batch) (r remoteBatch, err error) {
	path, err := at(batchesPath, b.ID)
	if err != nil {
		return r, err
	}
	heard := m.now()
	for p := newPace(b.ID); ; {
		r = remoteBatch{}
		err := m.client.get(ctx, call{path: path, about: b.ID}, &r)
		switch {
		case err == nil && batchOver(r.Status):
			return r, nil
		case err == nil:
			heard = m.now()
		case ctx.Err() != nil:
			m.world.Log("batch %s goes on at %s; the same command goes on with it", b.ID, m.client.Address())
			return r, ctx.Err()
		case !passing(err) || gone(err) && m.now().Sub(time.Unix(b.At, 0)) > settling || m.now().Sub(heard) > outage:
			return r, fmt.Errorf("batch %s: %w", b.ID, err)
		default:
			m.client.tell(fmt.Sprintf("batch %s: %v; it is looked at again", b.ID, err))
		}
		if err := m.sleep(ctx, p.next()); err != nil {
			m.world.Log("batch %s goes on at %s; the same command goes on with it", b.ID, m.client.Address())
			return r, err
		}
	}
}

// invalid tells of a batch that its provider did not begin.
func (m *model) invalid(b *batch, end remoteBatch) error {
	words := ""
	for _, e := range end.Faults.Data {
		words += " " + e.Code + " " + e.Message
	}
	words = line(m.client.server.clean(words))
	if ofModel(words) {
		return fmt.Errorf("%w: batch %s: %s", errNoBatches, b.ID, words)
	}
	return fmt.Errorf("batch %s was refused: %s", b.ID, words)
}

// result is what a batch says of one request.
type result struct {
	answer answer
	err    error // of a request that will never be answered
}

// harvest is what the files of a batch hold. Their order means nothing.
type harvest struct {
	model  *model
	all    map[string]result
	odd    int // lines that cannot be read or repeat others
	spent  lineage.USD
	untold bool // an answer does not tell what it used
}

// resultLine is a line of a file of results.
type resultLine struct {
	ID       string `json:"custom_id"`
	Response *struct {
		Status int             `json:"status_code"`
		Body   json.RawMessage `json:"body"`
	} `json:"response"`
}

// add reads a line. A request whose line is broken, or tells of what may pass, is
// as good as not answered. Of two lines with one name the first counts.
func (h *harvest) add(data []byte) {
	var l resultLine
	if err := json.Unmarshal(data, &l); err != nil || l.ID == "" {
		h.odd++
		return
	}
	if _, twice := h.all[l.ID]; twice {
		h.odd++
		return
	}
	if l.Response == nil {
		return
	}
	c := h.model.client
	if l.Response.Status != http.StatusOK {
		a := &attempt{sent: true, status: l.Response.Status, header: http.Header{}}
		cure, fault := c.fault(a, question{model: h.model.artifact.Model}, refusal(l.Response.Status, l.Response.Body))
		var d *declined
		if cure == none && errors.As(fault, &d) {
			h.all[l.ID] = result{err: fault}
		}
		return
	}
	var got api.ChatCompletionResponse
	if err := json.Unmarshal(l.Response.Body, &got); err != nil {
		h.odd++
		return
	}
	h.spent += h.model.half().actual(got.Usage, 0)
	h.untold = h.untold || got.Usage == api.Usage{}
	answer, err := c.server.read(got.Choices, got.Usage)
	if err != nil {
		h.odd++
		return
	}
	h.all[l.ID] = result{answer: answer}
}

// read reads a file of results, from its beginning again where it breaks off.
func (h *harvest) read(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	before := *h
	return h.model.client.content(ctx, id, func(r io.Reader) error {
		*h = before
		h.all = maps.Clone(before.all)
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxBody)
		for lines.Scan() {
			if text := bytes.TrimSpace(lines.Bytes()); len(text) > 0 {
				h.add(text)
			}
		}
		return lines.Err()
	})
}

// content has a file of a provider read.
func (c *Client) content(ctx context.Context, id string, read func(io.Reader) error) error {
	path, err := at("/files", id, "content")
	if err != nil {
		return err
	}
	return c.ask(ctx, question{model: id, bound: maxFile, longer: time.Hour}, func(ctx context.Context) (int, error) {
		req, err := c.request(ctx, call{method: http.MethodGet, path: path})
		if err != nil {
			return 0, err
		}
		resp, err := c.servers.wire.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
			return 0, errors.Join(err, refusal(resp.StatusCode, data))
		}
		return 0, read(resp.Body)
	})
}
