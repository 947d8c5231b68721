package detectors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

func init() {
	Register("any", "present where one of other detectors is", Any{},
		func(env Env, c Any) (Detector, error) { return compose(env, "any", c.Of, 1, c.Cascade) })
	Register("all", "present where all of other detectors are", All{},
		func(env Env, c All) (Detector, error) { return compose(env, "all", c.Of, len(c.Of), c.Cascade) })
	Register("at-least", "present where so many of other detectors are", AtLeast{},
		func(env Env, c AtLeast) (Detector, error) { return compose(env, "at-least", c.Of, c.Least, c.Cascade) })
}

// Any is present where one of its members is; else not scorable where one of
// them is that; else absent.
type Any struct {
	Of      []string `yaml:"of" doc:"names of detectors of the experiment"`
	Cascade bool     `yaml:"cascade" doc:"ask each member, in their order, only about texts that those before it leave open"`
}

// All is absent where one of its members is; else not scorable where one of
// them is that; else present.
type All struct {
	Of      []string `yaml:"of" doc:"names of detectors of the experiment"`
	Cascade bool     `yaml:"cascade" doc:"ask each member, in their order, only about texts that those before it leave open"`
}

// AtLeast is present where Least of its members are, absent where so many could
// not be even if all that cannot score the text did, and else not scorable: the
// strong logic of Kleene (1952), of which Any and All are the ends.
type AtLeast struct {
	Of      []string `yaml:"of" doc:"names of detectors of the experiment"`
	Least   int      `yaml:"least" doc:"how many of them have to be present"`
	Cascade bool     `yaml:"cascade" doc:"ask each member, in their order, only about texts that those before it leave open"`
}

// Composite is met by settings of detectors that are made of others, which Of
// names.
type Composite interface{ Members() []string }

func (c Any) Members() []string     { return c.Of }
func (c All) Members() []string     { return c.Of }
func (c AtLeast) Members() []string { return c.Of }

// composition is present where at least so many of its members are.
type composition struct {
	names   []string
	members []Detector
	digests []string
	least   int
	cascade bool
}

func compose(env Env, kind string, of []string, least int, cascade bool) (Detector, error) {
	var faults []error
	switch {
	case len(of) == 0:
		faults = append(faults, fmt.Errorf("%s.of: no detector is named", kind))
	case least < 1 || least > len(of):
		faults = append(faults, fmt.Errorf("%s.least: %d is not within 1 and %d, the number of detectors", kind, least, len(of)))
	case env.Detector == nil:
		faults = append(faults, fmt.Errorf("%s.of: other detectors are to be had in an experiment only; write one with detectors: {…}", kind))
	}
	for i, name := range of {
		if slices.Contains(of[:i], name) {
			faults = append(faults, fmt.Errorf("%s.of: names %q twice", kind, name))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	c := &composition{names: of, least: least, cascade: cascade}
	for _, name := range of {
		d, digest, err := env.Detector(name)
		if err != nil {
			return nil, fmt.Errorf("%s.of: %w", kind, err)
		}
		c.members, c.digests = append(c.members, d), append(c.digests, digest)
	}
	return c, nil
}

// Detect implements Detector.
func (c *composition) Detect(ctx context.Context, us []Utterance) ([]Result, error) {
	said := make([][]Result, len(us)) // of each text, by member; shorter where it is decided
	for m, d := range c.members {
		var part []Utterance
		var of []int
		for i, u := range us {
			if !c.cascade || !c.decided(said[i], len(c.members)-m) {
				part, of = append(part, u), append(of, i)
			}
		}
		if c.cascade && len(part) == 0 {
			break
		}
		results, err := d.Detect(ctx, part)
		if err == nil && len(results) != len(part) {
			err = fmt.Errorf("gave %d results for %d texts", len(results), len(part))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.names[m], err)
		}
		for k, r := range results {
			said[of[k]] = append(said[of[k]], r)
		}
	}
	out := make([]Result, len(us))
	for i := range out {
		out[i] = c.combine(said[i])
	}
	return out, ctx.Err()
}

// Requests implements Priced: the sum over the members, as if none decided alone.
func (c *composition) Requests(us []Utterance) (n int) {
	for _, d := range c.members {
		if p, ok := d.(Priced); ok {
			n += p.Requests(us)
		}
	}
	return n
}

// decided tells whether the outcome is the same whatever so many more members say.
func (c *composition) decided(said []Result, more int) bool {
	present, unclear := tally(said)
	return present >= c.least || present+unclear+more < c.least
}

func tally(said []Result) (present, unclear int) {
	for _, r := range said {
		present += index(r.Outcome == Present)
		unclear += index(r.Outcome == NotScorable)
	}
	return present, unclear
}

// combine gives the outcome. Its score is that of the member which decides: the
// Least-th when those that are present come first and higher scores before
// lower ones, so that of Any it is the highest score and of All the lowest.
func (c *composition) combine(said []Result) Result {
	present, unclear := tally(said)
	var who []string
	for i, r := range said {
		if r.Outcome == Present {
			who = append(who, c.names[i])
		}
	}
	reason := oneLine(strings.TrimSuffix(fmt.Sprintf("%d of %d present: %s", present, len(c.members), strings.Join(who, ", ")), ": "), 300)
	if rest := len(c.members) - len(said); present < c.least && present+unclear+rest >= c.least {
		return Result{Reason: fmt.Sprintf("%s; %d not scorable", reason, unclear)}
	}
	scored := slices.DeleteFunc(slices.Clone(said), func(r Result) bool { return r.Outcome == NotScorable })
	slices.SortStableFunc(scored, func(a, b Result) int {
		if a.Outcome != b.Outcome {
			return int(b.Outcome) - int(a.Outcome)
		}
		if a.Score > b.Score {
			return -1
		}
		return index(a.Score < b.Score)
	})
	r := scored[min(c.least, len(scored))-1]
	r.Spans, r.Reason = c.spans(said), reason
	return r
}

// spans joins the evidence of the members that are present. Where pieces overlap
// they become one, with the label of the first.
func (c *composition) spans(said []Result) []Span {
	var all []Span
	for i, r := range said {
		for _, s := range r.Spans {
			if r.Outcome == Present {
				s.Label = orDefault(s.Label, c.names[i])
				all = append(all, s)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Span) int { return a.Start - b.Start })
	var out []Span
	for _, s := range all {
		if n := len(out); n > 0 && s.Start < out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
		} else {
			out = append(out, s)
		}
	}
	return out[:min(len(out), MaxSpans)]
}

// Identity implements Identified: whom the members ask, "" where none asks anybody.
func (c *composition) Identity() string {
	var all []string
	for _, d := range c.members {
		if who, ok := d.(Identified); ok && who.Identity() != "" && !slices.Contains(all, who.Identity()) {
			all = append(all, who.Identity())
		}
	}
	return strings.Join(all, "; ")
}

// Digest covers the members.
func (c *composition) Digest() string { return digestOf(c.digests...) }
