package detectors

import (
	"context"
	"errors"
	"fmt"
)

func init() {
	Register("given", "what one detector says where another is present, not scorable elsewhere", Given{},
		func(env Env, c Given) (Detector, error) { return c.open(env) })
}

// Given is a rate among texts that show something else: the owl among answers that
// name an animal, so that answers which name none count neither way.
type Given struct {
	Of    string `yaml:"of" doc:"detector of the experiment whose word counts"`
	Where string `yaml:"where" doc:"detector of the experiment that has to be present; elsewhere the text is not scorable"`
}

// Members implements Composite.
func (c Given) Members() []string { return []string{c.Of, c.Where} }

type given struct{ *composition }

func (c Given) open(env Env) (Detector, error) {
	if c.Of == "" || c.Where == "" {
		return nil, errors.New("given: needs of, the detector whose word counts, and where, the one that has to be present")
	}
	members, err := compose(env, "given", c.Members(), 1, false)
	if err != nil {
		return nil, err
	}
	return &given{members.(*composition)}, nil
}

// Detect implements Detector.
func (g *given) Detect(ctx context.Context, us []Utterance) ([]Result, error) {
	there, err := g.ask(ctx, 1, us)
	if err != nil {
		return nil, err
	}
	var part []Utterance
	var of []int
	out := make([]Result, len(us))
	for i, r := range there {
		if r.Outcome == Present {
			part, of = append(part, us[i]), append(of, i)
		} else {
			out[i].Reason = oneLine(g.names[1]+" is not present", 300)
		}
	}
	if len(part) == 0 {
		return out, ctx.Err()
	}
	results, err := g.ask(ctx, 0, part)
	for k, r := range results {
		out[of[k]] = r
	}
	return out, err
}

func (g *given) ask(ctx context.Context, member int, us []Utterance) ([]Result, error) {
	results, err := g.members[member].Detect(ctx, us)
	if err == nil && len(results) != len(us) {
		err = fmt.Errorf("gave %d results for %d texts", len(results), len(us))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.names[member], err)
	}
	return results, nil
}
