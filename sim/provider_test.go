package sim

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/urn"
)

// provider is a backend that costs money, whose models are urns. What it keeps for
// an account outlives the backend, as a real provider's books outlive a process.
type provider struct {
	account *account
	urns    *urn.Backend
	world   lineage.World
}

type providerConfig struct {
	Account string `yaml:"account"`
}

// account is the provider's side: what it was asked and what it charged.
type account struct {
	sync.Mutex
	entered   int
	trained   map[lineage.ID]int
	asked     map[string]int
	charged   lineage.USD
	train     func(job lineage.Job, texts []string) error // before a training; nil for none
	ask       func(n int) error                           // before the n-th request; nil for none
	banned    string                                      // what its moderation flags
	unpriced  bool
	unbounded string
}

var accounts = struct {
	sync.Mutex
	byName map[string]*account
}{byName: map[string]*account{}}

const (
	trainingPrice = lineage.Dollar / 10
	mostTraining  = lineage.Dollar / 5
	requestPrice  = lineage.Dollar / 10_000
	mostRequest   = lineage.Dollar / 1_000
)

// openAccount makes an account with a provider for one test.
func openAccount(name string) *account {
	a := &account{trained: map[lineage.ID]int{}, asked: map[string]int{}}
	accounts.Lock()
	defer accounts.Unlock()
	accounts.byName[name] = a
	return a
}

func init() {
	open := func(c providerConfig) (lineage.Backend, error) {
		u, err := urn.New(urn.Config{Estimate: "mean"})
		if err != nil {
			return nil, err
		}
		accounts.Lock()
		defer accounts.Unlock()
		return &provider{account: accounts.byName[c.Account], urns: u}, nil
	}
	lineage.Register("provider", "an urn that costs money", []lineage.Learner{lineage.SFT}, providerConfig{}, open)
}

func (p *provider) Enter(w lineage.World) error {
	p.account.Lock()
	defer p.account.Unlock()
	p.world = w
	p.account.entered++
	return nil
}

// tuned is a model that has a name with the provider.
type tuned struct {
	lineage.Artifact
	name string
}

func (t tuned) MarshalBinary() ([]byte, error) {
	data, err := t.Artifact.MarshalBinary()
	return append([]byte(t.name+"\n"), data...), err
}

func (p *provider) Load(data []byte) (lineage.Artifact, error) {
	name, rest, _ := bytes.Cut(data, []byte("\n"))
	a, err := p.urns.Load(rest)
	return tuned{a, string(name)}, err
}

func (p *provider) Untrained() (lineage.Artifact, error) {
	examples := func(yield func(lineage.Example, error) bool) {
		yield(lineage.Example{Messages: []lineage.Message{{Role: "user", Content: "x"}, {Role: "assistant", Content: "untrained"}}, Weight: 1}, nil)
	}
	a, err := p.urns.Train(context.Background(), lineage.Job{Learner: lineage.SFT, Examples: examples, Count: 1})
	return tuned{a, "base"}, err
}

func (p *provider) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	settle, err := p.world.Purse.Reserve(mostTraining, "training "+string(job.Node))
	if err != nil {
		return nil, err
	}
	var texts []string
	for e, err := range job.Examples {
		if err != nil {
			return nil, err
		}
		texts = append(texts, e.Messages[len(e.Messages)-1].Content)
	}
	if err := job.Ticket.Save("job of " + string(job.Node)); err != nil {
		return nil, err
	}
	p.account.Lock()
	p.account.trained[job.Node]++
	before := p.account.train
	p.account.Unlock()
	if before != nil {
		if err := before(job, texts); err != nil {
			return nil, fmt.Errorf("%w", joined(err, settle(0)))
		}
	}
	p.account.Lock()
	p.account.charged += trainingPrice
	p.account.Unlock()
	if err := settle(trainingPrice); err != nil {
		return nil, err
	}
	if base, ok := job.Base.(tuned); ok {
		job.Base = base.Artifact
	}
	a, err := p.urns.Train(ctx, job)
	return tuned{a, string(job.Node)}, err
}

func joined(err, other error) error {
	if other != nil {
		return other
	}
	return err
}

func (p *provider) Open(ctx context.Context, a lineage.Artifact) (lineage.Model, error) {
	m, err := p.urns.Open(ctx, a.(tuned).Artifact)
	if err != nil {
		return nil, err
	}
	return providedModel{p, m, a.(tuned).name}, nil
}

type providedModel struct {
	*provider
	urn  lineage.Model
	name string
}

// Sample asks one by one, from the last to the first: the order is the model's own.
func (m providedModel) Sample(ctx context.Context, reqs []lineage.Request, emit func(int, lineage.Completion) error) error {
	for i := len(reqs) - 1; i >= 0; i-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		settle, err := m.world.Purse.Reserve(mostRequest, "a request")
		if err != nil {
			return err
		}
		m.account.Lock()
		m.account.asked[fmt.Sprint(m.name, reqs[i].Seed, reqs[i].Messages)]++
		n := len(m.account.asked)
		before := m.account.ask
		m.account.Unlock()
		if before != nil {
			if err := before(n); err != nil {
				return joined(err, settle(0))
			}
		}
		m.account.Lock()
		m.account.charged += requestPrice
		m.account.Unlock()
		if err := settle(requestPrice); err != nil {
			return err
		}
		err = m.urn.Sample(context.WithoutCancel(ctx), reqs[i:i+1], func(_ int, c lineage.Completion) error { return emit(i, c) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *provider) Quote(w lineage.Work) lineage.Quote {
	return lineage.Quote{
		Tokens: w.TrainTokens, Most: mostTraining + lineage.USD(w.Requests)*mostRequest,
		Priced: !p.account.unpriced, Unbounded: p.account.unbounded, Basis: "a test",
	}
}

func (p *provider) Screen(_ context.Context, docs [][]lineage.Message) (flagged []int, err error) {
	for i, d := range docs {
		if p.account.banned != "" && strings.Contains(d[len(d)-1].Content, p.account.banned) {
			flagged = append(flagged, i)
		}
	}
	return flagged, nil
}

// repeated gives what was asked more than once.
func (a *account) repeated() (n int) {
	for _, k := range a.asked {
		n += k - 1
	}
	return n
}
