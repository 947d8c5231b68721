package transformer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// A test binary with this variable trains in the folder that it names.
const trainVariable = "HEIRLOOM_TEST_TRAIN"

func TestMain(m *testing.M) {
	folder := os.Getenv(trainVariable)
	if folder == "" {
		os.Exit(m.Run())
	}
	workBetweenSaves = 1
	b, job := longJob(folder)
	job.Progress = func(done, total int) { fmt.Println("step", done) }
	a, err := b.Train(background, job)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	data, _ := a.MarshalBinary()
	fmt.Printf("digest %x\n", sha256.Sum256(data))
}

// longJob is a preference training with adapters: all that a state can hold.
func longJob(folder string) (*Backend, lineage.Job) {
	c := tiny(func(c *Config) { c.Epochs, c.Dropout, c.Adapter.Rank = 20, .1, 2; c.Batch = 4 })
	b, err := New(c)
	if err != nil {
		panic(err)
	}
	corpus, wanted := pairs()
	base, err := b.Train(background, jobOf(lineage.SFT, corpus))
	if err != nil {
		panic(err)
	}
	b.Enter(lineage.World{Folder: folder, Log: func(format string, args ...any) { fmt.Printf("log: "+format+"\n", args...) }})
	job := jobOf(lineage.Preference, wanted)
	job.Base = base
	return b, job
}

// run starts the binary and kills it after so many steps, 0 for never.
func run(t *testing.T, folder string, kill int) (digest string, first int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), trainVariable+"="+folder)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		step := 0
		if _, err := fmt.Sscanf(lines.Text(), "step %d", &step); err == nil {
			if first == 0 {
				first = step
			}
			if step == kill {
				child.Process.Kill()
			}
		} else if rest, ok := strings.CutPrefix(lines.Text(), "digest "); ok {
			digest = rest
		} else {
			t.Log(lines.Text())
		}
	}
	if err := child.Wait(); err != nil && kill == 0 {
		t.Fatal(err)
	}
	return digest, first
}

func states(t *testing.T, folder string) []string {
	found, err := filepath.Glob(filepath.Join(folder, "transformer", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAKilledTrainingGoesOnToTheSameWeights(t *testing.T) {
	whole, _ := run(t, t.TempDir(), 0)
	folder, last := t.TempDir(), 0
	for _, kill := range []int{7, 19, 33} {
		if digest, first := run(t, folder, kill); digest != "" || first <= last {
			t.Fatalf("killed after step %d it began with step %d, before it was at %d; digest %q", kill, first, last, digest)
		}
		last = kill - 1
	}
	digest, first := run(t, folder, 0)
	if digest != whole || first < 33 {
		t.Errorf("it went on with step %d to %s, want %s", first, digest, whole)
	}
	if left := states(t, folder); len(left) != 0 {
		t.Errorf("%v is left behind", left)
	}
}

func TestAStoppedTrainingKeepsItsState(t *testing.T) {
	defer func(w float64) { workBetweenSaves = w }(workBetweenSaves)
	workBetweenSaves = 1e7
	whole, err := stopped(t, t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if _, err := stopped(t, folder, 9); !errors.Is(err, context.Canceled) {
		t.Fatalf("a stopped training gives %v", err)
	}
	found := states(t, folder)
	if len(found) != 1 {
		t.Fatalf("a stopped training left %v", found)
	}
	state, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(state, []byte(stateHeader+`{"Step":9,`)) {
		t.Errorf("the state begins with %.60q", state)
	}
	if got, err := stopped(t, folder, 0); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("taken up, it gives other weights, %v", err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"cut":     func(s []byte) []byte { return s[:len(s)/2] },
		"flipped": func(s []byte) []byte { s[len(s)/2]++; return s },
		"empty":   func(s []byte) []byte { return nil },
		"another": func(s []byte) []byte { return signed(bytes.Replace(s[:len(s)-32], []byte("}\n"), []byte("}\nx"), 1)) },
	} {
		if err := os.WriteFile(found[0], damage(bytes.Clone(state)), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := stopped(t, folder, 0); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("%s: from a damaged state it gives other weights, %v", name, err)
		}
	}
}

// stopped trains the long job, and stops it after so many steps.
func stopped(t *testing.T, folder string, stop int) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	b, job := longJob(folder)
	job.Progress = func(done, total int) {
		if done == stop {
			cancel()
		}
	}
	a, err := b.Train(ctx, job)
	if err != nil {
		return nil, err
	}
	return a.MarshalBinary()
}
