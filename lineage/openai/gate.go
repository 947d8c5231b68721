package openai

import (
	"context"
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

// gate lets requests through to one server, as many a minute as it takes.
type gate struct {
	clock
	mu               sync.Mutex
	requests, tokens *rate.Limiter // nil: no bound
	owed             float64       // tokens that were used beyond what was reserved
	shut             time.Time     // until when nobody passes
	told             map[string]bool
}

// limit lowers the bounds; 0 leaves them.
func (g *gate) limit(requests, tokens float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests = lower(g.requests, requests)
	g.tokens = lower(g.tokens, tokens)
}

// lower gives the stricter of two limits. Servers count by the second, so a
// second's worth may pass at once and no more.
func lower(l *rate.Limiter, perMinute float64) *rate.Limiter {
	if perMinute == 0 || l != nil && float64(l.Limit()) <= perMinute/60 {
		return l
	}
	return rate.NewLimiter(rate.Limit(perMinute/60), max(1, int(perMinute/60)))
}

// enter waits for the turn of a request of so many tokens.
func (g *gate) enter(ctx context.Context, tokens int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for wait := g.reserve(tokens); ; wait = g.closed() {
		if wait <= 0 {
			return nil
		}
		if err := g.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (g *gate) reserve(tokens int) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	wait := g.shut.Sub(now)
	if g.requests != nil {
		wait = max(wait, g.requests.ReserveN(now, 1).DelayFrom(now))
	}
	if g.tokens == nil {
		return wait
	}
	// Of what was reserved too much or too little, the next request has the
	// difference. More than a burst at once is never granted: it is taken in parts.
	need := tokens + int(g.owed)
	g.owed = min(0, float64(need))
	for burst := g.tokens.Burst(); need > 0; need -= burst {
		wait = max(wait, g.tokens.ReserveN(now, min(need, burst)).DelayFrom(now))
	}
	return wait
}

// closed is how long the gate is shut.
func (g *gate) closed() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut.Sub(g.now())
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
	g.told = nil
	if g.tokens != nil && used > 0 {
		g.owed += float64(used - reserved)
	}
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
