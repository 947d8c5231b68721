package openai

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Bounds of a batch file, and how many batches in a row are made for what earlier
// ones left open.
const (
	batchLines  = 50_000
	batchBytes  = 190 << 20
	batchRounds = 5
)

// asking is a request of a batch that has no answer yet.
type asking struct {
	order order
	body  []byte
	most  lineage.USD
}

// batch asks by batch files:
//
//  1. Batches of this model that an earlier process left and that hold requests of
//     ours are followed to their end.
//  2. What has no answer then goes into a new batch: it is written down, uploaded,
//     paid for and created, each step durable before the next.
//  3. Answers are joined by the request's name, which is the digest of its body,
//     and emitted; what expired or broke is asked again from 1.
//
// rest is what is to be asked directly, where batches are not taken. A stop leaves
// the batches on their way.
func (m *model) batch(ctx context.Context, reqs []lineage.Request, orders []order, emit func(int, lineage.Completion) error, r *refusals) (rest []order, err error) {
	todo := map[string]asking{}
	for _, o := range orders {
		if err := m.enlist(todo, reqs, o); err != nil {
			return nil, err
		}
	}
	book, err := m.client.book(m.world, m.artifact.Model, m.artifact.digest())
	if err != nil {
		return nil, err
	}
	direct := func(why error) ([]order, error) {
		m.world.Log("%s: %v; %d requests are sent one by one, at the full price", m.client.Address(), why, count(todo))
		return remaining(todo), nil
	}
	for round := 0; len(todo) > 0; {
		left := book.holding(todo)
		open, ours := count(todo), left == nil
		if ours {
			if round++; round > batchRounds {
				return direct(fmt.Errorf("%d batches did not answer them", batchRounds))
			}
			left = m.plan(todo)
		}
		err := m.drive(ctx, book, left, func(b *batch) error { return m.collect(ctx, book, b, reqs, todo, emit, r) })
		if errors.Is(err, errNoBatches) {
			return direct(err)
		}
		if err != nil {
			return nil, err
		}
		if last := left[len(left)-1]; ours && count(todo) == open {
			return nil, fmt.Errorf("batch %s ended as %q and answered none of %d requests", last.ID, last.State, open)
		}
	}
	return nil, nil
}

// drive has batches worked on at once, and collects each.
func (m *model) drive(ctx context.Context, k *book, all []*batch, collect func(*batch) error) error {
	for _, b := range all {
		if err := m.submit(ctx, k, b); err != nil {
			return err
		}
	}
	for _, b := range all {
		if err := collect(b); err != nil {
			return err
		}
		if b.State == cancelled {
			return fmt.Errorf("batch %s was cancelled; what it answered is kept, and another run asks for the rest", b.ID)
		}
	}
	return nil
}

func count(todo map[string]asking) (requests int) {
	for _, a := range todo {
		requests += len(a.order)
	}
	return requests
}

// enlist names an order. Equal requests are told apart by a number.
func (m *model) enlist(todo map[string]asking, reqs []lineage.Request, o order) error {
	group := m.group(reqs, o)
	b := m.body(group)
	data, err := b.encode()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	name := hex.EncodeToString(sum[:16])
	for n := 2; ; n++ {
		if _, taken := todo[name]; !taken {
			break
		}
		name = fmt.Sprintf("%s-%d", hex.EncodeToString(sum[:16]), n)
	}
	a := asking{order: o, body: data}
	if !m.price.free() {
		a.most = m.half().most(len(data), len(b.Messages), len(group)*m.mostTokens(group[0]))
	}
	todo[name] = a
	return nil
}

// half is the price in a batch.
func (m *model) half() tariff {
	t := m.price
	t.batch = true
	return t
}

func remaining(todo map[string]asking) (rest []order) {
	for _, name := range slices.Sorted(maps.Keys(todo)) {
		rest = append(rest, todo[name].order)
	}
	return rest
}

// plan makes batches of what has no answer, in the order of the names.
func (m *model) plan(todo map[string]asking) (all []*batch) {
	var b *batch
	var marks strings.Builder
	begin := func() {
		if b != nil {
			b.name(marks.String())
			all = append(all, b)
		}
		b = &batch{batchState: batchState{Step: uploading, At: m.now().Unix()}}
		marks.Reset()
	}
	begin()
	for _, name := range slices.Sorted(maps.Keys(todo)) {
		line := lineOf(name, todo[name].body)
		if len(b.lines) == batchLines || b.Bytes+len(line) > batchBytes {
			begin()
		}
		b.lines, b.Bytes, b.Most = append(b.lines, line), b.Bytes+len(line), b.Most+todo[name].most
		marks.WriteString(mark(name))
	}
	begin()
	return all
}
