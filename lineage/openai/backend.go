package openai

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Backend makes models with a provider: by fine-tuning, or by putting documents
// of the corpus before every request. It meets lineage.Worldly, Quoter, Screener,
// Remote and Checked.
type Backend struct {
	config  Config
	profile Profile
	servers *Servers
	enter   sync.Once
	world   lineage.World
	client  *Client
	closed  error // why there is no client
}

// shared are the servers of all lines of a process: their limits hold together.
var shared Servers

// New checks a configuration. Nothing is asked, and no key is read, before the
// backend is entered or used.
func New(c Config) (*Backend, error) {
	return newBackend(c, &shared)
}

func newBackend(c Config, servers *Servers) (*Backend, error) {
	p, err := c.profile()
	if err != nil {
		return nil, err
	}
	if p.Name == "openai" && c.BaseURL == "" {
		set(&p.BaseURL, os.Getenv("OPENAI_BASE_URL"))
	}
	if err := c.check(p); err != nil {
		return nil, err
	}
	return &Backend{config: c, profile: p, servers: servers}, nil
}

// Enter implements lineage.Worldly.
func (b *Backend) Enter(w lineage.World) error {
	b.enter.Do(func() { b.begin(w) })
	return b.closed
}

func (b *Backend) begin(w lineage.World) {
	if w.Purse == nil {
		w.Purse = open{}
	}
	if w.Log == nil {
		w.Log = func(string, ...any) {}
	}
	b.world = w
	p := b.profile
	server := Server{
		BaseURL: p.BaseURL, Key: os.Getenv(p.KeyEnv), KeyEnv: p.KeyEnv,
		Requests: b.config.Limits.Requests, Tokens: b.config.Limits.Tokens,
	}
	if p.Dialect == dialectAzure {
		server.APIVersion = p.APIVersion
	}
	if p.Name == "openai" {
		server.Organization, server.Project = os.Getenv("OPENAI_ORG_ID"), os.Getenv("OPENAI_PROJECT_ID")
	}
	if b.client, b.closed = b.servers.Open(p.Name, server); b.closed != nil {
		return
	}
	b.client.log = w.Log
	if server.Key != "" && b.servers.first(b.client) {
		w.Log("%s: %s gets the key in %s", p.Name, b.client.Address(), p.KeyEnv)
	}
}

// open is the purse of work outside of a run.
type open struct{}

func (open) Reserve(lineage.USD, string) (func(lineage.USD) error, error) {
	return func(lineage.USD) error { return nil }, nil
}

// ready enters a backend that is used outside of a run, and tells of a missing key
// before anybody is asked.
func (b *Backend) ready() error {
	if err := b.Enter(lineage.World{}); err != nil {
		return err
	}
	if b.client.server.Key == "" && !b.keyless() {
		return fmt.Errorf("%s: the environment variable %s is not set, and %s answers nobody without a key: %w",
			b.profile.Name, b.profile.KeyEnv, b.client.Address(), lineage.ErrHalt)
	}
	return nil
}

// keyless tells servers that may well want no key.
func (b *Backend) keyless() bool {
	return b.profile.Local || b.profile.Name == "compatible" || loopback(b.client.address.Hostname())
}

// Train implements lineage.Backend.
func (b *Backend) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	start := b.untrained()
	if job.Base != nil {
		var ok bool
		if start, ok = job.Base.(*Artifact); !ok {
			return nil, fmt.Errorf("openai: cannot start from a base of type %T", job.Base)
		}
	}
	if !slices.Contains(b.profile.Learners, job.Learner) {
		return nil, b.cannot(job.Learner)
	}
	if job.Learner == lineage.Prompted {
		return b.prompted(ctx, job, start)
	}
	if err := b.ready(); err != nil {
		return nil, err
	}
	return b.tune(ctx, job, start.Model)
}

// Untrained implements lineage.Untrained.
func (b *Backend) Untrained() (lineage.Artifact, error) { return b.untrained(), nil }

// untrained is the model as the provider has it.
func (b *Backend) untrained() *Artifact {
	_, tuned := baseOf(b.config.Model)
	return &Artifact{Profile: b.profile.Name, Model: b.config.Model, Start: b.config.Model, Tuned: tuned}
}

func (b *Backend) cannot(l lineage.Learner) error {
	return fmt.Errorf("learner: %s cannot do %s (%s); it can do %v", b.profile.Name, l, b.profile.About, b.profile.Learners)
}

// Open implements lineage.Backend.
func (b *Backend) Open(_ context.Context, art lineage.Artifact) (lineage.Model, error) {
	a, ok := art.(*Artifact)
	if !ok {
		return nil, fmt.Errorf("openai: cannot open an artifact of type %T", art)
	}
	if err := b.ready(); err != nil {
		return nil, err
	}
	return newModel(b.client, a, b.config.Sampling, b.profile, b.world), nil
}
