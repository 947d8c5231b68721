package ngram

import "slices"

// turns lists the trained turns of each prompt.
type turns struct {
	starts []uint32 // of a turn: the position of its first piece
	list   []uint32 // the turns of prompt after prompt
	ends   []uint32 // those of prompt k are list[ends[k-1]:ends[k]]
}

func turnsByPrompt(t *texts) turns {
	by := turns{ends: make([]uint32, len(t.prompts.hashes)+1)}
	keyed := 0
	for _, key := range t.keys {
		if key > 0 {
			by.ends[key]++
			keyed++
		}
	}
	if keyed == 0 {
		return by
	}
	for k := 1; k < len(by.ends); k++ {
		by.ends[k] += by.ends[k-1]
	}
	by.starts = make([]uint32, 0, len(t.keys))
	for p, token := range t.tokens[:len(t.tokens)-1] {
		if token == 0 {
			by.starts = append(by.starts, uint32(p+1))
		}
	}
	by.list = make([]uint32, keyed)
	at := slices.Clone(by.ends)
	for turn := len(t.keys) - 1; turn >= 0; turn-- {
		if key := t.keys[turn]; key > 0 {
			at[key]--
			by.list[at[key]] = uint32(turn)
		}
	}
	return by
}

// prompted holds the counts under one prompt, made when the prompt is asked, as
// a corpus may have as many prompts as documents. Only its longest contexts have
// entries: those of order-1 pieces and those that reach the beginning of a turn.
type prompted struct {
	counter
	key  uint32 // 0: none
	keys []uint64
}

// load replaces the table by that of another prompt.
func (c *prompted) load(of *tables, key uint32) {
	if c.key == key {
		return
	}
	if c.levels == nil {
		c.counter = counter{trie: trie{levels: make([]level, len(of.levels)), scale: of.scale}, tokens: of.tokens, digits: of.digits(), longest: true}
	}
	for j := range c.levels {
		c.levels[j].reset()
	}
	c.key, c.keys = key, c.keys[:0]
	if key == 0 {
		return
	}
	for _, turn := range of.turns.list[of.turns.ends[key-1]:of.turns.ends[key]] {
		for p := of.turns.starts[turn]; ; p++ {
			c.keys = append(c.keys, uint64(c.tokens[p-1])<<32|uint64(p))
			if c.tokens[p] == 0 {
				break
			}
		}
	}
	c.group(0, 0, c.keys)
	c.seal()
	for j := range c.levels {
		l := &c.levels[j]
		l.rule = of.rule
		of.free(l)
	}
}

// find gives the level and number of the context of a history.
func (c *prompted) find(history []uint32) (*level, uint32, bool) {
	var at [maxOrder]uint32
	depth := c.path(history, &at)
	return &c.levels[depth], at[depth], depth == min(len(c.levels)-1, len(history))
}

// promptTally bounds the pieces from which the discounts under prompts are
// estimated.
const promptTally = 1 << 18

// promptRule estimates the discounts from the first prompts, which by their
// hashes are a random choice of them.
func (t *tables) promptRule() rule {
	var table prompted
	seen := 0
	for key := uint32(1); int(key) < len(t.turns.ends) && seen < promptTally; key++ {
		table.load(t, key)
		seen += len(table.keys)
	}
	var counts tally
	for _, l := range table.levels {
		for k, n := range l.tally {
			counts[k] += n
		}
	}
	return counts.rule()
}
