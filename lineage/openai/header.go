package openai

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pause is how long the server wants to be left alone, or else our own wait
// after attempt n. When a limit has room again says nothing about other faults.
func pause(status int, h http.Header, n int, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms >= 0 {
		return seconds(ms / 1000)
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil {
		now = sent // by the server's clock, which may not be ours
	}
	if d, ok := span(h.Get("Retry-After"), now); ok {
		return d
	}
	if d := reset(h, now); d > 0 && status == http.StatusTooManyRequests {
		return d
	}
	return min(mostWait, firstWait<<(n-1))
}

// span reads a duration in the forms that servers use: 2, 0.5, 60s, 120ms, 6m0s,
// or the date that it ends at.
func span(text string, now time.Time) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if s, err := strconv.ParseFloat(text, 64); err == nil {
		return seconds(s), s >= 0
	}
	if d, err := time.ParseDuration(text); err == nil {
		return d, d >= 0
	}
	until, err := http.ParseTime(text)
	if err != nil {
		until, err = time.Parse(time.RFC3339, text)
	}
	return max(0, until.Sub(now)), err == nil
}

// seconds is a duration; no number is too large for it.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, 1e9) * float64(time.Second))
}

// reset is when the limit that was hit has room again: of two, that of which
// nothing remains, or else the nearer one. 0 where it is not told.
func reset(h http.Header, now time.Time) time.Duration {
	var nearest time.Duration
	for _, kind := range []string{"requests", "tokens"} {
		d, ok := span(h.Get("X-Ratelimit-Reset-"+kind), now)
		if !ok {
			continue
		}
		if h.Get("X-Ratelimit-Remaining-"+kind) == "0" {
			return d
		}
		if nearest == 0 || d < nearest {
			nearest = d
		}
	}
	return nearest
}

// limitOf is a server's limit of requests or tokens a minute, 0 where it is not
// told. Some tell their limit of a day under the same name: for a window that
// refills evenly, the time to a full one tells its length.
func limitOf(h http.Header, kind string) float64 {
	limit := number(h.Get("X-Ratelimit-Limit-" + kind))
	if limit == 0 {
		return 0
	}
	left, err := strconv.ParseFloat(h.Get("X-Ratelimit-Remaining-"+kind), 64)
	full, ok := span(h.Get("X-Ratelimit-Reset-"+kind), time.Time{})
	if err != nil || !ok || !(left >= 0 && left < limit) {
		return limit
	}
	window := full.Minutes() * limit / (limit - left)
	for _, length := range []float64{60, 24 * 60} {
		if math.Abs(window/length-1) < 0.05 {
			return limit / length
		}
	}
	return limit
}

// number reads a finite number above 0, and anything else as 0.
func number(text string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(v > 0) || math.IsInf(v, 1) {
		return 0
	}
	return v
}
