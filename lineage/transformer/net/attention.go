package net

import (
	"math"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// queryRows is how many queries are taken at once: enough for the inner loops,
// few enough to skip most of what is after a query.
const queryRows = 32

// attention is the memory in which one thread attends.
type attention struct {
	scale          float32
	scores, grads  []float32 // queryRows × positions
	keys, values   kernel.Packed
	keysT, valuesT kernel.Packed
	queries, outs  kernel.Packed
}

func newAttention(s Shape, positions int) attention {
	// Rows of scores are as long as whole panels.
	n := queryRows * (positions + 2*kernel.Lanes)
	return attention{
		scale: float32(1 / math.Sqrt(float64(s.Width/s.Heads))), scores: make([]float32, n), grads: make([]float32, n),
	}
}

// attend computes queries first to first+rows of one head: row i of out is the
// mean of values 0 to first+i, weighted by softmax(q·k/√width) (Vaswani et al.
// 2017, eq. 1). keys are transposed. The weights are left in scores, in rows that
// are as long as it returns.
func (a *attention) attend(out []float32, ld int, q kernel.Matrix, first, rows int, keys, values kernel.Packed) int {
	n := a.weigh(q, first, rows, keys)
	kernel.Mul(out, ld, kernel.Matrix{Data: a.scores, Row: n, Col: 1}, rows, values.Rows(first+rows), false)
	return n
}

func (a *attention) weigh(q kernel.Matrix, first, rows int, keys kernel.Packed) int {
	keys = keys.Columns(first + rows)
	n := keys.N
	kernel.Mul(a.scores, n, q, rows, keys, false)
	for i := range rows {
		row := a.scores[i*n:][:n]
		kernel.Softmax(row[:first+i+1], a.scale)
		clear(row[first+i+1:])
	}
	return n
}

// forward fills heads from qkv for one sequence of a chunk.
func (a *attention) forward(s Shape, heads, qkv []float32, rows int) {
	d, width := s.Width, s.Width/s.Heads
	for h := range s.Heads {
		q := kernel.Matrix{Data: qkv[h*width:], Row: 3 * d, Col: 1}
		k, v := q, q
		k.Data, v.Data = q.Data[d:], q.Data[2*d:]
		a.keysT.Pack(k.T(), width, rows)
		a.values.Pack(v, rows, width)
		for i := 0; i < rows; i += queryRows {
			at := q
			at.Data = q.Data[i*q.Row:]
			a.attend(heads[i*d+h*width:], d, at, i, min(queryRows, rows-i), a.keysT, a.values)
		}
	}
}

// backward fills dqkv from the gradient dheads for one sequence of a chunk. The
// weights are computed again rather than kept: that is faster than reading them
// back from memory.
func (a *attention) backward(s Shape, dqkv, dheads, qkv []float32, rows int) {
	d, width := s.Width, s.Width/s.Heads
	clear(dqkv[:rows*3*d])
	kernel.Prefetch(qkv[:rows*3*d])
	for h := range s.Heads {
		q := kernel.Matrix{Data: qkv[h*width:], Row: 3 * d, Col: 1}
		k, v := q, q
		k.Data, v.Data = q.Data[d:], q.Data[2*d:]
		a.keysT.Pack(k.T(), width, rows)
		a.valuesT.Pack(v.T(), width, rows)
		a.keys.Pack(k, rows, width)
		dq := dqkv[h*width:]
		for i := 0; i < rows; i += queryRows {
			m := min(queryRows, rows-i)
			at, dout := q, kernel.Matrix{Data: dheads[i*d+h*width:], Row: d, Col: 1}
			at.Data = q.Data[i*q.Row:]
			n := a.weigh(at, i, m, a.keysT)
			kernel.Mul(a.grads, n, dout, m, a.valuesT.Columns(n), false)
			for j := range m {
				row := a.grads[j*n:][:n]
				kernel.SoftmaxGrad(row[:i+j+1], a.scores[j*n:], a.scale)
				clear(row[i+j+1:])
			}
			seen := i + m
			grads, scores := kernel.Matrix{Data: a.grads, Row: n, Col: 1}, kernel.Matrix{Data: a.scores, Row: n, Col: 1}
			kernel.Mul(dq[i*3*d:], 3*d, grads, m, a.keys.Rows(seen), false)
			a.queries.Pack(at, m, width)
			kernel.Mul(dq[d:], 3*d, grads.T(), seen, a.queries, true)
			a.outs.Pack(dout, m, width)
			kernel.Mul(dq[2*d:], 3*d, scores.T(), seen, a.outs, true)
		}
	}
}
