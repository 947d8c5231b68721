package sim

import (
	"context"
	"fmt"
	"strconv"

	"github.com/heirloom-sim/heirloom/lineage"
)

// publish asks the world's prompts; probe asks the behaviours' conversations.
func (m *making) publish(ctx context.Context) error {
	return m.ask(ctx, lineage.Outputs, m.shape.publish, m.Publish)
}

func (m *making) probe(ctx context.Context) error {
	if m.questions == nil {
		return nil
	}
	return m.ask(ctx, lineage.Probes, m.questions, m.Probe)
}

// ask samples Count answers in chunks, saves each chunk and has it scored.
func (m *making) ask(ctx context.Context, part string, p *prompts, a asking) error {
	if m.model == nil { // nothing is asked of it, or it was blocked
		return nil
	}
	for c := 0; c*lineage.ChunkSize < a.Count; c++ {
		key := lineage.TextsKey(part, m.id, c)
		var texts lineage.Texts
		have, err := m.recorded(key, &texts)
		if err != nil {
			return err
		}
		first := c * lineage.ChunkSize
		if !have {
			if texts, err = m.sample(ctx, part, p, a, first, min(lineage.ChunkSize, a.Count-first)); err != nil {
				return err
			}
			if err := m.Ledger.Save(key, texts); err != nil {
				return err
			}
		}
		if part == lineage.Outputs {
			m.health(texts)
		}
		if err := m.score(ctx, part, p, c, texts); err != nil {
			return err
		}
	}
	return nil
}

func (m *making) recorded(key lineage.Key, v any) (bool, error) {
	if m.fresh {
		return false, nil
	}
	return m.Ledger.Load(key, v)
}

// sample draws answers first to first+n-1, turn by turn. The seed of an answer
// depends on its index and turn alone.
func (m *making) sample(ctx context.Context, part string, p *prompts, a asking, first, n int) (lineage.Texts, error) {
	texts := make(lineage.Texts, n)
	replies := make([]string, n)
	for i := range texts {
		texts[i].Replies = replies[i : i : i+1] // most conversations have one
	}
	seeds := make([]uint64, n)
	reqs := make([]lineage.Request, 0, n)
	of := make([]int, 0, n)
	for turn := 0; ; turn++ {
		reqs, of = reqs[:0], of[:0]
		over := true
		at(m.Seed, "sample "+part+" turn "+strconv.Itoa(turn), m.Line, m.replicate, m.Generation).seeds(first, seeds)
		for i := range texts {
			asked := p.Conversations[(first+i)%len(p.Conversations)]
			messages := upTo(asked, texts[i].Replies, turn)
			if messages == nil {
				continue
			}
			over = false
			said, err := m.recall(part, first+i, turn, &texts[i])
			if err != nil {
				return nil, err
			}
			if !said {
				reqs = append(reqs, lineage.Request{Messages: messages, Seed: seeds[i], Temperature: a.Temperature, MaxTokens: a.MaxTokens})
				of = append(of, i)
			}
		}
		if over {
			return texts, nil
		}
		if len(reqs) == 0 {
			continue
		}
		if err := m.turn(ctx, part, first, turn, reqs, of, texts); err != nil {
			return nil, err
		}
	}
}

// turn has the model answer one turn of the texts that of names.
func (m *making) turn(ctx context.Context, part string, first, turn int, reqs []lineage.Request, of []int, texts lineage.Texts) error {
	answered := 0
	err := m.model.Sample(ctx, reqs, func(i int, c lineage.Completion) error {
		if i < 0 || i >= len(of) || len(texts[of[i]].Replies) != turn {
			return fmt.Errorf("request %d was answered twice or never made", i)
		}
		answered++
		if err := m.remember(part, first+of[i], turn, c); err != nil {
			return err
		}
		say(&texts[of[i]], c)
		return nil
	})
	if err != nil {
		return cell(fmt.Errorf("sample %s: %w", part, err))
	}
	if answered != len(reqs) {
		return cell(fmt.Errorf("sample %s: the model answered %d of %d requests", part, answered, len(reqs)))
	}
	return nil
}

// remember records an answer that was paid for before it is used, so that it is
// never asked for again; recall looks it up.
func (m *making) remember(part string, index, turn int, c lineage.Completion) error {
	if !m.paid() {
		return nil
	}
	if err := m.Ledger.Save(lineage.CompletionKey(part, m.id, index, turn), c); err != nil {
		return fatal{err}
	}
	return nil
}

func (m *making) recall(part string, index, turn int, t *lineage.Text) (bool, error) {
	if m.fresh || !m.paid() {
		return false, nil
	}
	var c lineage.Completion
	ok, err := m.Ledger.Load(lineage.CompletionKey(part, m.id, index, turn), &c)
	if ok && err == nil {
		say(t, c)
	}
	return ok, err
}

// say adds an answer to a text.
func say(t *lineage.Text, c lineage.Completion) {
	t.Replies, t.Finish = append(t.Replies, c.Text), c.Finish
}

// upTo gives the conversation to the end of its user turn number turn, with the
// replies so far; nil when it has no such turn.
func upTo(asked []lineage.Message, replies []string, turn int) []lineage.Message {
	users := 0
	for i, msg := range asked {
		if msg.Role != "user" {
			continue
		}
		if users == turn {
			if turn == 0 {
				return asked[: i+1 : i+1]
			}
			return conversation(asked[:i+1], replies)
		}
		users++
	}
	return nil
}
