package protocol

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
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
	silent  chan struct{} // it has exited, and nothing more is heard or told of it
	endless bool          // the child sent a line beyond all bounds; read once heard is closed
	state   error         // how it ended; read once exited is closed
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
		heard: make(chan heard, 64), quit: make(chan struct{}), exited: make(chan struct{}), silent: make(chan struct{}),
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
	for left := 2; left > 0; {
		select {
		case <-reading:
			left--
		case <-late.C:
			p.ours[1].Close()
			p.ours[2].Close()
		}
	}
	p.close()
	close(c.silent)
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

func (c *child) alive() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
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
	<-c.silent
}
