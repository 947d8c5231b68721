package openai

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
)

const batchKind = "batch"

// batchState is a batch as a ticket keeps it. Its steps are those of a training,
// and "ended".
type batchState struct {
	Key      string      `json:"key"` // names it to the provider
	Step     string      `json:"step"`
	At       int64       `json:"at"`                 // Unix seconds by our clock, of the first intent
	Requests string      `json:"requests,omitempty"` // 4 bytes of the name of each, in base64; until it ended
	Bytes    int         `json:"bytes"`
	Most     lineage.USD `json:"most,omitempty"`
	File     string      `json:"file,omitempty"`
	ID       string      `json:"id,omitempty"`
	State    string      `json:"state,omitempty"`
	Output   string      `json:"output,omitempty"`
	Errors   string      `json:"errors,omitempty"`
	Cost     lineage.USD `json:"cost_nanodollars,omitempty"`
}

// batch is one batch of requests.
type batch struct {
	batchState
	lines  [][]byte // nil where an earlier process wrote it down
	tried  bool     // submit has begun
	driven sync.Mutex
	settle func(lineage.USD) error
}

const ended = "ended"

// name notes the marks of its requests, and gives the batch its key: those, and
// when it began, so that two runs of one experiment do not take each other's for
// their own.
func (b *batch) name(marks string) {
	b.Requests = marks
	sum := sha256.Sum256([]byte(strconv.FormatInt(b.At, 10) + " " + marks))
	b.Key = hex.EncodeToString(sum[:8])
}

func (b *batch) fileName() string { return "hl-" + b.Key + ".jsonl" }

// mark is what a batch keeps of a name, 6 characters. Two names may have one,
// which has a batch looked into that need not be.
func mark(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawStdEncoding.EncodeToString(sum[:4])
}

const markLength = 6

// handle is what a ticket keeps of the batches of one model.
type batchHandle struct {
	Kind    string   `json:"kind"` // batchKind
	Where   string   `json:"where"`
	Model   string   `json:"model"`
	Batches []*batch `json:"batches"`
}

func readBatches(text string) (h batchHandle, err error) {
	if text == "" {
		return h, nil
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil || h.Kind != batchKind {
		return h, fmt.Errorf("openai: %.60q is not the handle of a %s", text, batchKind)
	}
	return h, nil
}

// book keeps the batches of one model and their ticket.
type book struct {
	ticket lineage.Ticket
	mu     sync.Mutex
	h      batchHandle
}

// book is that of a model; all that ask the model share it.
func (c *Client) book(w lineage.World, model, digest string) (*book, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := "batches of " + model + " " + digest
	if b := c.books[name]; b != nil {
		return b, nil
	}
	b := &book{ticket: forgetful{}}
	if w.Ticket != nil {
		b.ticket = w.Ticket(name)
	}
	text, err := b.ticket.Load()
	if err != nil {
		return nil, err
	}
	if b.h, err = readBatches(text); err != nil {
		return nil, err
	}
	if b.h.Where != "" && b.h.Where != c.Address() {
		return nil, fmt.Errorf("openai: the batches of %s were begun at %s, and base_url is now %s", model, b.h.Where, c.Address())
	}
	b.h.Kind, b.h.Where, b.h.Model = batchKind, c.Address(), model
	if c.books == nil {
		c.books = map[string]*book{}
	}
	c.books[name] = b
	return b, nil
}

// forgetful is the ticket of work outside of a run.
type forgetful struct{}

func (forgetful) Load() (string, error) { return "", nil }
func (forgetful) Save(string) error     { return nil }

// holding are the batches that have not ended and hold one of some requests.
func (k *book) holding(todo map[string]asking) (found []*batch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	wanted := map[string]bool{}
	for name := range todo {
		wanted[mark(name)] = true
	}
	for _, b := range k.h.Batches {
		for i := 0; i+markLength <= len(b.Requests); i += markLength {
			if b.Step != ended && wanted[b.Requests[i:i+markLength]] {
				found = append(found, b)
				break
			}
		}
	}
	return found
}

// save changes a batch and makes the change durable, the batch itself where it is
// new. What is not durable has not changed.
func (k *book) save(b *batch, change func()) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := b.batchState
	defer func() {
		if err != nil {
			b.batchState = before
		}
	}()
	change()
	new := true
	for _, o := range k.h.Batches {
		new = new && o != b
	}
	if new {
		k.h.Batches = append(k.h.Batches, b)
	}
	data, err := json.Marshal(k.h)
	if err != nil {
		return err
	}
	return k.ticket.Save(string(data))
}

// digest tells artifacts of one model apart.
func (a *Artifact) digest() string {
	data, err := json.Marshal(a)
	if err != nil {
		panic("openai: " + err.Error()) // it holds nothing that JSON cannot
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
