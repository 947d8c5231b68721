package serve

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Rule has requests, jobs or batches go wrong, so that a client can be tested.
// Match is a route such as "POST /v1/fine_tuning/jobs" or "GET /v1/files/{id}",
// "job" for fine-tuning jobs and "batch" for batches. Of what it matches, the
// rule meets number Nth and those after it, Times in all.
//
// A request: When it is met "before" it is handled, "after_commit" (it is
// handled, and its answer replaced) or "mid_stream" (after After events of a
// stream), Do is
//
//	status    the answer is an error of that Status, Code and Message
//	drop      the connection is closed without an answer
//	delay     the answer comes after Delay
//	truncate  half of the answer comes, or the stream just ends
//	garbage   something comes that is not an answer
//
// A job: Do is "fail" (with Code and Message, in State, which is running where
// it is not given), "stall" (it stays in State) or "show" (it calls its state
// State while it is running). A batch: "expire" after half of its lines, or
// "stall".
type Rule struct {
	Match   string            `yaml:"match" doc:"a route such as POST /v1/files, or job or batch"`
	Nth     int               `yaml:"nth" doc:"the first that is met, from 1; 1 where it is not given"`
	Times   int               `yaml:"times" doc:"how many are met; 1 where it is not given, -1 for all"`
	Every   int               `yaml:"every" doc:"of those from nth on, every which is met; 1 where it is not given"`
	When    string            `yaml:"when" doc:"before, after_commit or mid_stream; before where it is not given"`
	Do      string            `yaml:"do" doc:"status, drop, delay, truncate, garbage; of a job fail, stall, show; of a batch expire, stall"`
	Status  int               `yaml:"status" doc:"HTTP status of an error; 500 where it is not given"`
	Code    string            `yaml:"code" doc:"code of the error"`
	Message string            `yaml:"message" doc:"message of the error"`
	Headers map[string]string `yaml:"headers" doc:"headers of the error, such as Retry-After"`
	Delay   float64           `yaml:"delay" doc:"seconds"`
	After   int               `yaml:"after" doc:"events of a stream before it goes wrong; 1 where it is not given"`
	State   string            `yaml:"state" doc:"state of a job"`
}

// What rules do.
const (
	doStatus   = "status"
	doDrop     = "drop"
	doDelay    = "delay"
	doTruncate = "truncate"
	doGarbage  = "garbage"
	doFail     = "fail"
	doStall    = "stall"
	doShow     = "show"
	doExpire   = "expire"

	before      = "before"
	afterCommit = "after_commit"
	midStream   = "mid_stream"
)

// fate is a rule as a job or a batch keeps it.
type fate struct {
	Do      string `json:"do"`
	State   string `json:"state,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// script is the rules and how often each was matched.
type script struct {
	rules []Rule
	mu    sync.Mutex
	seen  []int
}

// Check finds faults in rules and flags, as New does.
func Check(rules []Rule, flags []Flag) error {
	if _, err := newScript(rules, new(Server).routes()); err != nil {
		return err
	}
	return checkFlags(flags)
}

func newScript(rules []Rule, routes []string) (*script, error) {
	s := &script{rules: slices.Clone(rules), seen: make([]int, len(rules))}
	for i := range s.rules {
		if err := s.rules[i].complete(routes); err != nil {
			return nil, fmt.Errorf("rules[%d].%w", i, err)
		}
	}
	return s, nil
}

// complete puts defaults in place and finds faults.
func (r *Rule) complete(routes []string) error {
	for _, d := range []struct {
		v     *int
		usual int
	}{{&r.Nth, 1}, {&r.Times, 1}, {&r.Every, 1}, {&r.Status, 500}, {&r.After, 1}} {
		if *d.v == 0 {
			*d.v = d.usual
		}
	}
	if r.Nth < 1 || r.Times < -1 || r.Every < 1 || r.After < 0 || !(r.Delay >= 0 && r.Delay <= 3600) || r.Status < 100 || r.Status > 599 {
		return fmt.Errorf("match: %s: a number is out of its range", r.Match)
	}
	may := map[string][]string{"job": {doFail, doStall, doShow}, "batch": {doExpire, doStall}}[r.Match]
	if may != nil {
		if !slices.Contains(may, r.Do) {
			return fmt.Errorf("do: %q is not one of %s, which can happen to a %s", r.Do, strings.Join(may, ", "), r.Match)
		}
		if r.Match == "job" && r.State == "" {
			r.State = running
		}
		if r.Match == "job" && r.Do != doShow && !slices.Contains([]string{validating, queued, running}, r.State) {
			return fmt.Errorf("state: %q is not one of %s, %s, %s", r.State, validating, queued, running)
		}
		return nil
	}
	if !slices.Contains(routes, r.Match) {
		return fmt.Errorf("match: %q is neither job nor batch nor one of %s", r.Match, strings.Join(routes, "; "))
	}
	if r.When == "" {
		r.When = before
	}
	may = map[string][]string{
		before:      {doStatus, doDrop, doDelay, doGarbage},
		afterCommit: {doStatus, doDrop, doDelay, doTruncate, doGarbage},
		midStream:   {doStatus, doDrop, doDelay, doTruncate, doGarbage},
	}[r.When]
	switch {
	case may == nil:
		return fmt.Errorf("when: %q is not one of %s, %s, %s", r.When, before, afterCommit, midStream)
	case !slices.Contains(may, r.Do):
		return fmt.Errorf("do: %q is not one of %s, which can happen %s", r.Do, strings.Join(may, ", "), r.When)
	case r.When == midStream && r.Match != "POST /v1/chat/completions":
		return fmt.Errorf("when: only POST /v1/chat/completions streams")
	}
	return nil
}

func (r *Rule) delay() time.Duration { return time.Duration(r.Delay * float64(time.Second)) }

// met gives the first rule that a matter meets, all of them counting it.
func (s *script) met(match string) (met *Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rules {
		r := &s.rules[i]
		if r.Match != match {
			continue
		}
		s.seen[i]++
		k := s.seen[i] - r.Nth
		if met == nil && k >= 0 && k%r.Every == 0 && (r.Times < 0 || k/r.Every < r.Times) {
			met = r
		}
	}
	return met
}

// fate is what a new job or batch will meet; nil for nothing.
func (s *script) fate(match string) *fate {
	r := s.met(match)
	if r == nil {
		return nil
	}
	f := &fate{r.Do, r.State, r.Code, r.Message}
	if f.Do == doFail && f.Message == "" {
		f.Message = "The job failed by a rule."
	}
	return f
}
