package command

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// A machine has its accelerators and its ports once, however many backends an
// experiment has: arms that differ in a setting are backends of their own.
var (
	trainers queue
	hosts    sync.Map // address of a server to *host
)

// queue lets through so many at once.
type queue struct {
	mu    sync.Mutex
	busy  int
	freed chan struct{} // closed when one leaves
}

func (q *queue) enter(ctx context.Context, most int) (leave func(), err error) {
	for {
		q.mu.Lock()
		if q.busy < most && ctx.Err() == nil {
			q.busy++
			q.mu.Unlock()
			return q.leave, nil
		}
		if q.freed == nil {
			q.freed = make(chan struct{})
		}
		freed := q.freed
		q.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy--
	if q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
}

// host has the server of one address, where this program starts it: one command
// after the other, each for as long as somebody asks it. A command that does not
// name the model is the same for all models, and its server stays.
type host struct {
	mu      sync.Mutex
	users   int
	freed   chan struct{} // closed when the users of the server are gone
	of      string        // the command that it was started by
	running *process
	starts  int // how many servers were started, which tells one from the next
}

// process is a server that was started.
type process struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
	state  error // read once exited is closed
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (b *Backend) host() *host {
	h, _ := hosts.LoadOrStore(strings.TrimRight(b.config.Serve.URL, "/"), &host{})
	return h.(*host)
}

// acquire gives the right to ask a server that can have the model, and says
// which start of it that is.
func (b *Backend) acquire(ctx context.Context, a *Artifact) (start int, release func(), err error) {
	c := b.config.Serve
	if len(c.Command) == 0 {
		return 0, func() {}, newWire(c).awaitReady(ctx, c.Kind, seconds(c.Start), nil, b.world.Log)
	}
	argv, err := b.serveVariables(a).argv("serve.cmd", c.Command)
	if err != nil {
		return 0, nil, fmt.Errorf("command: %w", err)
	}
	program(b.world.Dir, argv)
	h, of := b.host(), strings.Join(argv, "\x00")
	for {
		h.mu.Lock()
		if h.users == 0 || h.of == of {
			break // with the lock
		}
		freed := h.freed
		h.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
	}
	defer h.mu.Unlock()
	if h.running != nil && (h.of != of || !h.running.alive()) {
		h.running.end(seconds(b.config.Train.Grace))
		h.running = nil
	}
	if h.running == nil {
		h.starts++
		if h.running, err = b.start(ctx, h.starts, argv, a); err != nil {
			return 0, nil, err
		}
		h.of = of
	}
	if h.users == 0 {
		h.freed = make(chan struct{})
	}
	h.users++
	return h.starts, h.release, nil
}

func (h *host) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users--; h.users == 0 {
		close(h.freed)
	}
}

// start starts a server and waits until it is ready.
func (b *Backend) start(ctx context.Context, n int, argv []string, a *Artifact) (*process, error) {
	w := newWire(b.config.Serve)
	if _, err := w.ask(ctx, "GET", "/", nil); err == nil {
		return nil, fmt.Errorf("command: %w: a server answers at %s already; stop it, or leave serve.cmd out to ask that one", lineage.ErrHalt, w.url)
	}
	dir := filepath.Join(b.world.Folder, "servers")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	p := &process{exited: make(chan struct{}), log: filepath.Join(dir, fmt.Sprintf("server-%d.log", n))}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	env, secrets := childEnvironment(append(b.config.Serve.EnvPass, b.config.Serve.KeyEnv))
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.Env = append(append(env, b.serveVariables(a).environment()...), "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True", "MISTRALRS_ALLOW_RUNTIME_LORA_UPDATING=1")
	ownGroup(p.cmd, false)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("command: %w: the server %s cannot be started: %w", lineage.ErrHalt, argv[0], err)
	}
	go func() {
		p.state = p.cmd.Wait()
		killGroup(p.cmd.Process.Pid)
		close(p.exited)
	}()
	b.world.Log("%s: the server begins (process %d, %s): %s", w.url, p.cmd.Process.Pid, p.log, line(hide(strings.Join(argv, " "), secrets), longestLine))
	gone := func() error {
		if p.alive() {
			return nil
		}
		return fmt.Errorf("command: the server ended before it was ready (%v); its log is %s; its last words: %s", p.state, p.log, tail(p.log, secrets))
	}
	if err := w.awaitReady(ctx, b.config.Serve.Kind, seconds(b.config.Serve.Start), gone, b.world.Log); err != nil {
		p.end(0)
		return nil, err
	}
	return p, nil
}

// end asks a server to end, and ends it and its children after the grace.
func (p *process) end(grace time.Duration) {
	if p.alive() {
		askGroup(p.cmd.Process.Pid)
		select {
		case <-p.exited:
		case <-time.After(grace):
			if p.alive() {
				killGroup(p.cmd.Process.Pid)
			}
		}
	}
	<-p.exited
}

// Close stops the server that was started, unless somebody asks it.
func (b *Backend) Close() error {
	h := b.host()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running != nil && h.users == 0 {
		h.running.end(seconds(min(b.config.Train.Grace, 10)))
		h.running = nil
	}
	return nil
}

func (b *Backend) serveVariables(a *Artifact) variables {
	c := b.config.Serve
	v := serveVariables{Base: b.config.Base, Dir: b.world.Dir, Context: c.Context}
	if u, err := url.Parse(c.URL); err == nil {
		v.Host, v.Port = u.Hostname(), u.Port()
	}
	if a != nil {
		v.Kind, v.ModelName, v.Artifact = a.Kind, a.name(), b.here(a)
	}
	return v.variables()
}

// here is the path of an artifact on this machine, there as its server sees it.
func (b *Backend) here(a *Artifact) string {
	switch a.Kind {
	case Remote:
		return ""
	case Bare:
		return a.Base
	}
	return filepath.Join(b.world.Folder, a.Path)
}

func (b *Backend) there(a *Artifact) string {
	path, longest := b.here(a), ""
	for here := range b.config.Serve.PathMap {
		inside := path == here || strings.HasPrefix(path, strings.TrimRight(here, "/")+"/")
		if inside && len(here) > len(longest) {
			longest = here
		}
	}
	if longest == "" {
		return path
	}
	return strings.TrimRight(b.config.Serve.PathMap[longest], "/") + strings.TrimPrefix(path, strings.TrimRight(longest, "/"))
}
