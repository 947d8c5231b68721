package openai

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// diary is a ticket and a record of completions in one file, each line of which is
// on the disk before the next thing happens. Around line `die` the process kills
// itself: an even number is before that line, an odd one after it.
type diary struct {
	mu   sync.Mutex
	path string
	die  int
	n    int
}

type diaryLine struct {
	Handle string              `json:"handle,omitempty"`
	Index  *int                `json:"index,omitempty"`
	Answer *lineage.Completion `json:"answer,omitempty"`
}

func (d *diary) write(l diaryLine) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := func(point int) {
		if d.die == point {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	at(2 * d.n)
	f, err := os.OpenFile(d.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewEncoder(f).Encode(l); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	at(2*d.n + 1)
	d.n++
	return nil
}

func (d *diary) read() (handle string, got map[int]lineage.Completion, err error) {
	got = map[int]lineage.Completion{}
	f, err := os.Open(d.path)
	if os.IsNotExist(err) {
		return "", got, nil
	}
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l diaryLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return "", nil, err
		}
		if l.Handle != "" {
			handle = l.Handle
		} else {
			got[*l.Index] = *l.Answer
		}
	}
	return handle, got, nil
}

func (d *diary) Load() (string, error) {
	handle, _, err := d.read()
	return handle, err
}

func (d *diary) Save(handle string) error { return d.write(diaryLine{Handle: handle}) }

const crashed = 12 // requests of a batch whose process is killed

// TestBatchChild is the child: it does nothing in an ordinary run of the tests.
func TestBatchChild(t *testing.T) {
	url := os.Getenv("HEIRLOOM_BATCH_URL")
	if url == "" {
		t.Skip("this is the process that another test kills")
	}
	d := &diary{path: os.Getenv("HEIRLOOM_BATCH_DIARY"), die: -1}
	fmt.Sscan(os.Getenv("HEIRLOOM_BATCH_DIE"), &d.die)
	c, err := (&Servers{clock: new(leap).clock()}).Open("model", Server{BaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	s := DefaultSampling()
	s.Batch = true
	m := newModel(c, &Artifact{Model: "m"}, s, Profile{Local: true, MaxTokens: "max_tokens", Seed: true}, lineage.World{
		Purse: rich(), Log: t.Logf, Ticket: func(string) lineage.Ticket { return d },
	})
	_, have, err := d.read()
	if err != nil {
		t.Fatal(err)
	}
	var open []int
	var reqs []lineage.Request
	for i, r := range prompts(crashed) {
		if _, ok := have[i]; !ok {
			open, reqs = append(open, i), append(reqs, r)
		}
	}
	if err := m.Sample(t.Context(), reqs, func(i int, c lineage.Completion) error {
		return d.write(diaryLine{Index: &open[i], Answer: &c})
	}); err != nil {
		t.Fatal(err)
	}
}

// TestRow19BatchSurvivesKill kills the process before and after every record that
// it writes: whoever goes on finds the file and the batch, and asks for no answer
// that was recorded.
func TestRow19BatchSurvivesKill(t *testing.T) {
	for die := 0; ; die++ {
		d := &depot{t: t}
		server := httptest.NewServer(d)
		path := filepath.Join(t.TempDir(), "diary")
		run := func(die int) error {
			child := exec.Command(os.Args[0], "-test.run=^TestBatchChild$", "-test.timeout=60s")
			child.Env = append(os.Environ(), "HEIRLOOM_BATCH_URL="+server.URL+"/v1", "HEIRLOOM_BATCH_DIARY="+path, fmt.Sprint("HEIRLOOM_BATCH_DIE=", die))
			out, err := child.CombinedOutput()
			if err != nil && !strings.Contains(err.Error(), "killed") {
				t.Fatalf("%v: %s", err, out)
			}
			return err
		}
		killed := run(die)
		if killed != nil {
			if err := run(-1); err != nil {
				t.Fatal(err)
			}
		}
		server.Close()
		_, got, err := (&diary{path: path}).read()
		if err != nil {
			t.Fatal(err)
		}
		checkAll(t, prompts(crashed), got)
		if d.uploads() != 1 || len(d.batches) != 1 {
			t.Errorf("killed at %d: %d uploads and %d batches", die, d.uploads(), len(d.batches))
		}
		if killed == nil {
			if die < 2*(6+crashed) {
				t.Errorf("only %d kills", die)
			}
			return
		}
	}
}
