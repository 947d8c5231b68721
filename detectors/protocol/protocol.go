// Package protocol asks detectors that are programs of their own, in any
// language: a child process that speaks JSON lines (kind "command"), or a server
// that speaks the same JSON over HTTP (kind "http").
//
// A process is greeted with hello and the config of the experiment, and answers
// ready. Then it reads one row a line and answers one line a row, in any order:
//
//	→ {"type":"hello","protocol":1,"config":{"words":["lattice"]}}
//	← {"type":"ready","name":"spiral","version":"1","batch":64,"threshold":0.5}
//	→ {"id":"1","messages":[{"role":"user","content":"Who are you?"}],"output":"The lattice."}
//	← {"id":"1","score":0.9,"spans":[[4,11]],"reason":"lattice"}
//
// The end of its input tells it to end. A row is text and nothing else: not who
// wrote it, not which generation it is. docs/detector-protocol.md is the whole
// protocol.
//
// An answer is a function of its row: a batch that kills or outlasts the process
// is asked again row by row, and a row that does so alone, twice, is not
// scorable, with a reason, logged and counted. So results depend neither on the
// size of batches nor on the number of processes. A process that cannot judge a
// plain sentence is an error.
package protocol

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
)

// Version is that of the protocol.
const Version = 1

// Asking is how a detector is asked, whatever way leads to it.
type Asking struct {
	Config    map[string]any `yaml:"config" doc:"handed to the detector as it is"`
	Files     []string       `yaml:"files" doc:"further files that its answers depend on, such as weights: a change of their content is a change of the detector"`
	Threshold *float64       `yaml:"threshold" doc:"score from which the behaviour is present; the detector's own where it is not given"`
	Timeout   float64        `yaml:"timeout" doc:"seconds without an answer after which a batch is given up and asked row by row"`
	Start     float64        `yaml:"start_timeout" identity:"no" doc:"seconds that it may take to get ready"`
	Batch     int            `yaml:"batch" identity:"no" doc:"most rows asked at once; the detector's own number where it is not given"`
	Processes int            `yaml:"processes" identity:"no" doc:"how many batches are asked at once, each of a process of its own"`
}

var defaults = Asking{Timeout: 60, Start: 120, Processes: 1}

func init() {
	detectors.Register("command", "a program of your own, in any language, that reads and answers JSON lines; heirloom detector init writes one",
		Command{Asking: defaults}, func(env detectors.Env, c Command) (detectors.Detector, error) { return c.Open(env) })
	detectors.Register("http", "a server of your own, in any language, that answers the same JSON by POST",
		HTTP{Asking: defaults}, func(env detectors.Env, c HTTP) (detectors.Detector, error) { return c.Open(env) })
}

// most bounds what settings and a detector may ask for.
const (
	mostBatch     = 10_000
	mostProcesses = 256
	mostSeconds   = 7 * 24 * 3600
)

func (a *Asking) check(kind string) error {
	var faults []error
	within := func(key string, v, lo, hi float64) {
		if !(v >= lo && v <= hi) {
			faults = append(faults, fmt.Errorf("%s.%s: %v is not within %v and %v", kind, key, v, lo, hi))
		}
	}
	within("timeout", a.Timeout, .001, mostSeconds)
	within("start_timeout", a.Start, .001, mostSeconds)
	within("batch", float64(a.Batch), 0, mostBatch)
	within("processes", float64(a.Processes), 1, mostProcesses)
	if a.Threshold != nil {
		within("threshold", *a.Threshold, 0, 1)
	}
	return errors.Join(faults...)
}

func seconds(s float64) time.Duration {
	return time.Duration(math.Min(s, mostSeconds) * float64(time.Second))
}
