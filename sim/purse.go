package sim

import (
	"fmt"
	"slices"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
)

// purse keeps what a run spends in its ledger. Money is set aside there in leases,
// each for many requests, so that two records do for hundreds of them:
//
//  1. a reservation is made out of the current lease, or a new one is recorded;
//  2. what it comes to is given back to its lease, but for what was spent;
//  3. a lease that is no longer used is recorded as settled.
//
// A lease that was never settled, because the process died, counts whole. The sum
// of what is settled and what is leased never passes the cap.
type purse struct {
	ledger lineage.Ledger
	cap    lineage.USD // NoCap for none

	mu      sync.Mutex
	next    int         // number of the next lease
	settled lineage.USD // of leases that are closed
	left    []*lease    // by processes that died
	open    []*lease    // of this process
	current *lease      // of open: the one that small reservations come out of
}

// lease is an amount that is set aside, and how it is used.
type lease struct {
	lineage.Lease
	number      int
	held, spent lineage.USD
	works       int // reservations that are not settled
}

// NoCap is the cap of a run that may spend without a bound.
const NoCap lineage.USD = -1

// Spending is what a ledger knows to be spent, and what may have been: set aside
// and not settled, because a process died or is at it.
type Spending struct {
	Spent     lineage.USD `json:"spent_nanodollars"`
	Uncertain lineage.USD `json:"uncertain_nanodollars"`
}

// Spent reads what the runs of a ledger spent.
func Spent(l lineage.Ledger) (Spending, error) {
	p, err := newPurse(l, NoCap)
	if err != nil {
		return Spending{}, err
	}
	return p.spending(), nil
}

func newPurse(l lineage.Ledger, most lineage.USD) (*purse, error) {
	p := &purse{ledger: l, cap: most}
	for {
		open := &lease{number: p.next}
		if ok, err := l.Load(lineage.LeaseKey(p.next), &open.Lease); err != nil || !ok {
			return p, err
		}
		var s lineage.Settled
		ok, err := l.Load(lineage.SettledKey(p.next), &s)
		if err != nil {
			return nil, err
		}
		if p.next++; ok {
			p.settled += s.Spent
		} else {
			p.left = append(p.left, open)
		}
	}
}

// size is that of a lease for many requests: what a process that dies leaves in
// doubt, against how often a record is written.
func (p *purse) size() lineage.USD {
	if p.cap < 0 {
		return lineage.Dollar / 10
	}
	return min(max(p.cap/200, lineage.Dollar/1000), lineage.Dollar/2)
}

// Reserve implements lineage.Purse.
func (p *purse) Reserve(most lineage.USD, what string) (settle func(lineage.USD) error, err error) {
	if most < 0 {
		return nil, fmt.Errorf("%s: cannot cost less than nothing", what)
	}
	if most == 0 {
		return func(actual lineage.USD) error { return p.book(actual, what) }, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.current
	if l == nil || l.spent+l.held+most > l.Most {
		if l, err = p.lease(most, what); err != nil {
			return nil, err
		}
	}
	l.held += most
	l.works++
	settled := false
	return func(actual lineage.USD) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if settled {
			return nil
		}
		settled = true
		l.held -= most
		l.spent += actual
		if l.works--; l.works > 0 || l == p.current {
			return nil
		}
		return p.close(l)
	}, nil
}

// book records what was spent unforeseen: it was to cost nothing, or nobody knew.
func (p *purse) book(actual lineage.USD, what string) error {
	if actual <= 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &lease{Lease: lineage.Lease{Most: actual, What: what}, number: p.next, spent: actual}
	if err := p.ledger.Save(lineage.LeaseKey(l.number), l.Lease); err != nil {
		return fatal{err}
	}
	p.next++
	p.open = append(p.open, l)
	return p.close(l)
}

// lease finds or records a lease that a reservation fits in.
func (p *purse) lease(most lineage.USD, what string) (*lease, error) {
	if i := slices.IndexFunc(p.left, func(l *lease) bool { return l.What != "" && l.What == what && l.Most >= most }); i >= 0 {
		l := p.left[i]
		p.left, p.open = slices.Delete(p.left, i, i+1), append(p.open, l)
		return l, nil
	}
	l := &lease{Lease: lineage.Lease{Most: p.size()}, number: p.next}
	own := most >= l.Most
	if own {
		l.Lease = lineage.Lease{Most: most, What: what}
	}
	if p.cap >= 0 {
		if p.committed()+l.Most > p.cap {
			if err := p.retire(nil); err != nil { // what it has left is room
				return nil, err
			}
		}
		room := p.cap - p.committed()
		if most > room {
			s := p.spending()
			return nil, fmt.Errorf("%s can cost up to %v, and of the cap of %v, %v is spent and %v is set aside for what is in flight or uncertain: %w",
				what, most, p.cap, s.Spent, s.Uncertain, lineage.ErrBudget)
		}
		l.Most = min(l.Most, room)
	}
	if err := p.ledger.Save(lineage.LeaseKey(l.number), l.Lease); err != nil {
		return nil, fatal{err}
	}
	p.next++
	p.open = append(p.open, l)
	if own {
		return l, nil
	}
	return l, p.retire(l)
}

// retire puts another lease in the place of the current one, which is closed
// where nothing is in flight that came out of it.
func (p *purse) retire(next *lease) error {
	old := p.current
	if next == nil && old != nil && old.works > 0 {
		return nil
	}
	p.current = next
	if old == nil || old.works > 0 {
		return nil
	}
	return p.close(old)
}

func (p *purse) close(l *lease) error {
	if err := p.ledger.Save(lineage.SettledKey(l.number), lineage.Settled{Spent: l.spent}); err != nil {
		return fatal{err}
	}
	p.settled += l.spent
	p.open = slices.DeleteFunc(p.open, func(o *lease) bool { return o == l })
	return nil
}

// committed is what counts towards the cap.
func (p *purse) committed() lineage.USD {
	sum := p.settled
	for _, l := range p.left {
		sum += l.Most
	}
	for _, l := range p.open {
		sum += max(l.Most, l.spent+l.held)
	}
	return sum
}

func (p *purse) spending() Spending {
	s := Spending{Spent: p.settled}
	for _, l := range p.left {
		s.Uncertain += l.Most
	}
	for _, l := range p.open {
		s.Spent, s.Uncertain = s.Spent+l.spent, s.Uncertain+l.held
	}
	return s
}

// spent is what was spent so far, without what is uncertain.
func (p *purse) spent() lineage.USD {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spending().Spent
}

// Close records what the leases of this process came to. One that something is
// still in flight of, such as a training that goes on elsewhere, stays open and
// counts whole until it is taken up again.
func (p *purse) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = nil
	for _, l := range slices.Clone(p.open) {
		if l.works > 0 {
			continue
		}
		if err := p.close(l); err != nil {
			return err
		}
	}
	return nil
}

// fatal is a fault of the run and not of the model at which it showed: no other
// would fare better.
type fatal struct{ error }

func (f fatal) Unwrap() error        { return f.error }
func (f fatal) Is(target error) bool { return target == lineage.ErrHalt }
