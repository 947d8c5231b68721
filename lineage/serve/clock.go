package serve

import (
	"context"
	"time"
)

// clock is the server's time, which may pass faster than the time of day.
type clock struct {
	speed float64
	start time.Time // by the time of day
	from  time.Time // by this clock
}

// newClock never goes behind what a journal has.
func newClock(speed float64, last int64) clock {
	now := time.Now()
	from := now
	if t := time.Unix(0, last); t.After(from) {
		from = t
	}
	return clock{speed, now, from}
}

func (c *clock) now() time.Time {
	speed := c.speed
	if speed == 0 {
		speed = 1
	}
	return c.from.Add(time.Duration(float64(time.Since(c.start)) * speed))
}

// sleep waits for a time by this clock; at speed 0 for none.
func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	if c.speed == 0 || d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(time.Duration(float64(d) / c.speed))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
