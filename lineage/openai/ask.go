package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What is tried again, how often, and how long that waits: half a second, then
// twice as long each time.
const (
	tries     = 8
	firstWait = 500 * time.Millisecond
	mostWait  = time.Minute      // of our own accord
	patience  = 15 * time.Minute // in all, where the server asks for it
)

// What is on its way to be there, a model that loads or one that was made a
// moment ago, is asked for at this interval.
const (
	arrivalWait = 5 * time.Second
	arrival     = 5 * time.Minute // of a model that was made
)

// question is a request as it is metered and told.
type question struct {
	model  string
	tokens int    // our guess
	body   []byte // nil for the API package's own
	young  bool   // the model may have been made a moment ago
	spend  spending
	wait   context.Context // ends the waiting for a turn, not what is on its way; nil for the caller's
	bound  int64           // most bytes of an answer; 0 for maxBody
	longer time.Duration   // than Servers.Timeout, which an attempt may take
}

// spending sets money aside for one attempt, before it is sent. settle is told
// how the attempt went. nil costs nothing.
type spending func(ctx context.Context) (settle func(a *attempt, err error) error, err error)

func (s spending) begin(ctx context.Context) (func(*attempt, error) error, error) {
	if s == nil {
		return func(*attempt, error) error { return nil }, nil
	}
	return s(ctx)
}

// ask sends a request until it is answered or there is no use in trying.
func (c *Client) ask(ctx context.Context, q question, send func(context.Context) (used int, err error)) error {
	start := c.servers.clock.now()
	if q.wait == nil {
		q.wait = ctx
	}
	for n := 1; ; n++ {
		a, used, err := c.attempt(ctx, q, send)
		if err == nil {
			c.gate.settle(used, q.tokens)
			return nil
		}
		if a == nil { // it was not let through, or cannot be paid
			return err
		}
		if q.wait.Err() != nil {
			return q.wait.Err()
		}
		cure, fault := c.fault(a, q, err)
		now := c.servers.clock.now()
		wait, most := pause(a.status, a.header, n, now), patience
		switch {
		case cure == none:
			return fault
		case cure == arrives:
			n, wait = 0, arrivalWait // not one of the tries
			if a.status == http.StatusNotFound {
				most = arrival
			}
		case n == tries:
			if a.status == 0 { // it is not there, for whatever model
				fault = halt(fault)
			}
			return fmt.Errorf("%w; it was asked %d times", fault, tries)
		}
		if wait > patience {
			return fmt.Errorf("%w; it asks for a pause of %s, so go on then", fault, wait.Round(time.Second))
		}
		if spent := now.Sub(start); spent+wait > most {
			return fmt.Errorf("%w; it was asked for %s", fault, spent.Round(time.Second))
		}
		again := fmt.Sprintf("attempt %d of %d", n+1, tries)
		if cure == arrives {
			again = "for " + most.String()
		}
		c.tell(fmt.Sprintf("%s: %v; it is asked again in %s (%s)", c.name, fault, wait.Round(time.Millisecond), again))
		if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
			c.gate.shutFor(wait) // for whoever else is about to ask
		} else if err := c.servers.clock.sleep(q.wait, wait); err != nil {
			return err
		}
	}
}

// attempt sends a request once. a is nil where nothing was sent.
func (c *Client) attempt(ctx context.Context, q question, send func(context.Context) (int, error)) (a *attempt, used int, err error) {
	if err := c.gate.enter(q.wait, q.tokens); err != nil {
		return nil, 0, err
	}
	defer c.gate.leave()
	settle, err := q.spend.begin(q.wait)
	if err != nil {
		return nil, 0, err
	}
	a = &attempt{server: c.server, body: q.body, bound: q.bound, at: c.servers.clock.now()}
	once, cancel := c.servers.unhurried(ctx, q.longer)
	used, err = send(a.in(once))
	cancel()
	c.gate.heard(q.model, a.header)
	if a.status == http.StatusTooManyRequests {
		c.gate.tooMany(a.at)
	}
	if unsettled := settle(a, err); unsettled != nil {
		return nil, 0, errors.Join(err, unsettled)
	}
	return a, used, err
}

// tell logs a line once for all that ask the server, until it answers again.
func (c *Client) tell(line string) {
	log := c.log
	if log == nil {
		log = c.servers.Log
	}
	if log != nil && c.gate.news(line) {
		log("%s", line)
	}
}

// unhurried is the context of one attempt. It does not end with ctx: what is on
// its way is paid for, so it has a while to be answered and recorded.
func (s *Servers) unhurried(ctx context.Context, longer time.Duration) (context.Context, context.CancelFunc) {
	once, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Timeout+longer)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(s.Grace):
			cancel()
		case <-once.Done():
		}
	})
	return once, func() { stop(); cancel() }
}

// Faults that the API package does not see.
var (
	errRedirect = errors.New("redirect")
	errNoChoice = errors.New("an answer without a choice")
	errVectors  = errors.New("not one vector of one length for each text")
)

// declined is a request that its server will never take, for what is in it.
// finish tells in what way, where the server says so.
type declined struct {
	finish string
	error
}
