// Package serve is a server of the OpenAI protocol in front of any
// lineage.Backend: files, fine-tuning jobs, chat completions, embeddings,
// batches, models and moderations, and vLLM's loading of adapters.
//
//  1. A request is routed; a script of faults may answer it wrongly, or answer
//     it and lose the answer.
//  2. What changes the server (an upload, a job, a deletion) is written to its
//     journal, in a lineage.Ledger, before it is answered. A server that is
//     killed and opened again has all of it.
//  3. A fine-tuning job calls Backend.Train with the artifact of its base model.
//     A job that was cut off is trained again, to the same model.
//  4. A chat completion calls Model.Sample; requests that arrive together are
//     sampled together.
//
// Names and draws come from a seed and from counters, so that the same requests
// in the same order give the same answers, times apart.
package serve

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Model is a base model that the server offers.
type Model struct {
	Name     string
	Backend  lineage.Backend
	Learners []lineage.Learner // that jobs may use
	Artifact lineage.Artifact  // nil for a model without weights: it can be fine-tuned and not asked
}

// Options of a server. Only Models is needed.
type Options struct {
	Models  []Model
	Ledger  lineage.Ledger // where the server keeps its state; nil for memory
	Seed    uint64         // of names, and of draws for which a request has no seed
	Key     string         // that requests must bear; "" takes any, or none
	Speed   float64        // of the server's clock. 0: the time of day, and jobs wait for nothing
	Rules   []Rule         // faults
	Flags   []Flag         // what moderation finds
	MaxBody int64          // of a JSON request, in bytes; 32 MiB where it is 0
	MaxFile int64          // of an upload, in bytes; 512 MiB where it is 0
	Jobs    int            // trainings at once; as many as there are cores where it is 0
	Lenient bool           // take training files with fewer than ten examples

	// Patience is how long a look at a job or batch waits for its end. A client that
	// looks every ten seconds need not wait for what takes milliseconds.
	Patience time.Duration
	// Otherwise is the base model that is asked where a request names none that there
	// is; "" has such a request refused.
	Otherwise string

	Adapters fs.FS                            // from which adapters are loaded; nil for none
	Log      func(format string, args ...any) // one line each; nil for silence
}

// Server is an http.Handler. Its methods may be called by several goroutines at
// once.
type Server struct {
	options  Options
	clock    clock
	mux      *http.ServeMux
	script   *script
	journal  journal
	desks    desks
	counting counting
	slots    chan struct{} // a training holds one

	ctx  context.Context // of all that goes on between requests
	stop context.CancelFunc
	work sync.WaitGroup

	mu    sync.RWMutex
	state state
	told  map[string]bool // parameters of which it was said that they do nothing
}

// New opens a server and goes on with the jobs and batches that its ledger has
// in progress. Close ends it.
func New(o Options) (*Server, error) {
	if len(o.Models) == 0 {
		return nil, fmt.Errorf("serve: a server needs at least one base model")
	}
	if !(o.Speed >= 0) || o.Speed > 1e9 {
		return nil, fmt.Errorf("serve: speed %v is not between 0 and 1e9", o.Speed)
	}
	if o.Ledger == nil {
		o.Ledger = new(lineage.Memory)
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.MaxBody == 0 {
		o.MaxBody = 32 << 20
	}
	if o.MaxFile == 0 {
		o.MaxFile = 512 << 20
	}
	if o.Jobs == 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	s := &Server{options: o, slots: make(chan struct{}, o.Jobs), told: map[string]bool{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.route()
	var err error
	if s.script, err = newScript(o.Rules, s.routes()); err != nil {
		return nil, err
	}
	if err := checkFlags(o.Flags); err != nil {
		return nil, err
	}
	if err := s.resume(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// resume reads the journal and takes up what was in progress.
func (s *Server) resume() error {
	s.journal = journal{ledger: s.options.Ledger, seed: s.options.Seed}
	s.state.init()
	for _, m := range s.options.Models {
		if m.Name == "" || m.Backend == nil || strings.ContainsFunc(m.Name, unicode.IsSpace) {
			return fmt.Errorf("serve: the base model %q needs a backend, and a name without blanks", m.Name)
		}
		if s.state.models[m.Name] != nil {
			return fmt.Errorf("serve: two base models are called %s", m.Name)
		}
		s.state.addBase(m)
	}
	if name := s.options.Otherwise; name != "" && s.state.models[name] == nil {
		return fmt.Errorf("serve: Otherwise names %s, which is not among the base models", name)
	}
	last, err := s.journal.replay(s.state.apply)
	if err != nil {
		return err
	}
	if err := s.state.rooted(); err != nil {
		return err
	}
	s.clock = newClock(s.options.Speed, last)
	if err := s.commit(func(int) entry { return entry{Boot: true} }); err != nil {
		return err
	}
	for _, j := range s.state.jobs {
		if !j.ended() {
			s.begin(j)
		}
	}
	for _, b := range s.state.batches {
		if !b.ended() {
			s.beginBatch(b)
		}
	}
	return nil
}

// Close ends what goes on in the background and returns when it has ended. Jobs
// and batches in progress go on when the ledger is served again.
func (s *Server) Close() error {
	s.stop()
	s.work.Wait()
	return nil
}

// commit writes an entry to the journal and then has it take effect. The entry
// is made when its number is known, with the server locked.
func (s *Server) commit(at func(n int) entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commitLocked(at)
}

func (s *Server) commitLocked(at func(n int) entry) error {
	e := at(s.journal.next)
	e.At = s.clock.now().UnixNano()
	if err := s.journal.append(e); err != nil {
		return err
	}
	s.state.apply(e)
	return nil
}

// now is the server's time in seconds, as the protocol has it.
func (s *Server) now() int64 { return s.clock.now().Unix() }
