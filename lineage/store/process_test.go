package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// The test binary is also the second process of these tests: it writes nodes
// into the ledger that the variable names, says "N" on standard output when
// node N is saved, and closes the ledger when its standard input ends.
const (
	childVariable = "HEIRLOOM_STORE_TEST_CHILD"
	limitVariable = "HEIRLOOM_STORE_TEST_LIMIT" // bytes that a file of the child may have
	paceVariable  = "HEIRLOOM_STORE_TEST_PACE"  // time that it takes for a node
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// limitChild does what limitVariable says, where the system can.
var limitChild = func() error { return nil }

func child(dir string) error {
	if err := limitChild(); err != nil {
		return err
	}
	pace, _ := time.ParseDuration(os.Getenv(paceVariable))
	s, err := Create(dir, Options{})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	for n := 0; ; n++ {
		select {
		case <-ended:
			return s.Close()
		default:
		}
		if err := saveNode(s, n); err != nil {
			return errors.Join(err, s.Close())
		}
		if n%8 == 7 {
			if err := s.Sync(); err != nil {
				return errors.Join(err, s.Close())
			}
		}
		fmt.Println(n)
		time.Sleep(pace)
	}
}

const perNode = 6

// nodeRecord is some text, some noise, some of it small; a function of n and i.
func nodeRecord(n, i int) lineage.Raw {
	seed := [32]byte{0: byte(n), 1: byte(n >> 8), 2: byte(i)}
	source := rand.NewChaCha8(seed)
	data := []byte(strings.Repeat(fmt.Sprintf("node %d record %d, ", n, i), 1+rand.New(source).IntN(200)))
	noise := make([]byte, i*i*i*100)
	source.Read(noise)
	return append(data, noise...)
}

func outputsKey(n, i int) lineage.Key { return lineage.Key(fmt.Sprintf("outputs/%06d/%d", n, i)) }
func nodeKey(n int) lineage.Key       { return lineage.Key(fmt.Sprintf("node/%06d", n)) }

func saveNode(l lineage.Ledger, n int) error {
	for i := range perNode {
		if err := l.Save(outputsKey(n, i), nodeRecord(n, i)); err != nil {
			return err
		}
	}
	return l.Save(nodeKey(n), n)
}

// wholeNodes checks that a ledger holds what was saved up to some moment, and
// nothing else, and gives the number of whole nodes.
func wholeNodes(t *testing.T, l lineage.Ledger) int {
	t.Helper()
	have := map[lineage.Key]bool{}
	for key, err := range l.Keys("") {
		if err != nil {
			t.Fatal(err)
		}
		have[key] = true
	}
	total := len(have)
	for n := 0; ; n++ {
		for i := range perNode {
			if key := outputsKey(n, i); have[key] {
				var raw lineage.Raw
				if _, err := l.Load(key, &raw); err != nil || string(raw) != string(nodeRecord(n, i)) {
					t.Fatalf("%s is not what was saved: %v", key, err)
				}
				total--
				continue
			}
			if total != 0 {
				t.Fatalf("%s is lost and %d records that were saved after it are there", outputsKey(n, i), total)
			}
			return n
		}
		if !have[nodeKey(n)] {
			if total != 0 {
				t.Fatalf("%s is lost and %d records that were saved after it are there", nodeKey(n), total)
			}
			return n
		}
		total--
	}
}

type process struct {
	*exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
	stderr strings.Builder
}

func start(t *testing.T, dir string, env ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(append(os.Environ(), childVariable+"="+dir), env...)
	p.Stderr = &p.stderr
	stdin, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin, p.stdout = stdin, bufio.NewReader(stdout)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	return p
}

// saved waits for the next node and gives its number, -1 when there is none.
func (p *process) saved() int {
	line, err := p.stdout.ReadString('\n')
	n, bad := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || bad != nil {
		return -1
	}
	return n
}

// kill ends the process at once and gives the last node that it said was saved.
func (p *process) kill(last int) int {
	p.Process.Kill()
	for n := p.saved(); n >= 0; n = p.saved() {
		last = n
	}
	p.Wait()
	return last
}

func TestKilledProcessLosesNothingSaved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(4, 4))
	for round := range 20 {
		p := start(t, dir)
		last := -1
		if round%4 != 0 {
			last = p.saved()
		}
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		last = p.kill(last)

		s := create(t, dir)
		if n := wholeNodes(t, s); n <= last {
			t.Fatalf("round %d: %d nodes are there after a kill, %d were saved", round, n, last+1)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if round%7 == 6 {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// copyLedger copies a folder, holes of its files included.
func copyLedger(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if out, err := exec.Command("cp", "-r", "--sparse=always", dir+"/.", to).CombinedOutput(); err != nil {
		t.Skipf("cp: %v: %s", err, out)
	}
	os.Remove(filepath.Join(to, addressName))
	return to
}

// Readers that look again and again, as a watched status does, must not make a
// run fail that begins or goes on at the same time.
func TestReadersDoNotKeepAWriterOut(t *testing.T) {
	t.Parallel()
	for round := range 6 {
		dir := t.TempDir()
		if err := makeFolder(dir); err != nil {
			t.Fatal(err)
		}
		stop, stopped := make(chan struct{}), make(chan int)
		go func() {
			looks := 0
			for {
				select {
				case <-stop:
					stopped <- looks
					return
				default:
				}
				if r, err := Read(dir); err == nil {
					r.Close()
					looks++
				}
				time.Sleep(2 * time.Millisecond)
			}
		}()
		for begin := range 3 { // a fresh ledger, then twice one that was not closed
			p := start(t, dir)
			last := p.saved()
			if last < 0 {
				p.Wait()
				t.Fatalf("round %d, begin %d: the writer was kept out: %s", round, begin, p.stderr.String())
			}
			p.kill(last)
		}
		close(stop)
		if looks := <-stopped; looks == 0 {
			t.Error("no reader ever got in")
		}
	}
}
