package command

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Quote tells what a training costs by train.max_cost. What runs on a machine of
// one's own has no price.
func (b *Backend) Quote(work lineage.Work) lineage.Quote {
	q := lineage.Quote{
		Tokens: int(float64(work.TrainTokens) * b.config.Epochs), Most: dollars(b.config.Train.MaxCost), Priced: true,
		Basis: "a machine of your own: no price",
	}
	if q.Most > 0 {
		q.Basis = "train.max_cost for each training"
	}
	return q
}

// Check sees whether the trainer can be started, the rows written, and the
// server asked. It starts nothing.
func (b *Backend) Check(ctx context.Context, work lineage.Work, examples []lineage.Example) []lineage.Finding {
	c := b.config
	findings := []lineage.Finding{b.found("trainer", "train.cmd", c.Train.Command)}
	tell := func(what, state, format string, args ...any) {
		findings = append(findings, lineage.Finding{What: what, State: state, Detail: fmt.Sprintf(format, args...)})
	}
	for i, ex := range examples {
		if _, err := rowOf(c.format(work.Learner), ex); err != nil {
			tell("training file", "fault", "document %d %v", i+1, err)
			break
		}
	}
	for _, name := range append([]string{c.Serve.KeyEnv}, c.Train.EnvPass...) {
		if name != "" && !strings.HasSuffix(name, "*") && os.Getenv(name) == "" {
			tell("environment", "warning", "%s is not set", name)
		}
	}
	if len(c.Serve.Command) > 0 {
		findings = append(findings, b.found("server", "serve.cmd", c.Serve.Command))
		return findings
	}
	w := newWire(c.Serve)
	path := map[string]string{Ollama: "/api/tags"}[c.Serve.Kind]
	if path == "" {
		path = "/v1/models"
	}
	a, err := w.ask(ctx, http.MethodGet, path, nil)
	switch {
	case err != nil:
		tell("endpoint", "fault", "%v; start it, or write serve.cmd so that it is started", err)
		return findings
	case !a.ok() && c.Serve.Kind != None:
		tell("endpoint", "fault", "%v", w.refused(path, a))
		return findings
	}
	tell("endpoint", "ok", "%s answers", w.url)
	if c.Serve.Kind == VLLM || c.Serve.Kind == SGLang || c.Serve.Kind == Mistral {
		if all, err := w.models(ctx); err != nil {
			tell("model", "fault", "%v", err)
		} else if name, err := b.baseAmong(all); err != nil {
			tell("model", "fault", "%v", err)
		} else {
			tell("model", "ok", "the server has the base as %s", name)
		}
	}
	return findings
}

// found tells whether a program is there.
func (b *Backend) found(what, setting string, command []string) lineage.Finding {
	vars := trainVariables{Dir: b.world.Dir}.variables()
	for name, value := range b.serveVariables(nil) {
		if vars[name] == "" {
			vars[name] = value
		}
	}
	argv, err := vars.argv(setting, command)
	if err == nil {
		program(b.world.Dir, argv)
		var path string
		if path, err = exec.LookPath(argv[0]); err == nil {
			return lineage.Finding{What: what, State: "ok", Detail: path}
		}
	}
	return lineage.Finding{What: what, State: "fault", Detail: fmt.Sprintf("%s: %v", setting, err)}
}
