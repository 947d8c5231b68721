package openai

import "time"

// bound is how many requests or tokens a minute are allowed, 0 for no bound.
type bound struct{ ours, theirs float64 }

// ofServer is the part of a server's own limit that is used: what others use of
// the same account, and clocks, are not known to us.
const ofServer = 0.9

func (b bound) least() float64 { return lower(b.ours, ofServer*b.theirs) }

// tempo is the share of the bounds that a server bears: halved when it says "too
// many", and grown by a twentieth of the whole in each minute after that
// (additive increase, multiplicative decrease: Chiu and Jain, 1989).
type tempo struct {
	requests, tokens bound
	models           map[string][2]float64 // what the server told of each
	share            float64
	learned          float64   // requests a minute that were too many, where no bound of them is known
	cut, grown       time.Time // when it was last halved and grown

	passed int // since the time from
	from   time.Time
}

const (
	recovery   = 0.05    // a minute
	leastShare = 1. / 64 // of a bound that is known
	leastPace  = 60      // requests a minute where none is known: pauses do the rest
)

// of is the present pace under a bound, in its unit a minute.
func (p *tempo) of(b bound) float64 { return min(1, p.share) * b.least() }

// ofRequests is the present pace of requests.
func (p *tempo) ofRequests() float64 {
	if p.requests.least() == 0 && p.learned > 0 {
		return max(leastPace, p.share*p.learned)
	}
	return p.of(p.requests)
}

// count notes a request that passed.
func (p *tempo) count(now time.Time) {
	if p.passed == 0 || now.Sub(p.from) > time.Minute {
		p.passed, p.from = 0, now
	}
	p.passed++
}

// told takes up the limits of a server for one of its models, and tells whether
// they are news. Of several models the lowest hold.
func (p *tempo) told(model string, requests, tokens float64) bool {
	now := [2]float64{requests, tokens}
	if p.models[model] == now {
		return false
	}
	if p.models == nil {
		p.models = map[string][2]float64{}
	}
	p.models[model] = now
	p.requests.theirs, p.tokens.theirs = 0, 0
	for _, m := range p.models {
		p.requests.theirs, p.tokens.theirs = lower(p.requests.theirs, m[0]), lower(p.tokens.theirs, m[1])
	}
	return true
}

// halve slows down, but for a request that was sent before the last time: it
// only says the same again.
func (p *tempo) halve(sent, now time.Time) bool {
	if !sent.After(p.cut) {
		return false
	}
	if p.requests.least() == 0 && p.learned == 0 {
		p.learned, p.share = float64(p.passed)/max(time.Second, now.Sub(p.from)).Minutes(), 1
	}
	p.share, p.cut, p.grown = max(leastShare, p.share/2), now, now
	return true
}

// recover grows the pace for the time that passed, and tells whether it did.
func (p *tempo) recover(now time.Time) bool {
	full := p.share >= 1 && p.learned == 0
	since := now.Sub(p.grown)
	if full || since <= 0 {
		return false
	}
	p.share, p.grown = p.share+recovery*since.Minutes(), now
	if p.learned == 0 {
		p.share = min(1, p.share)
	}
	return true
}
