package protocol

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
)

// link is a way to a detector that is ready: a child process or a server.
type link interface {
	// ask sends rows and calls got for each answer, by the row's place. It
	// returns nil when each has its answer. After an error the link is of no
	// more use; an error that is fatal is not the rows' doing.
	ask(ctx context.Context, rows []row, got func(i int, a *answer)) error
	alive() bool
	// end gives the other side a while to end by itself.
	end(patience time.Duration)
}

// grace is how long a process may take to end by itself.
const grace = 2 * time.Second

// opener makes a link and tells what is at its other end.
type opener func(ctx context.Context) (link, Ready, error)

// fatal is an error that another row would meet as well.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

// Detector is a detector outside this process. It implements
// detectors.Detector, detectors.Digester and io.Closer. Several goroutines may use it.
type Detector struct {
	Ready  Ready // what it says of itself
	kind   string
	asking Asking
	judge  judgement
	open   opener
	digest string
	log    *journal
	links  chan link // one a process; nil where it is to be opened
	batch  int

	mu     sync.Mutex
	stats  Stats
	inARow int   // texts that failed since the last that was judged
	last   error // why the last of them did
	closed bool
}

// Stats are what a detector has done so far.
type Stats struct {
	Rows      int     // asked
	NotJudged int     // of them, that ended, outlasted or confused the detector: not scorable
	Restarts  int     // of processes
	Cost      float64 // the sum of the answers' cost, in their unit
}

// Stats tells what the detector has done so far.
func (d *Detector) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Digest covers what the detector says it is, and what it is made of.
func (d *Detector) Digest() string { return d.digest }

// plain is asked of every process before its answers are trusted.
var plain = row{ID: "plain", Messages: []detectors.Message{{Role: "user", Content: "What did you do today?"}}, Output: "I went for a walk and read a book."}

// newDetector opens the first link; material is what the identity covers beside
// name and version.
func newDetector(kind string, a Asking, j *journal, open opener, material []string) (*Detector, error) {
	d := &Detector{kind: kind, asking: a, open: open, log: j, links: make(chan link, a.Processes)}
	d.judge.threshold = a.Threshold
	first, err := d.dial(context.Background())
	if err != nil {
		return nil, err
	}
	d.links <- first
	for range a.Processes - 1 {
		d.links <- nil
	}
	d.batch = a.Batch
	if d.batch == 0 {
		d.batch = d.Ready.Batch
	}
	if !d.Ready.Deterministic {
		j.note("says that it is not deterministic: its scores stand as they are recorded first")
	}
	d.digest = digestOf(append([]string{d.Ready.Name, d.Ready.Version, fmt.Sprint(d.Ready.Threshold, d.Ready.Deterministic)}, material...))
	return d, nil
}

// dial opens a link to the same detector as before, and has it judge a plain
// sentence: if that fails, the detector is broken and not the texts.
func (d *Detector) dial(ctx context.Context) (link, error) {
	l, ready, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.tryOut(ctx, l, ready); err != nil {
		l.end(0)
		return nil, err
	}
	if d.Ready.Name == "" {
		d.Ready, d.judge.own = ready, ready.Threshold
	} else if ready.Name != d.Ready.Name || ready.Version != d.Ready.Version || ready.Threshold != d.Ready.Threshold {
		l.end(0)
		return nil, fatal{fmt.Errorf("was %s %s and is now %s %s; one run is judged by one version", d.Ready.Name, d.Ready.Version, ready.Name, ready.Version)}
	}
	return l, nil
}

func (d *Detector) tryOut(ctx context.Context, l link, ready Ready) error {
	var said error
	err := l.ask(ctx, []row{plain}, func(_ int, a *answer) {
		_, _, said = judgement{own: ready.Threshold}.result(a, plain.Output)
	})
	if err = errors.Join(err, said); err != nil {
		return fmt.Errorf("cannot judge a plain sentence (%q): %w", plain.Output, err)
	}
	return nil
}

// Detect implements detectors.Detector. Texts of white space alone are not
// scorable and are not sent.
func (d *Detector) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results := make([]detectors.Result, len(us))
	var rows []row
	var of []int
	for i, u := range us {
		if r := rowOf(u); strings.TrimSpace(r.Output) == "" {
			results[i].Reason = "the text is empty"
		} else {
			rows, of = append(rows, r), append(of, i)
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	room := make(chan struct{}, cap(d.links))
	for first := 0; first < len(rows) && ctx.Err() == nil; first += d.batch {
		last := min(first+d.batch, len(rows))
		room <- struct{}{}
		running.Go(func() {
			defer func() { <-room }()
			got := func(i int, r detectors.Result) { results[of[first+i]] = r }
			if err := d.ask(ctx, rows[first:last], got); err != nil {
				stop(err)
			}
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return results, nil
}

// mostInARow is how many texts may fail one after the other: so many are not the
// texts' doing, and a result of nothing but "not scorable" would hide that.
const mostInARow = 32

func (d *Detector) tooMany() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inARow < mostInARow {
		return nil
	}
	return fatal{fmt.Errorf("could not judge %d texts one after the other, though it can judge a plain sentence; the last: %w", d.inARow, d.last)}
}

// Close ends the processes. It waits for what is being asked.
func (d *Detector) Close() error {
	d.mu.Lock()
	was := d.closed
	d.closed = true
	d.mu.Unlock()
	if was {
		return nil
	}
	for range cap(d.links) {
		if l := <-d.links; l != nil {
			defer l.end(grace)
		}
	}
	for range cap(d.links) {
		d.links <- nil
	}
	s := d.Stats()
	if s.NotJudged > 0 {
		d.log.note("%d of %d texts could not be judged and count as not scorable", s.NotJudged, s.Rows)
	}
	if s.Cost > 0 {
		d.log.note("the answers cost %.6g", s.Cost)
	}
	return nil
}
