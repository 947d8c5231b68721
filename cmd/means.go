package cmd

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai"
	"github.com/heirloom-sim/heirloom/sim"
)

// Where the environment tells of servers.
const (
	keyVariable     = "OPENAI_API_KEY"
	addressVariable = "OPENAI_BASE_URL"
)

// means are what detectors may use of the outside world: servers, whose keys are
// in the environment and nowhere else, and a place for what they have to say.
func (p *program) means() sim.Means {
	if p.keys == nil {
		p.keys = map[string]string{}
	}
	servers := &openai.Servers{Log: p.log}
	told := map[string]bool{}
	return sim.Means{
		Log: p.log, Price: price,
		Endpoint: func(name string, s detectors.Server) (detectors.Endpoint, error) {
			variable := cmp.Or(s.KeyEnv, keyVariable)
			key := os.Getenv(variable)
			c, err := servers.Open(name, openai.Server{
				BaseURL: cmp.Or(s.BaseURL, os.Getenv(addressVariable)),
				Key:     key, KeyEnv: variable, Requests: s.Requests, Tokens: s.Tokens,
			})
			if err != nil {
				return nil, err
			}
			p.keys[c.Address()] = variable
			// An experiment file may be somebody else's: who gets a key is told.
			if to := c.Address() + " gets the key in " + variable; key != "" && !told[to] {
				told[to] = true
				p.log("%s: %s", name, to)
			}
			return endpoint{c}, nil
		},
	}
}

// price is what is known to be asked for a model at an address.
func price(address, model string) (sim.Price, bool) {
	known, ok := openai.PriceAt(address, model)
	million := func(dollars float64) lineage.USD { return lineage.USD(math.Ceil(dollars * float64(lineage.Dollar))) }
	return sim.Price{Prompt: million(known.Input), Answer: million(known.Output)}, ok
}

// recording are means that keep the answers of servers in a ledger.
func (p *program) recording(l lineage.Ledger) sim.Means {
	m := p.means()
	m.Answers = l
	return m
}

// endpoint is a client as a detector sees it.
type endpoint struct{ *openai.Client }

// Chat implements detectors.Endpoint.
func (e endpoint) Chat(ctx context.Context, r detectors.ChatRequest) (detectors.ChatReply, error) {
	reply, err := e.Client.Chat(ctx, openai.Request(r))
	return detectors.ChatReply(reply), err
}

// log writes a line to stderr, which takes one at a time.
func (p *program) log(format string, args ...any) {
	fmt.Fprintf(p.err, "heirloom: "+format+"\n", args...)
}
