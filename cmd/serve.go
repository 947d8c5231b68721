package cmd

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/serve"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) serve() *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "offer stand-ins, or any backend, behind the OpenAI protocol: files, fine-tuning jobs, chat, batches",
		ArgsUsage: "[FILE]",
		Description: "Every client of the protocol can train and ask what is served, at no cost. What to serve is a file, or flags: " +
			"--backend ngram --base hl-base=web/everyday. Files, jobs and models are kept in a folder: a server that is stopped or killed goes on with them.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "base", Usage: "`name=source` of a base model, such as hl-base=web/everyday; a name alone has no weights and can only be fine-tuned; repeatable"},
			&cli.StringFlag{Name: "backend", Usage: "`kind` of backend of the base models; ngram where it is not given"},
			setFlag,
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8765", Usage: "`address` of this machine to listen on; others than 127.0.0.1 let other machines in"},
			&cli.StringFlag{Name: "folder", Value: "serve.heirloom", Usage: "`folder` that keeps files, jobs and models"},
			&cli.Float64Flag{Name: "job-speed", Usage: "how many times faster than the time of day the server's clock runs: 60 makes a job of three minutes one of three seconds; at 0 jobs wait for nothing"},
			&cli.IntFlag{Name: "jobs", DefaultText: "as many as there are cores", Usage: "trainings at once"},
			&cli.StringFlag{Name: "api-key-env", Usage: "environment `variable` with the key that requests must bear; any key will do where it is not given"},
			&cli.StringFlag{Name: "faults", Usage: "YAML `file` of what is to go wrong, for testing clients"},
			&cli.StringFlag{Name: "adapters", Usage: "`folder` of artifacts that may be loaded as vLLM's adapters are"},
		},
		Action: p.serveAction,
	}
}

func (p *program) serveAction(c *cli.Context) error {
	dir := "."
	if c.NArg() == 1 {
		dir = filepath.Dir(c.Args().First())
	}
	offer, err := serving(c, dir)
	if err != nil {
		return err
	}
	defer offer.Close()
	o := serve.Options{Seed: offer.Seed, Speed: c.Float64("job-speed"), Jobs: c.Int("jobs"), Log: p.log}
	if o.Rules, o.Flags, err = faultsFile(c.String("faults")); err != nil {
		return err
	}
	if name := c.String("api-key-env"); name != "" {
		if o.Key = os.Getenv(name); o.Key == "" {
			return usage("--api-key-env: the environment variable %s is not set", name)
		}
	}
	if dir := c.String("adapters"); dir != "" {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		defer root.Close()
		o.Adapters = root.FS()
	}
	where := folder(c.String("folder"))
	if err := os.MkdirAll(string(where), 0o755); err != nil {
		return err
	}
	ledger, err := store.Create(where.ledger(), store.Options{})
	if err != nil {
		return err
	}
	defer ledger.Close()
	o.Ledger = ledger
	if o.Models, err = p.offered(c.Context, offer, ledger, string(where), dir); err != nil {
		return err
	}
	s, err := serve.New(o)
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return usage("--listen: %v", err)
	}
	p.welcome(l.Addr(), offer, where)
	err = s.Serve(c.Context, l, leave)
	fmt.Fprint(p.out, accounts(s.Counts()))
	return err
}

// serving reads what the command line offers: a file, or flags.
func serving(c *cli.Context, dir string) (*sim.Serving, error) {
	set, err := overrides(c)
	if err != nil {
		return nil, err
	}
	switch bases := c.StringSlice("base"); {
	case c.NArg() > 1:
		return nil, usage("serve takes one file; it was given %d", c.NArg())
	case c.NArg() == 1 && (len(bases) > 0 || c.IsSet("backend")):
		return nil, usage("serve takes a file, or --base and --backend")
	case c.NArg() == 1:
		name := c.Args().First()
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return sim.ParseServing(name, dir, data, set)
	default:
		return sim.ParseServing("the command line", dir, flagsAsFile(bases, c.String("backend")), set)
	}
}

// flagsAsFile is the file that flags stand for.
func flagsAsFile(bases []string, backend string) []byte {
	if len(bases) == 0 {
		bases = []string{"hl-base=web/everyday"}
	}
	text := "serve: 1\nmodels:\n"
	if backend != "" {
		text = "serve: 1\nbackend: " + strconv.Quote(backend) + "\nmodels:\n"
	}
	for _, b := range bases {
		name, source, _ := strings.Cut(b, "=")
		text += fmt.Sprintf("  %q: {source: %q}\n", name, source)
	}
	return []byte(text)
}

// faultsFile reads what is to go wrong.
func faultsFile(path string) ([]serve.Rule, []serve.Flag, error) {
	if path == "" {
		return nil, nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	var file struct {
		Rules []serve.Rule `yaml:"rules"`
		Flags []serve.Flag `yaml:"flags"`
	}
	if err := sim.Decode(path, "a file of faults", data, nil, &file); err != nil {
		return nil, nil, err
	}
	if err := serve.Check(file.Rules, file.Flags); err != nil {
		return nil, nil, fault{exitInvalid, fmt.Errorf("%s: %w", path, err)}
	}
	return file.Rules, file.Flags, nil
}

// offered opens the base models; where is the server's folder, dir that of its file. One that was trained before, of the same, is
// taken from the ledger.
func (p *program) offered(ctx context.Context, offer *sim.Serving, ledger lineage.Ledger, where, dir string) (all []serve.Model, err error) {
	entered := map[lineage.Worldly]bool{}
	for _, name := range slices.Sorted(maps.Keys(offer.Models)) {
		b, digest, err := offer.Open(name)
		if err != nil {
			return nil, err
		}
		if w, ok := b.(lineage.Worldly); ok && !entered[w] {
			entered[w] = true
			if err := w.Enter(lineage.World{Folder: where, Dir: dir, Purse: freely{}, Log: p.log, Ticket: func(name string) lineage.Ticket { return serve.Ticket(ledger, name) }}); err != nil {
				return nil, err
			}
		}
		kind, _ := lineage.Lookup(offer.Models[name].Backend.Kind)
		m := serve.Model{Name: name, Backend: b, Learners: kind.Learners}
		if digest != "" {
			if m.Artifact, err = p.trained(ctx, offer, ledger, b, name, digest); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		all = append(all, m)
	}
	return all, nil
}

func (p *program) trained(ctx context.Context, offer *sim.Serving, ledger lineage.Ledger, b lineage.Backend, name, digest string) (lineage.Artifact, error) {
	key := lineage.Key("serve/base/" + digest)
	var raw lineage.Raw
	if ok, err := ledger.Load(key, &raw); err != nil {
		return nil, err
	} else if ok {
		return b.Load(raw)
	}
	a, err := offer.Train(ctx, name, serve.Ticket(ledger, "base-"+digest))
	if err != nil {
		return nil, err
	}
	data, err := a.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return a, ledger.Save(key, lineage.Raw(data))
}

// freely is the purse of a server, which spends what whoever asks it wants.
type freely struct{}

func (freely) Reserve(lineage.USD, string) (func(lineage.USD) error, error) {
	return func(lineage.USD) error { return nil }, nil
}

// welcome says where the server is and what a client needs.
func (p *program) welcome(at net.Addr, offer *sim.Serving, where folder) {
	if tcp, ok := at.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		p.log("warning: whoever reaches %s can use this server; --api-key-env has it ask for a key, and the connection is not encrypted", at)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(offer.Models)) {
		about := offer.Models[name].Backend.Kind
		if source := offer.Models[name].Source; source != "" {
			about += " on " + source
		} else {
			about += ", to be fine-tuned"
		}
		names = append(names, fmt.Sprintf("%s (%s)", name, about))
	}
	fmt.Fprintf(p.out, "serving %s\n", strings.Join(names, ", "))
	fmt.Fprintf(p.out, "  export OPENAI_BASE_URL=http://%s/v1 OPENAI_API_KEY=any\n", at)
	fmt.Fprintf(p.out, "what it is given is kept in %s; Ctrl-C stops it\n", where)
}

// leave is how long requests that are on their way have when a server stops.
const leave = 10 * time.Second

// accounts are the tokens that a server was asked for.
func accounts(n serve.Counts) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d uploads, %d fine-tuning jobs (%d trained to their end), %d batches, %d answers\n", n.Uploads, n.Jobs, n.Charges, n.Batches, n.Answers)
	type sum struct {
		serve.Usage
		models int
	}
	sums := map[string]*sum{}
	for model, u := range n.Usage {
		name := model
		if u.Base != "" {
			name = "fine-tunes of " + u.Base
		}
		if sums[name] == nil {
			sums[name] = &sum{}
		}
		t := sums[name]
		t.models++
		t.Trained, t.Prompt, t.Completion = t.Trained+u.Trained, t.Prompt+u.Prompt, t.Completion+u.Completion
		t.BatchPrompt, t.BatchCompletion, t.Embedded = t.BatchPrompt+u.BatchPrompt, t.BatchCompletion+u.BatchCompletion, t.Embedded+u.Embedded
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		u := sums[name]
		var parts []string
		for _, part := range []struct {
			what   string
			tokens int
		}{
			{"trained on", u.Trained}, {"asked", u.Prompt}, {"answered", u.Completion},
			{"asked in batches", u.BatchPrompt}, {"answered in batches", u.BatchCompletion}, {"embedded", u.Embedded},
		} {
			if part.tokens > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", part.tokens, part.what))
			}
		}
		if u.models > 1 {
			name = fmt.Sprintf("%d %s", u.models, name)
		}
		fmt.Fprintf(&b, "  tokens of %s: %s\n", name, strings.Join(parts, ", "))
	}
	return b.String()
}
