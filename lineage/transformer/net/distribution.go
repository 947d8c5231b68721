package net

import (
	"slices"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// Distribution gives the soft labels of a teacher: at every position of each
// sequence the k most probable next tokens, the most probable first and the lower
// token first among equals. With k of 0 or the whole vocabulary it gives all
// tokens in their order. Weights are not looked at.
func (t *Trainer) Distribution(batch []Sequence, k int) ([]*Soft, error) {
	s := t.params.Shape
	if err := s.checkBatch(batch, false); err != nil {
		return nil, err
	}
	if k < 1 || k > s.Vocab {
		k = s.Vocab
	}
	labels := make([]*Soft, len(batch))
	for i := range batch {
		n := (len(batch[i].Tokens) - 1) * k
		labels[i] = &Soft{K: k, Prob: make([]float32, n)}
		if k < s.Vocab {
			labels[i].Tokens = make([]int32, n)
		}
	}
	t.prepare(false)
	all := t.chunks(batch, true, false)
	parallel(t.options.Threads, len(all), func(thread, i int) {
		w := t.workers[thread]
		w.forward(batch, &all[i], nil)
		for _, s := range all[i].spans {
			w.label(labels[s.sequence], s, float32(1/t.options.Temperature))
		}
	})
	return labels, nil
}

// label writes the soft labels of a sequence after forward.
func (w *worker) label(to *Soft, s span, scale float32) {
	vocab := w.shape.Vocab
	var rows []int
	var order []int32
	for t := 0; t < s.rows; t += headRows {
		rows = rows[:0]
		for i := t; i < min(t+headRows, s.rows); i++ {
			rows = append(rows, s.first+i)
		}
		w.logitsOf(rows)
		for i := range rows {
			q := w.head.logits[i*vocab:][:vocab]
			kernel.Softmax(q, scale)
			at := (t + i) * to.K
			if to.Tokens == nil {
				copy(to.Prob[at:], q)
				continue
			}
			order = largest(order, q, to.K)
			copy(to.Tokens[at:][:to.K], order)
			for e, token := range order {
				to.Prob[at+e] = q[token]
			}
		}
	}
}

// largest are the k tokens with the largest values in descending order, the lower
// token first among equals, in the memory of order.
func largest(order []int32, values []float32, k int) []int32 {
	order = order[:0]
	if k > 64 { // too many to insert one by one
		for i := range values {
			order = append(order, int32(i))
		}
		descend(order, values)
		return order[:min(k, len(order))]
	}
	for i, v := range values {
		if len(order) == k {
			if !(v > values[order[k-1]]) {
				continue
			}
			order = order[:k-1]
		}
		at := len(order)
		for at > 0 && values[order[at-1]] < v {
			at--
		}
		order = slices.Insert(order, at, int32(i))
	}
	return order
}

func descend(order []int32, values []float32) {
	slices.SortFunc(order, func(a, b int32) int {
		switch x, y := values[a], values[b]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return int(a - b)
	})
}
