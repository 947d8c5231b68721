package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// A pair is a row that holds two answers to one prompt, the one that was
// preferred and the other. Two layouts are read:
//
//	{"prompt": …, "chosen": …, "rejected": …}
//	{"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}
//
// the second being that of OpenAI's preference fine-tuning. A prompt or an
// answer is a string or an array of messages; an answer that is an array may
// hold the whole conversation.
type pairKeys struct{ prompt, chosen, rejected string }

var (
	plainPair  = pairKeys{"prompt", "chosen", "rejected"}
	openaiPair = pairKeys{"input", "preferred_output", "non_preferred_output"}
)

// pairLayout gives the keys of a row that is a pair.
func (d *decoder) pairLayout() (pairKeys, bool) {
	for _, k := range []pairKeys{plainPair, openaiPair} {
		if d.row.get(k.chosen) != nil || d.row.get(k.rejected) != nil {
			return k, true
		}
	}
	return plainPair, d.format == Pairs
}

// parsePair reads both conversations of a pair.
func (d *decoder) parsePair(k pairKeys) error {
	if d.o.Turns != 0 {
		return errors.New("is a pair, which turns cannot split; leave turns out")
	}
	d.taken = append(d.taken[:0], k.prompt, k.chosen, k.rejected)
	var prompt []message
	if raw := d.row.get(k.prompt); raw != nil && raw[0] != 'n' {
		var err error
		if prompt, err = d.turns(k.prompt, raw, "user"); err != nil {
			return err
		}
	}
	var sides [2][]message
	for i, key := range []string{k.chosen, k.rejected} {
		raw := d.row.get(key)
		if raw == nil {
			return d.missing(key)
		}
		answer, err := d.turns(key, raw, "assistant")
		if err != nil {
			return err
		}
		if n := len(answer); n == 0 || answer[n-1].role != "assistant" {
			return fmt.Errorf("%s: ends with no assistant turn, which is what is chosen or rejected", key)
		}
		if slices.ContainsFunc(answer, func(m message) bool { return m.role != "assistant" }) {
			sides[i] = answer // the whole conversation
		} else {
			sides[i] = append(slices.Clone(prompt), answer...)
		}
	}
	d.messages, d.rejected = sides[0], sides[1]
	if len(d.messages) == 1 {
		return fmt.Errorf("has no prompt: %q is empty or absent", k.prompt)
	}
	return d.samePrompt(k)
}

// samePrompt refuses two answers to different prompts, which are no preference.
func (d *decoder) samePrompt(k pairKeys) error {
	users := func(side []message) (texts []string) {
		for i := range side[:len(side)-1] {
			texts = append(texts, side[i].role+"\x00"+side[i].text())
		}
		return texts
	}
	if !slices.Equal(users(d.messages), users(d.rejected)) {
		return fmt.Errorf("%s and %s answer different prompts; a pair has one", k.chosen, k.rejected)
	}
	return nil
}

// turns reads a string as one message of a role, or an array of messages, also
// under "messages" of an object.
func (d *decoder) turns(key string, raw []byte, role string) ([]message, error) {
	if raw[0] == '"' {
		if err := d.checkString(key, raw); err != nil {
			return nil, err
		}
		return []message{{role: role, content: raw}}, nil
	}
	if raw[0] == '{' {
		var inner object
		if err := inner.parse(&scanner{data: raw}, d.names); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		key, raw = key+".messages", inner.get("messages")
	}
	if len(raw) == 0 || raw[0] != '[' {
		return nil, fmt.Errorf("%s: a string or an array of messages was expected, not %.40s", key, raw)
	}
	d.messages = nil
	err := (&scanner{data: bytes.TrimSpace(raw)}).array(0, func(m []byte) error {
		if err := d.parseMessage(m); err != nil {
			return fmt.Errorf("%s[%d]: %w", key, len(d.messages), err)
		}
		return nil
	})
	return d.messages, err
}
