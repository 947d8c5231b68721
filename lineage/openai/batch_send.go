package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// errNoBatches says that a provider takes no batches, or none of this model.
var errNoBatches = errors.New("batches are not taken")

// remoteBatch is a batch as a provider tells of it.
type remoteBatch struct {
	ID       string            `json:"id"`
	Status   string            `json:"status"`
	Input    string            `json:"input_file_id"`
	Output   string            `json:"output_file_id"`
	Errors   string            `json:"error_file_id"`
	Created  moment            `json:"created_at"`
	Metadata map[string]string `json:"metadata"`
	Faults   struct {
		Data []jobError `json:"data"`
	} `json:"errors"`
}

const (
	batchesPath   = "/batches"
	batchEndpoint = "/v1/chat/completions"
)

type batchRequest struct {
	Input    string            `json:"input_file_id"`
	Endpoint string            `json:"endpoint"`
	Window   string            `json:"completion_window"`
	Metadata map[string]string `json:"metadata"`
}

// lineOf is a line of a batch file.
func lineOf(name string, body []byte) []byte {
	return fmt.Appendf(nil, `{"custom_id":%q,"method":"POST","url":%q,"body":%s}`+"\n", name, batchEndpoint, body)
}

func (m *model) now() time.Time { return m.client.servers.clock.now() }

func (m *model) sleep(ctx context.Context, d time.Duration) error {
	return m.client.servers.clock.sleep(ctx, d)
}

// submit takes a batch to where the provider works on it. Every step is durable
// before the request that it announces is sent.
func (m *model) submit(ctx context.Context, k *book, b *batch) error {
	b.driven.Lock()
	defer b.driven.Unlock()
	doubt := b.lines == nil || b.tried // the request that the step announces may have been sent
	b.tried = true
	if b.lines != nil && b.Step == uploading {
		if err := k.save(b, func() {}); err != nil {
			return err
		}
	}
	for {
		var err error
		switch b.Step {
		case uploading:
			err = m.uploadBatch(ctx, k, b, doubt)
		case uploaded:
			if err = m.reserveBatch(b); err == nil {
				err = k.save(b, func() { b.Step = creating })
			}
			doubt = false
		case creating:
			if err = m.reserveBatch(b); err == nil {
				err = m.createBatch(ctx, k, b, doubt)
			}
		default:
			return m.reserveBatch(b)
		}
		if err != nil {
			return err
		}
	}
}

// reserveBatch sets the most aside that the batch can cost, once. What a process
// that died had set aside in the same words is taken up.
func (m *model) reserveBatch(b *batch) (err error) {
	if b.settle != nil || b.Step == ended {
		return nil
	}
	b.settle = func(lineage.USD) error { return nil }
	if b.Most == 0 {
		return nil
	}
	settle, err := m.world.Purse.Reserve(b.Most, batchKind+" "+b.Key)
	switch {
	case err == nil:
		b.settle = settle
	case b.ID == "" || !errors.Is(err, lineage.ErrBudget): // of one that is there, the money is gone
		b.settle = nil
		return err
	}
	return nil
}

// uploadBatch sends the file of a batch, or finds the one that was sent. Of one
// that was never sent nothing is left: its requests go into another.
func (m *model) uploadBatch(ctx context.Context, k *book, b *batch, doubt bool) error {
	for p := newPace(b.Key); ; doubt = true {
		if doubt {
			var found []remoteFile
			err := m.client.find(ctx, func() (_ bool, err error) {
				found, err = m.client.filesNamed(ctx, purposeBatch, b.fileName(), b.Bytes)
				return len(found) > 0, err
			})
			if gone(err) { // there is no list of files: the refusal of this one was lost while it was sent
				return m.refusedBatch(ctx, k, b, p, refused, nil, err)
			}
			if err != nil {
				return err
			}
			if len(found) > 0 {
				return k.save(b, func() { b.Step, b.File = uploaded, found[0].ID })
			}
		}
		if b.lines == nil {
			return k.save(b, func() { b.Step, b.State, b.Requests = ended, "never sent", "" })
		}
		f, v, header, err := m.client.upload(ctx, purposeBatch, b.fileName(), b.Bytes, func(w io.Writer) error {
			for _, line := range b.lines {
				if _, err := w.Write(line); err != nil {
					return err
				}
			}
			return nil
		})
		if v == done && f.ID != "" {
			return k.save(b, func() { b.Step, b.File = uploaded, f.ID })
		}
		if err := m.refusedBatch(ctx, k, b, p, v, header, err); err != nil {
			return err
		}
	}
}

// createBatch creates a batch, or finds the one that was created: by the key in
// its metadata, or by its file, which belongs to no other.
func (m *model) createBatch(ctx context.Context, k *book, b *batch, doubt bool) error {
	for p := newPace(b.Key); ; doubt = true {
		if doubt {
			var found remoteBatch
			err := m.client.find(ctx, func() (_ bool, err error) {
				found, err = m.client.batchOf(ctx, b.Key, b.File, moment(b.At-600))
				return found.ID != "", err
			})
			if err != nil {
				return err
			}
			if found.ID != "" {
				return k.save(b, func() { b.Step, b.ID = created, found.ID })
			}
		}
		var made remoteBatch
		v, header, err := m.client.once(ctx, call{method: http.MethodPost, path: batchesPath, about: m.artifact.Model, body: batchRequest{
			b.File, batchEndpoint, "24h", map[string]string{keyName: b.Key},
		}}, &made)
		if v == done && made.ID != "" {
			m.world.Log("%s: batch %s has %d requests and goes on when this program ends", m.client.Address(), made.ID, len(b.Requests)/markLength)
			return k.save(b, func() { b.Step, b.ID = created, made.ID })
		}
		if err := m.refusedBatch(ctx, k, b, p, v, header, err); err != nil {
			return err
		}
	}
}

// batchOf is the batch of a key or file, the earliest of several.
func (c *Client) batchOf(ctx context.Context, key, file string, since moment) (found remoteBatch, err error) {
	err = pages(ctx, c, call{path: batchesPath, about: key}, 100, func(b remoteBatch) string { return b.ID }, func(b remoteBatch) bool {
		if b.ID != "" && (b.Input == file || b.Metadata[keyName] == key) {
			found = b
		}
		return b.Created == 0 || b.Created >= since
	})
	return found, err
}

// refusedBatch waits before a request that was not taken is sent again, or tells
// that it is not to be.
func (m *model) refusedBatch(ctx context.Context, k *book, b *batch, p *pace, v verdict, header http.Header, err error) error {
	if err == nil {
		err = fmt.Errorf("%s: answered without an ID", m.client.Address())
	}
	var r *rejection
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case v == wait:
		m.client.tell(fmt.Sprintf("%s: %v; it is sent again when there is room", b.fileName(), err))
		return m.sleep(ctx, min(time.Hour, max(pause(http.StatusTooManyRequests, header, 1, m.now()), p.next())))
	case v == refused && errors.As(err, &r) && unsupported(r):
		if e := m.endBatch(k, b, "refused", 0); e != nil {
			return e
		}
		return fmt.Errorf("%w: %w", errNoBatches, err)
	case v == refused:
		return err
	}
	if p.sends++; p.sends == mostSends {
		return fmt.Errorf("%w; it was sent %d times, and nothing came of it", err, mostSends)
	}
	return m.sleep(ctx, p.next())
}

// unsupported tells a refusal of batches as such, or of the model in them.
func unsupported(r *rejection) bool {
	none := []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusGone}
	return slices.Contains(none, r.status) || r.status == http.StatusBadRequest && ofModel(r.said.code+" "+r.said.text)
}

// ofModel tells words about a model or what is not supported.
func ofModel(words string) bool {
	words = strings.ToLower(words)
	return strings.Contains(words, "model") || strings.Contains(words, "not support") || strings.Contains(words, "unsupported")
}

// endBatch settles a batch and notes how it ended.
func (m *model) endBatch(k *book, b *batch, state string, spent lineage.USD) error {
	if b.settle != nil {
		if err := b.settle(spent); err != nil {
			return err
		}
	}
	return k.save(b, func() { b.Step, b.State, b.Cost, b.Requests = ended, state, spent, "" })
}
