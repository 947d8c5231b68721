package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What is tried again, how often, and how long that waits: half a second, then
// twice as long each time.
const (
	tries     = 8
	firstWait = 500 * time.Millisecond
	mostWait  = time.Minute      // of our own accord
	patience  = 15 * time.Minute // where the server asks for it
)

// question is a request as it is metered and told.
type question struct {
	model  string
	tokens int // our guess
	extra  []byte
}

// ask sends a request until it is answered or there is no use in trying.
func (c *Client) ask(ctx context.Context, q question, send func(context.Context) (used int, err error)) error {
	for n := 1; ; n++ {
		if err := c.gate.enter(ctx, q.tokens); err != nil {
			return err
		}
		a := &attempt{extra: q.extra, server: c.server}
		once, cancel := c.servers.unhurried(ctx)
		used, err := send(a.in(once))
		cancel()
		if err == nil {
			c.gate.settle(used, q.tokens)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fault, passes := c.fault(a, q.model, err)
		if !passes {
			return fault
		}
		wait := pause(a.header, n, c.servers.clock.now())
		if n == tries {
			return fmt.Errorf("%w; it was asked %d times", fault, tries)
		}
		if wait > patience {
			return fmt.Errorf("%w; it asks for a pause of %s, so go on then", fault, wait.Round(time.Second))
		}
		c.tell(fmt.Sprintf("%s: %v; it is asked again in %s (attempt %d of %d)", c.name, fault, wait.Round(time.Millisecond), n+1, tries))
		if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
			c.gate.shutFor(wait) // for whoever else is about to ask
		} else if err := c.servers.clock.sleep(ctx, wait); err != nil {
			return err
		}
	}
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
func (s *Servers) unhurried(ctx context.Context) (context.Context, context.CancelFunc) {
	once, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Timeout)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(s.Grace):
			cancel()
		case <-once.Done():
		}
	})
	return once, func() { stop(); cancel() }
}

// pause is how long the server wants to be left alone, or else our own wait
// after attempt n.
func pause(h http.Header, n int, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms >= 0 {
		return seconds(ms / 1000)
	}
	after := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseFloat(after, 64); err == nil && s >= 0 {
		return seconds(s)
	}
	if until, err := http.ParseTime(after); err == nil {
		if sent, err := http.ParseTime(h.Get("Date")); err == nil {
			now = sent // by the server's clock, which may not be ours
		}
		return max(0, until.Sub(now))
	}
	return min(mostWait, firstWait<<(n-1))
}

// seconds is a duration; no number is too large for it.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, 1e9) * float64(time.Second))
}

// Faults that the API package does not see.
var (
	errRedirect = errors.New("redirect")
	errNoChoice = errors.New("an answer without a choice")
	errVectors  = errors.New("not one vector of one length for each text")
)

// declined is a request that its server will never take, for what is in it.
type declined struct {
	finish string
	error
}
