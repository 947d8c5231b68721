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
)

// host starts the server, where the configuration says how: one for all models,
// or, where the command names {{.Artifact}}, one after the other, each for as
// long as somebody asks it. The zero value with its backend is ready.
type host struct {
	backend *Backend
	mu      sync.Mutex
	freed   chan struct{} // closed when the users of the server are gone
	users   int
	of      string // the model that the server was started for; "" for all
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

func (c Serve) each() bool {
	return strings.Contains(strings.Join(c.Command, " "), ".Artifact")
}

// acquire gives the right to ask a server that can have the model, and says
// which start of it that is.
func (h *host) acquire(ctx context.Context, a *Artifact) (start int, release func(), err error) {
	c := h.backend.config.Serve
	w := newWire(c)
	if len(c.Command) == 0 {
		return 0, func() {}, w.awaitReady(ctx, c.Kind, seconds(c.Start), nil, h.backend.world.Log)
	}
	of := ""
	if c.each() {
		of = a.name()
	}
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
		h.running.end(seconds(h.backend.config.Train.Grace))
		h.running = nil
	}
	if h.running == nil {
		if h.running, err = h.start(ctx, w, a); err != nil {
			return 0, nil, err
		}
		h.of = of
		h.starts++
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

// start starts the server and waits until it is ready.
func (h *host) start(ctx context.Context, w wire, a *Artifact) (*process, error) {
	b := h.backend
	if _, err := w.ask(ctx, "GET", "/", nil); err == nil {
		return nil, fmt.Errorf("command: a server answers at %s already; stop it, or leave serve.cmd out to ask that one", w.url)
	}
	argv, err := b.serveVariables(a).argv("serve.cmd", b.config.Serve.Command)
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	program(b.world.Dir, argv)
	dir := filepath.Join(b.world.Folder, "servers")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	p := &process{exited: make(chan struct{}), log: filepath.Join(dir, fmt.Sprintf("server-%d.log", h.starts+1))}
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
		return nil, fmt.Errorf("command: the server %s cannot be started: %w", argv[0], err)
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

// stop ends the server at the end of a run.
func (h *host) stop() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running == nil {
		return nil
	}
	h.running.end(seconds(min(h.backend.config.Train.Grace, 10)))
	h.running = nil
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
	if a.Kind == Remote {
		return ""
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
