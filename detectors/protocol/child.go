package protocol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// broken is a link that failed. what is the same whenever it happens again;
// last are the last words on standard error.
type broken struct{ what, last string }

func (b *broken) Error() string {
	if b.last == "" {
		return b.what
	}
	return b.what + "; its last words: " + b.last
}

// heard is one line of a child's standard output, read.
type heard struct {
	data    []byte // where it is no answer
	answer  answer
	rubbish error
}

// child is a detector as a process. One goroutine at a time asks it.
type child struct {
	cmd     *exec.Cmd
	in      *os.File
	timeout time.Duration
	log     *journal
	heard   chan heard
	quit    chan struct{} // nobody listens any more
	exited  chan struct{}
	endless bool  // the child sent a line beyond all bounds; read once heard is closed
	state   error // how it ended; read once exited is closed
	next    uint64
	closing sync.Once
	words   lastWords
}

// pipes of a child: ours and its ends.
type pipes struct{ ours, its [3]*os.File }

func openPipes() (p pipes, err error) {
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			p.close()
			return p, err
		}
		p.ours[i], p.its[i] = r, w
		if i == 0 {
			p.ours[i], p.its[i] = w, r
		}
	}
	return p, nil
}

func (p *pipes) close() {
	for i := range 3 {
		for _, f := range []*os.File{p.ours[i], p.its[i]} {
			if f != nil {
				f.Close()
			}
		}
	}
}

// spawn starts the process, in a group of its own so that its children can be
// ended with it. It hears nothing of an interrupt at the terminal.
func spawn(argv []string, dir string, timeout time.Duration, log *journal) (*child, error) {
	p, err := openPipes()
	if err != nil {
		return nil, err
	}
	c := &child{
		cmd: exec.Command(argv[0], argv[1:]...), in: p.ours[0], timeout: timeout, log: log,
		heard: make(chan heard, 64), quit: make(chan struct{}), exited: make(chan struct{}),
	}
	c.cmd.Dir = dir
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = p.its[0], p.its[1], p.its[2]
	ownGroup(c.cmd)
	if err := c.cmd.Start(); err != nil {
		p.close()
		return nil, err
	}
	for _, f := range p.its {
		f.Close()
	}
	reading := make(chan struct{}, 2)
	go func() { c.read(p.ours[1]); reading <- struct{}{} }()
	go func() { c.readErrors(p.ours[2]); reading <- struct{}{} }()
	go c.await(p, reading)
	return c, nil
}

// await reaps the process, ends what it left behind in its group, at once, since
// the number of an empty group may be given to another, and stops the readers.
func (c *child) await(p pipes, reading chan struct{}) {
	c.state = c.cmd.Wait()
	endGroup(c.cmd.Process.Pid)
	close(c.exited)
	late := time.NewTimer(time.Second) // something that left the group may hold the pipes
	defer late.Stop()
	for range 2 {
		select {
		case <-reading:
		case <-late.C:
		}
	}
	p.ours[1].Close()
	p.ours[2].Close()
	p.ours[0].Close()
}

func (c *child) read(f *os.File) {
	defer close(c.heard)
	lines := newLines(f, longestLine)
	for {
		data, err := lines.next()
		if err != nil {
			c.endless = errors.Is(err, errTooLong)
			return
		}
		if len(bytes.TrimSpace(data)) == 0 {
			continue
		}
		var h heard
		if h.answer, h.rubbish = parseAnswer(data); h.rubbish != nil {
			h.data = bytes.Clone(data) // the ready message comes this way too
		}
		select {
		case c.heard <- h:
		case <-c.quit:
			return
		}
	}
}

func (c *child) readErrors(f *os.File) {
	lines := newLines(f, longestLine)
	for {
		data, err := lines.next()
		if err != nil && !errors.Is(err, errTooLong) {
			return
		}
		if said := line(string(data), longestReason); said != "" {
			c.words.add(said)
			c.log.say(standardError, "it says: %s", said)
		}
	}
}

// lastWords keeps the end of what a process said on standard error.
type lastWords struct {
	mu   sync.Mutex
	said []string
}

func (w *lastWords) add(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.said = append(w.said, s); len(w.said) > 3 {
		w.said = w.said[1:]
	}
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.said, " | ")
}

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

func (c *child) alive() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
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

// ended says why there is nothing more to hear.
func (c *child) ended(when string) error {
	what := ""
	timer := time.NewTimer(500 * time.Millisecond)
	defer timer.Stop()
	switch {
	case c.endless:
		what = fmt.Sprintf("sent a line of more than %d bytes", longestLine)
	default:
		select {
		case <-c.exited:
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

// end closes the input, which tells the process to end, and ends it and its group
// by force when it does not within the patience.
func (c *child) end(patience time.Duration) {
	c.closing.Do(func() {
		c.in.Close()
		close(c.quit)
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-c.exited:
			return
		case <-timer.C:
		}
		if c.alive() {
			endGroup(c.cmd.Process.Pid)
		}
	})
	<-c.exited
}
