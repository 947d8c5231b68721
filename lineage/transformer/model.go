package transformer

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

// Sequences that are written at once, and the memory that their keys and values
// may take.
const (
	mostSlots = 64
	mostCache = 256 << 20
)

// model answers and scores. What it reads never changes.
type model struct {
	*artifact
	config Config
	unread []int32
}

// never is the logit of a token that is not drawn.
const never = -1e30

// answer is one completion being written.
type answer struct {
	index       int
	prompt      []int32
	bound       int // tokens
	text        []byte
	tokens      int
	last        [1]int32 // the token that was drawn
	chance      *rand.PCG
	temperature float64
}

// Sample answers the requests, as many at once as there are slots; a slot that
// becomes free takes the next. A prompt with no room for its answer loses its
// beginning, such that the answer has its bound or half of the context. An
// answer ends with any token that no text can spell. A token that neither the
// model nor an ancestor has read is never drawn: nothing is known of it, and
// after it nothing sensible follows. Scores give it its small probability.
func (m *model) Sample(ctx context.Context, reqs []lineage.Request, emit func(i int, c lineage.Completion) error) error {
	for i, r := range reqs {
		if !(r.Temperature > 0) || math.IsInf(r.Temperature, 1) {
			return fmt.Errorf("transformer: request %d: temperature %v is not a number above 0", i, r.Temperature)
		}
		if r.MaxTokens < 0 {
			return fmt.Errorf("transformer: request %d: max tokens %d is negative", i, r.MaxTokens)
		}
	}
	s := m.shape()
	slots := max(1, min(len(reqs), mostSlots, mostCache/(8*s.Layers*s.Context*s.Width)))
	w := &writer{model: m, decoder: net.NewDecoder(m.params, slots, m.cores), encoder: m.tokenizer.encoder(), answers: make([]*answer, slots), reqs: reqs}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.refill()
		if len(w.busy) == 0 {
			return nil
		}
		if err := w.step(emit); err != nil {
			return err
		}
	}
}

func (a *answer) draw(logits []float32, c Config) {
	u := float64(a.chance.Uint64()>>11) * 0x1p-53
	a.last[0] = net.Draw(logits, a.temperature, c.TopK, c.TopP, u)
}

// writer writes answers slot by slot.
type writer struct {
	*model
	decoder *net.Decoder
	encoder *encoder
	answers []*answer // by slot; nil where it is free
	reqs    []lineage.Request
	next    int // request that is not begun
	busy    []int
	feed    [][]int32 // to the busy slots
}

// refill gives free slots the next requests.
func (w *writer) refill() {
	for slot, a := range w.answers {
		if a != nil || w.next == len(w.reqs) {
			continue
		}
		w.answers[slot] = w.begin(w.next)
		w.next++
		w.decoder.Reset(slot)
		w.busy = append(w.busy, slot)
		w.feed = append(w.feed, w.answers[slot].prompt)
	}
}

func (w *writer) begin(i int) *answer {
	r := w.reqs[i]
	context := w.shape().Context
	a := &answer{index: i, prompt: w.encoder.prompt(r.Messages), chance: rand.NewPCG(r.Seed, 0x7472616e73), temperature: r.Temperature}
	a.bound = cmp.Or(r.MaxTokens, w.config.MaxTokens, context)
	room := context - min(a.bound, context/2)
	a.prompt = a.prompt[max(0, len(a.prompt)-room):]
	a.bound = min(a.bound, context-len(a.prompt))
	return a
}

// step feeds every busy slot and draws its next token, slots on several threads
// at once; what is drawn is told in the order of the slots.
func (w *writer) step(emit func(i int, c lineage.Completion) error) error {
	fed := slices.Clone(w.busy)
	err := w.decoder.Step(fed, w.feed, func(k int, logits []float32) {
		for _, token := range w.unread {
			logits[token] = never
		}
		w.answers[fed[k]].draw(logits, w.config)
	})
	if err != nil {
		return fmt.Errorf("transformer: %w", err)
	}
	w.busy, w.feed = w.busy[:0], w.feed[:0]
	for _, slot := range fed {
		a := w.answers[slot]
		token := a.last[0]
		stop := token < firstByte
		if !stop {
			a.text = w.tokenizer.decode(a.text, token)
			a.tokens++
		}
		if !stop && a.tokens < a.bound {
			w.busy, w.feed = append(w.busy, slot), append(w.feed, a.last[:])
			continue
		}
		c := lineage.Completion{Text: string(a.text), Finish: "length", Tokens: a.tokens, PromptTokens: len(a.prompt)}
		if stop {
			c.Finish = "stop"
		}
		w.answers[slot] = nil
		if err := emit(a.index, c); err != nil {
			return err
		}
	}
	return nil
}

// LogProb scores the assistant's turns of each document and their ends. What is
// longer than the context is scored in the sequences that a training would cut
// it into.
func (m *model) LogProb(ctx context.Context, docs [][]lineage.Message) ([]lineage.LogProb, error) {
	scorer, err := net.NewTrainer(m.params, net.Options{Threads: m.cores})
	if err != nil {
		return nil, fmt.Errorf("transformer: %w", err)
	}
	e, all := m.tokenizer.encoder(), make([]lineage.LogProb, len(docs))
	var sequences []net.Sequence
	var of []int
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		logs, err := scorer.LogProbs(sequences)
		if err != nil {
			return fmt.Errorf("transformer: %w", err)
		}
		for k, i := range of {
			all[i].Sum += logs[k]
		}
		sequences, of = sequences[:0], of[:0]
		return nil
	}
	for i, doc := range docs {
		for _, w := range e.document(doc, false).windows(m.shape().Context) {
			sequences, of = append(sequences, w.sequence(1)), append(of, i)
			all[i].Tokens += w.count
			if len(sequences) == mostSlots {
				if err := flush(); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return all, nil
}
