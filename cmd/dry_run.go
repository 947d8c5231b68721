package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai"
	"github.com/heirloom-sim/heirloom/lineage/serve"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

var dryRunFlag = &cli.BoolFlag{
	Name: "dry-run-server", Usage: "try the whole run at no cost: stand-ins on a server in this process take the place of every model of a provider, and of judges",
}

// dryFolder is the end of a folder whose models are stand-ins.
const dryFolder = ".dry-run.heirloom"

// dryRun is a server with stand-ins in the place of providers.
type dryRun struct {
	server  *serve.Server
	ledger  *store.Store
	url     string
	stop    context.CancelFunc
	stopped chan error
}

// unsetKey names a variable that nobody sets: a dry run sends no key.
const unsetKey = "HEIRLOOM_DRY_RUN_HAS_NO_KEY"

// defaultCorpus trains a stand-in where the experiment has no foundation for it.
const defaultCorpus = "web/everyday"

// dryRun starts the server of a dry run and points an experiment at it. It gives
// nil where the run is none.
func (p *program) dryRun(c *cli.Context, f *sim.File, where folder) (*dryRun, error) {
	if !c.Bool(dryRunFlag.Name) {
		return nil, nil
	}
	lines := providers(f)
	judges, err := f.Detectors()
	if err != nil {
		return nil, err
	}
	asks := slices.ContainsFunc(judges, func(d *sim.Detector) bool { return d.Server })
	if len(lines) == 0 && !asks {
		return nil, usage("--dry-run-server takes the place of models of a provider, and no line here has the backend openai and no detector asks a server")
	}
	offer := &sim.Serving{Format: sim.Format, Seed: f.Worlds[0].Seed, Sources: f.Worlds[0].Sources, Models: map[string]*sim.Offered{}}
	for _, l := range lines {
		if offer.Models[l.config.Model] == nil {
			offer.Models[l.config.Model] = &sim.Offered{Source: cmp.Or(l.foundation, defaultCorpus)}
		}
	}
	const judge = "hl-judge"
	if offer.Models[judge] == nil {
		offer.Models[judge] = &sim.Offered{Source: defaultCorpus}
	}
	if err := offer.Prepare(f.Name, f.Dir); err != nil {
		return nil, err
	}
	defer offer.Close()
	d, err := p.openDryRun(c.Context, offer, where, judge)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		l.config.BaseURL, l.config.KeyEnv = d.url, unsetKey
		l.config.Provider.Dialect = "openai"
		l.config.Limits = openai.Limits{Jobs: 16} // those of the provider would only take time
	}
	f.Means = d.means(f.Means)
	return d, nil
}

// provided is a line whose models a provider makes.
type provided struct {
	config     *openai.Config
	foundation string
}

func providers(f *sim.File) (all []provided) {
	for _, w := range f.Worlds {
		for _, name := range slices.Sorted(maps.Keys(w.Lines)) {
			l := w.Lines[name]
			if config, ok := l.Backend.Config.(*openai.Config); ok {
				all = append(all, provided{config, l.Foundation.Source})
			}
		}
	}
	return all
}

// openDryRun starts a server that keeps its state with the dry run, at the
// address that the dry run had before: work in flight is looked for there.
func (p *program) openDryRun(ctx context.Context, offer *sim.Serving, where folder, judge string) (*dryRun, error) {
	dir := filepath.Join(string(where), "server")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	l, err := listenAgain(filepath.Join(dir, "address"))
	if err != nil {
		return nil, err
	}
	d := &dryRun{url: "http://" + l.Addr().String() + "/v1", stopped: make(chan error, 1)}
	if d.ledger, err = store.Create(filepath.Join(dir, "ledger"), store.Options{}); err != nil {
		l.Close()
		return nil, err
	}
	fail := func(err error) (*dryRun, error) { l.Close(); d.ledger.Close(); return nil, err }
	models, err := p.offered(ctx, offer, d.ledger, dir, ".")
	if err != nil {
		return fail(err)
	}
	for i := range models {
		models[i].Backend = preferring{models[i].Backend}
		models[i].Learners = []lineage.Learner{lineage.SFT, lineage.Preference}
	}
	if d.server, err = serve.New(serve.Options{
		Models: models, Ledger: d.ledger, Seed: offer.Seed, Log: p.log, Patience: 5 * time.Second, Lenient: true, Otherwise: judge,
	}); err != nil {
		return fail(err)
	}
	var serving context.Context
	serving, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() { d.stopped <- d.server.Serve(serving, l, 0) }()
	return d, nil
}

// preferring learns from the preferred answers of pairs, since the stand-in knows
// no other way.
type preferring struct{ lineage.Backend }

func (b preferring) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	if job.Learner == lineage.Preference {
		job.Learner = lineage.SFT
	}
	return b.Backend.Train(ctx, job)
}

// listenAgain listens at the address that a file has, or anywhere on this machine.
func listenAgain(path string) (net.Listener, error) {
	known, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	at := cmp.Or(strings.TrimSpace(string(known)), "127.0.0.1:0")
	l, err := net.Listen("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("the dry run goes on at the address that it began at, %s: %w; end what listens there, or delete %s to begin again", at, err, filepath.Dir(filepath.Dir(path)))
	}
	return l, os.WriteFile(path, []byte(l.Addr().String()+"\n"), 0o644)
}

// means have judges ask the server, at the prices of those whom they would ask.
func (d *dryRun) means(real sim.Means) sim.Means {
	asked := map[string]bool{} // addresses that judges would ask
	dry := real
	dry.Endpoint = func(name string, s detectors.Server) (detectors.Endpoint, error) {
		asked[cmp.Or(s.BaseURL, os.Getenv(addressVariable), openai.DefaultURL)] = true
		s.BaseURL, s.KeyEnv = d.url, unsetKey
		s.Requests, s.Tokens = 0, 0
		return real.Endpoint(name, s)
	}
	dry.Price = func(_, model string) (sim.Price, bool) {
		for _, address := range slices.Sorted(maps.Keys(asked)) {
			if p, ok := real.Price(address, model); ok {
				return p, true
			}
		}
		return sim.Price{}, false
	}
	return dry
}

// close ends the server.
func (d *dryRun) close() error {
	if d == nil {
		return nil
	}
	d.stop()
	return errors.Join(<-d.stopped, d.server.Close(), d.ledger.Close())
}

// account says what the run would have cost.
func (d *dryRun) account(show *progress, ledger lineage.Ledger) {
	if d == nil || show.json || show.quiet {
		return
	}
	fmt.Fprintln(show.out, "this was a dry run: the texts are those of stand-ins, and nothing was paid; what stands above as spent is what it would have cost")
	fmt.Fprint(show.out, accounts(d.server.Counts()))
}
