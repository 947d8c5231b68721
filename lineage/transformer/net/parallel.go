package net

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls f for every i below n, on as many threads as asked for (0: all),
// each with a number of its own. What f writes must depend on i alone.
func parallel(threads, n int, f func(thread, i int)) {
	if threads = workers(threads, n); threads == 1 {
		for i := range n {
			f(0, i)
		}
		return
	}
	var next atomic.Int64
	var group sync.WaitGroup
	for thread := range threads {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(thread, i)
			}
		})
	}
	group.Wait()
}

// workers is how many threads share n pieces of work.
func workers(threads, n int) int {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	return max(1, min(threads, n))
}

// piece is how many elements are worked at by one thread at a time.
const piece = 1 << 13

// lanes is how many partial gradients there are: the most threads that a batch can
// use. It is fixed, since the order in which gradients are added is what their
// last bits depend on.
const lanes = 8

// A chunk has as many rows as make up for reading the weights, and as few as fit
// into the cache.
const leastRows, mostRows = 32, 256

// span is a sequence of a chunk: rows first to first+rows of the chunk's matrices
// are the positions of batch[sequence].
type span struct{ sequence, first, rows int }

// chunk is some whole sequences that one thread computes at a time.
type chunk struct {
	spans []span
	rows  int
}

// chunks cuts a batch by its lengths alone. Sequences of which nothing is learned
// are left out.
func chunks(batch []Sequence, all bool) []chunk {
	total := 0
	for i := range batch {
		if all || batch[i].learned() {
			total += len(batch[i].Tokens) - 1
		}
	}
	target := min(max((total+lanes-1)/lanes, leastRows), mostRows)
	var cut []chunk
	var c chunk
	for i := range batch {
		if !all && !batch[i].learned() {
			continue
		}
		n := len(batch[i].Tokens) - 1
		if c.rows > 0 && c.rows+n > target {
			cut = append(cut, c)
			c = chunk{}
		}
		c.spans = append(c.spans, span{i, c.rows, n})
		c.rows += n
	}
	if c.rows > 0 {
		cut = append(cut, c)
	}
	return cut
}
