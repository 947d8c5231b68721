package protocol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// greet says hello and waits for ready.
func (c *child) greet(ctx context.Context, h hello, patience time.Duration) (Ready, error) {
	var b bytes.Buffer
	if err := appendLine(&b, h); err != nil {
		return Ready{}, fmt.Errorf("config: %w", err)
	}
	written := make(chan struct{})
	go func() { c.in.Write(b.Bytes()); close(written) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for said := 0; ; {
		select {
		case h, ok := <-c.heard:
			switch {
			case !ok:
				return Ready{}, c.ended("before it was ready")
			case bytes.HasPrefix(bytes.TrimSpace(h.data), []byte("{")):
				ready, err := parseReady(h.data)
				select {
				case <-written:
				case <-timer.C:
					err = errors.Join(err, errors.New("is ready without having read hello"))
				}
				return ready, err
			case said < 1000:
				said++
				c.log.say(rubbish, "before it is ready it prints %s on standard output, which is for the protocol; print to stderr instead", excerpt(h.data))
			default:
				return Ready{}, errors.New("prints without end and never the ready message; what is for people belongs on stderr")
			}
		case <-timer.C:
			return Ready{}, &broken{fmt.Sprintf(`did not answer hello within %v; a detector prints {"type":"ready","name":…} and flushes its output; start_timeout gives it more time`, patience), c.words.String()}
		case <-ctx.Done():
			return Ready{}, ctx.Err()
		}
	}
}

// ask implements link. Rows are written while answers are read, so that neither
// side waits for the other's pipe.
func (c *child) ask(ctx context.Context, rows []row, got func(int, *answer)) error {
	first := c.next + 1
	c.next += uint64(len(rows))
	written := make(chan error, 1)
	go func() { written <- c.write(rows, first) }()
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	seen := make([]bool, len(rows))
	for left := len(rows); left > 0; {
		select {
		case h, ok := <-c.heard:
			if !ok {
				return c.ended("")
			}
			if i, ok := c.place(&h, first, seen); ok {
				seen[i] = true
				left--
				got(i, &h.answer)
				timer.Reset(c.timeout)
			}
		case <-timer.C:
			return &broken{fmt.Sprintf("gave no answer within %v", c.timeout), c.words.String()}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case err := <-written:
		return err
	case <-timer.C:
		return &broken{"answered without reading what it was asked", c.words.String()}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// place finds the row that a line answers.
func (c *child) place(h *heard, first uint64, seen []bool) (int, bool) {
	if h.rubbish != nil {
		c.log.say(rubbish, "prints %s on standard output, which is for the protocol (%v); print to stderr instead", excerpt(h.data), h.rubbish)
		return 0, false
	}
	id, err := strconv.ParseUint(h.answer.id, 10, 64)
	switch {
	case err == nil && id < first && id > 0 || err == nil && id >= first && id-first < uint64(len(seen)) && seen[id-first]:
		c.log.say(duplicate, "answers row %q again; the first answer stands", h.answer.id)
	case err != nil || id >= first+uint64(len(seen)) || id == 0:
		c.log.say(unknown, "answers row %q, which was not asked; the id of an answer is that of its row", line(h.answer.id, 40))
	default:
		return int(id - first), true
	}
	return 0, false
}

func (c *child) write(rows []row, first uint64) error {
	var b bytes.Buffer
	for i, r := range rows {
		r.ID = strconv.FormatUint(first+uint64(i), 10)
		if err := appendLine(&b, r); err != nil {
			return err
		}
		if b.Len() < 1<<16 && i < len(rows)-1 {
			continue
		}
		if _, err := c.in.Write(b.Bytes()); err != nil {
			return nil // the reader learns of its end, and how
		}
		b.Reset()
	}
	return nil
}

// ended says why there is nothing more to hear. A process that closes its output
// mostly ends at once; one that does not within a while is told apart.
func (c *child) ended(when string) error {
	what := ""
	timer := time.NewTimer(3 * time.Second)
	defer timer.Stop()
	switch {
	case c.endless:
		what = fmt.Sprintf("sent a line of more than %d bytes; of spans the first %d are kept, so send no more", longestLine, mostSpans)
	default:
		select {
		case <-c.silent: // its last words have come too
			what = "ended with exit status 0"
			if c.state != nil {
				what = "ended with " + c.state.Error()
			}
		case <-timer.C:
			what = "closed its standard output"
		}
	}
	return &broken{strings.TrimSpace(what + " " + when), c.words.String()}
}
