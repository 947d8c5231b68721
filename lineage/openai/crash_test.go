package openai

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Crashes are real: a child process trains and is killed with SIGKILL at a point,
// another goes on from what is on the disk.

// journal is a file of JSON lines, each on the disk before the next thing happens.
// The process kills itself at the point of its environment.
type journal struct{ path string }

type entry struct {
	Handle string      `json:"handle,omitempty"`
	What   string      `json:"what,omitempty"` // of a reservation
	Most   lineage.USD `json:"most,omitempty"`
	Spent  lineage.USD `json:"spent,omitempty"`
	Paid   bool        `json:"paid,omitempty"`
}

func at9(point string) {
	if os.Getenv("HEIRLOOM_CRASH_AT") == point {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (j journal) write(point string, e entry) error {
	at9("before " + point)
	f, err := os.OpenFile(j.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	data, _ := json.Marshal(e)
	if _, err := f.Write(append(data, '\n')); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	at9("after " + point)
	return nil
}

func (j journal) entries() (all []entry) {
	data, _ := os.ReadFile(j.path)
	for line := range strings.Lines(string(data)) {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

func (j journal) Load() (handle string, err error) {
	for _, e := range j.entries() {
		if e.Handle != "" {
			handle = e.Handle
		}
	}
	return handle, nil
}

func (j journal) Save(handle string) error {
	h, err := readHandle(handle)
	if err != nil {
		return err
	}
	point := h.Step
	if h.Paid {
		point = "paid"
	}
	return j.write(point, entry{Handle: handle})
}

// Reserve keeps reservations by their words.
func (j journal) Reserve(most lineage.USD, what string) (func(lineage.USD) error, error) {
	err := j.write("reserve", entry{What: what, Most: most})
	return func(actual lineage.USD) error { return j.write("settle", entry{What: what, Spent: actual, Paid: true}) }, err
}

// money is what the reservations come to: those that are not settled count whole.
func (j journal) money() (spent, held lineage.USD, settled int) {
	open := map[string]lineage.USD{}
	for _, e := range j.entries() {
		switch {
		case e.Paid:
			spent, settled = spent+e.Spent, settled+1
			delete(open, e.What)
		case e.What != "":
			open[e.What] = e.Most
		}
	}
	for _, m := range open {
		held += m
	}
	return spent, held, settled
}

// TestCrashChild is the child: it does nothing in an ordinary run of the tests.
func TestCrashChild(t *testing.T) {
	path := os.Getenv("HEIRLOOM_CRASH_JOURNAL")
	if path == "" {
		t.Skip("this is the process that other tests kill")
	}
	var c Config
	if err := json.Unmarshal([]byte(os.Getenv("HEIRLOOM_CRASH_CONFIG")), &c); err != nil {
		t.Fatal(err)
	}
	l := new(leap)
	b, err := newBackend(c, &Servers{clock: l.clock()})
	if err != nil {
		t.Fatal(err)
	}
	j := journal{path}
	if err := b.Enter(lineage.World{Purse: j}); err != nil {
		t.Fatal(err)
	}
	a, err := b.Train(t.Context(), lineage.Job{Node: "n1", Learner: lineage.SFT, Examples: given(lessons(12)), Count: 12, Ticket: j})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("model=%s\n", a.(*Artifact).Model)
}

// crew runs children on one journal.
type crew struct {
	*scene
	journal journal
	mu      sync.Mutex
	running *exec.Cmd
	dead    chan struct{} // closed when it is
}

// newCrew is one without a key: the environment is common to parallel tests.
func newCrew(t *testing.T) *crew {
	s := newScene(t)
	s.config.KeyEnv = "HEIRLOOM_NO_SUCH_KEY"
	return &crew{scene: s, journal: journal{filepath.Join(t.TempDir(), "journal")}}
}

// child runs one; it gives the model, or tells that it was killed.
func (c *crew) child(point string) (model string, killed bool) {
	c.t.Helper()
	config, err := json.Marshal(c.config)
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(c.t.Context(), os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
	cmd.Env = append(os.Environ(), "HEIRLOOM_CRASH_AT="+point, "HEIRLOOM_CRASH_JOURNAL="+c.journal.path, "HEIRLOOM_CRASH_CONFIG="+string(config))
	c.Asked("") // what was set in the server happens before the child asks it
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	c.mu.Lock()
	c.running, c.dead = cmd, make(chan struct{})
	err = cmd.Start()
	c.mu.Unlock()
	if err != nil {
		c.t.Fatal(err)
	}
	err = cmd.Wait()
	close(c.dead)
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return "", true
	}
	if err != nil {
		c.t.Fatalf("the child failed: %v\n%s", err, out.String())
	}
	_, rest, _ := strings.Cut(out.String(), "model=")
	model, _, _ = strings.Cut(rest, "\n")
	return model, false
}

// kill kills the child that is running, and returns when it is dead.
func (c *crew) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running.Process.Kill()
	<-c.dead
}

// whole tells that what the children did together is what one would have done.
func (c *crew) whole(model string) {
	c.t.Helper()
	if len(c.Files()) != 1 || len(c.Jobs()) != 1 || len(c.Models()) != 1 || model != c.Models()[0] {
		c.t.Errorf("%d files, %d jobs, models %v, and the child's is %q", len(c.Files()), len(c.Jobs()), c.Models(), model)
	}
	c.counts(1, 1)
	spent, held, settled := c.journal.money()
	if want := cost(3000, 3); spent != want || held != 0 || settled != 1 {
		c.t.Errorf("spent %v in %d settlements and holds %v, want %v in one", spent, settled, held, want)
	}
}

var boundaries = func() (all []string) {
	for _, step := range []string{uploading, uploaded, "reserve", creating, created, succeeded, "settle"} {
		all = append(all, "before "+step, "after "+step)
	}
	return append(all, "before paid", "after paid")
}()

// TestRows1And2KilledAtEveryStep kills the process between what is written and what
// is sent, on either side.
func TestRows1And2KilledAtEveryStep(t *testing.T) {
	for _, metadata := range []bool{true, false} {
		for _, point := range boundaries {
			t.Run(fmt.Sprintf("%s,metadata=%v", point, metadata), func(t *testing.T) {
				t.Parallel()
				c := newCrew(t)
				c.Plain, c.config.Provider.Metadata = !metadata, &metadata
				if _, killed := c.child(point); !killed {
					t.Fatalf("the child was not killed %s", point)
				}
				model, _ := c.child("")
				if point == "after settle" || point == "before paid" {
					// The purse knows that it was paid and the ticket does not: it counts twice,
					// which is on the safe side.
					if spent, held, _ := c.journal.money(); spent != 2*cost(3000, 3) || held != 0 {
						t.Errorf("spent %v, holds %v", spent, held)
					}
					c.counts(1, 1)
					return
				}
				c.whole(model)
			})
		}
	}
}

// TestRows1And2KilledWhileTheServerAnswers kills the process when the server has
// done what it was asked for, or before, and has not answered.
func TestRows1And2KilledWhileTheServerAnswers(t *testing.T) {
	for _, path := range []string{"/v1/files", "/v1/fine_tuning/jobs"} {
		for _, committed := range []bool{true, false} {
			for _, metadata := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s,committed=%v,metadata=%v", path, committed, metadata), func(t *testing.T) {
					t.Parallel()
					c := newCrew(t)
					c.Plain, c.config.Provider.Metadata = !metadata, &metadata
					var once sync.Once
					strike := func(_ http.ResponseWriter, r *http.Request) (struck bool) {
						if r.Method == "POST" && r.URL.Path == path {
							once.Do(func() { c.kill(); struck = true })
						}
						return struck
					}
					if committed {
						c.After = strike
					} else {
						c.Before = strike
					}
					if _, killed := c.child(""); !killed {
						t.Fatal("the child was not killed")
					}
					model, _ := c.child("")
					if committed {
						c.whole(model)
						return
					}
					if len(c.Files()) != 1 || len(c.Jobs()) != 1 || !slices.Equal(c.Models(), []string{model}) {
						t.Errorf("%d files, %d jobs, models %v, and the child's is %q", len(c.Files()), len(c.Jobs()), c.Models(), model)
					}
				})
			}
		}
	}
}

// TestRows1And2KilledAgainAndAgain kills at every step of one training in turn.
func TestRows1And2KilledAgainAndAgain(t *testing.T) {
	c := newCrew(t)
	for _, point := range []string{"after " + uploading, "before " + uploaded, "after " + uploaded, "after reserve", "after " + creating, "before " + created, "after " + created, "before " + succeeded, "before settle"} {
		if _, killed := c.child(point); !killed {
			t.Fatalf("the child was not killed %s", point)
		}
	}
	model, _ := c.child("")
	c.whole(model)
}
