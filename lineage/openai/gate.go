package openai

import (
	"context"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// clock is the time and the wait that limits go by.
type clock struct {
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration) error
}

var wallClock = clock{time.Now, func(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}}

// gate lets requests through to one server, as many a minute and at once as it
// takes. Whoever wants in stands in line, and only the head of the line holds a
// reservation: a gate that shuts holds everybody else's place, and when it opens
// they do not all rush in.
type gate struct {
	clock
	line  chan struct{} // held by the head
	freed chan struct{} // that a request has left

	mu               sync.Mutex
	busy, most       int // requests on their way, and their bound; 0 for none
	pace             tempo
	requests, tokens *rate.Limiter // nil: no bound
	owed             float64       // tokens that were used beyond what was reserved
	shut             time.Time     // until when nobody passes
	told             map[string]bool
	answers          bool // it has answered
}

func newGate(c clock) *gate {
	return &gate{clock: c, line: make(chan struct{}, 1), freed: make(chan struct{}, 1), pace: tempo{share: 1}}
}

// limit lowers the bounds; 0 leaves them.
func (g *gate) limit(s Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace.requests.ours = lower(g.pace.requests.ours, s.Requests)
	g.pace.tokens.ours = lower(g.pace.tokens.ours, s.Tokens)
	g.most = int(lower(float64(g.most), float64(s.InFlight)))
	g.keepPace(g.opens(g.now()))
}

// opens is when the next request may pass as far as the gate is shut. Limiters
// go by it alone: a time that went back would count twice.
func (g *gate) opens(now time.Time) time.Time {
	if g.shut.After(now) {
		return g.shut
	}
	return now
}

// lower gives the lower of two bounds, of which 0 is none.
func lower(a, b float64) float64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// keepPace sets the limiters to the present pace.
func (g *gate) keepPace(now time.Time) {
	// So many requests pass at once that timers need not be exact. In every
	// minute they and what flows in are the bound together.
	burst := func(perMinute float64) float64 { return max(1, math.Floor(perMinute/60/20)) }
	g.requests = limiter(g.requests, now, g.pace.ofRequests(), burst)
	// Servers count tokens by the second at times.
	g.tokens = limiter(g.tokens, now, g.pace.of(g.pace.tokens), func(perMinute float64) float64 { return max(1, math.Floor(perMinute/60)) })
}

func limiter(l *rate.Limiter, now time.Time, perMinute float64, burst func(float64) float64) *rate.Limiter {
	if perMinute == 0 {
		return nil
	}
	b := burst(perMinute)
	flow := rate.Limit((perMinute - b + 1) / 60)
	if l == nil {
		return rate.NewLimiter(flow, int(b))
	}
	l.SetLimitAt(now, flow)
	l.SetBurstAt(now, int(b))
	return l
}

// enter waits for the turn of a request of so many tokens, which then must leave.
func (g *gate) enter(ctx context.Context, tokens int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g.line <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.line }()
	for g.full() {
		select {
		case <-g.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		if err := g.pass(ctx, tokens); err != nil {
			return err
		}
		g.mu.Lock()
		if !g.shut.After(g.now()) {
			g.busy++
			g.pace.count(g.now())
			g.mu.Unlock()
			return nil
		}
		g.mu.Unlock()
		g.giveBack(tokens) // it was shut meanwhile, so the reservation is worth nothing
	}
}

func (g *gate) full() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most > 0 && g.busy >= g.most
}

func (g *gate) leave() {
	g.mu.Lock()
	g.busy--
	g.mu.Unlock()
	select {
	case g.freed <- struct{}{}:
	default:
	}
}

// pass waits until a request may go by the limits.
func (g *gate) pass(ctx context.Context, tokens int) error {
	wait := g.reserve(tokens)
	if wait <= 0 {
		return nil
	}
	err := g.sleep(ctx, wait)
	if err != nil {
		g.giveBack(tokens)
	}
	return err
}

// giveBack returns what was reserved and not used.
func (g *gate) giveBack(tokens int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tokens != nil {
		g.owed -= float64(tokens)
	}
}

func (g *gate) reserve(tokens int) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	at := g.opens(now)
	if g.pace.recover(at) {
		g.keepPace(at)
	}
	wait := at.Sub(now)
	if g.requests != nil {
		wait = max(wait, g.requests.ReserveN(at, 1).DelayFrom(now))
	}
	if g.tokens == nil {
		return wait
	}
	// Of what was reserved too much or too little, the next request has the
	// difference. More than a burst at once is never granted: it is taken in parts.
	need := tokens + int(g.owed)
	g.owed = min(0, float64(need))
	for burst := g.tokens.Burst(); need > 0; need -= burst {
		wait = max(wait, g.tokens.ReserveN(at, min(need, burst)).DelayFrom(now))
	}
	return wait
}

// heard takes up what the header of an answer tells of the limits of a model.
func (g *gate) heard(model string, h http.Header) {
	requests, tokens := limitOf(h, "requests"), limitOf(h, "tokens")
	if requests == 0 && tokens == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pace.told(model, requests, tokens) {
		g.keepPace(g.opens(g.now()))
	}
}

// tooMany slows down after a refusal of what was sent at a time.
func (g *gate) tooMany(sent time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); g.pace.halve(sent, now) {
		g.keepPace(g.opens(now))
	}
}

// shutFor holds everybody back.
func (g *gate) shutFor(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := g.now().Add(d); until.After(g.shut) {
		g.shut = until
	}
}

// settle tells what an answered request used, 0 where its server does not say,
// and what it had reserved.
func (g *gate) settle(used, reserved int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told, g.answers = nil, true
	if g.tokens != nil && used > 0 {
		g.owed += float64(used - reserved)
	}
}

// answered tells whether the server has ever answered as it should.
func (g *gate) answered() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.answers
}

// news tells whether a line has not been told since the server last answered.
func (g *gate) news(line string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told[line] {
		return false
	}
	if g.told == nil {
		g.told = map[string]bool{}
	}
	g.told[line] = true
	return true
}
