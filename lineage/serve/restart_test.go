package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/serve"
	"github.com/heirloom-sim/heirloom/lineage/store"
)

// TestMain lets the test binary be a server that can be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("HEIRLOOM_TEST_SERVE"); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

func child(dir string) {
	die := func(err error) {
		if err != nil {
			fmt.Println("child:", err)
			os.Exit(1)
		}
	}
	ledger, err := store.Create(dir, store.Options{})
	die(err)
	t := &testing.T{}
	s, err := serve.New(serve.Options{Models: []serve.Model{urnModel(fatherless{t}, "hl-urn", sayings...), ngramModel(fatherless{t}, "hl-base", sayings...)}, Ledger: ledger, Speed: 900})
	die(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	die(err)
	fmt.Println("http://" + l.Addr().String() + "/v1")
	die(http.Serve(l, s))
}

// fatherless is a test of a process that is none.
type fatherless struct{ *testing.T }

func (fatherless) Helper() {}

func (fatherless) Context() context.Context { return context.Background() }

// living is a server in a process of its own.
type living struct {
	*host
	process *exec.Cmd
}

func live(t *testing.T, dir string) *living {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), "HEIRLOOM_TEST_SERVE="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "http://") {
		t.Fatalf("%q %v", line, err)
	}
	return &living{&host{t: t, url: strings.TrimSpace(line)}, c}
}

func (l *living) kill() {
	l.process.Process.Kill()
	l.process.Wait()
}

// A server that is killed at any moment has all that it answered for, and trains
// what it had begun to the model that it would have been.
func TestKilledServerHasAllThatItAnsweredFor(t *testing.T) {
	kills := 12
	if testing.Short() {
		kills = 3
	}
	want := ""
	r := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir() + "/ledger"
	l := live(t, dir)
	defer func() { l.kill() }()
	var files, jobs []string
	for i := range kills {
		jobs = append(jobs, l.job("hl-base", rows("I am new.", "I am rather new."), map[string]any{"seed": 5, "metadata": map[string]string{"n": fmt.Sprint(i)}}))
		files = append(files, l.upload(rows(fmt.Sprint("upload ", i))))
		time.Sleep(time.Duration(r.IntN(250)) * time.Millisecond) // a job takes 180
		l.kill()
		l = live(t, dir)
		for _, f := range files {
			l.must("GET", "/files/"+f, nil)
		}
		for n, id := range jobs {
			j := l.until(id, "succeeded")
			name := j["fine_tuned_model"].(string)
			v := l.say(name, map[string]any{"seed": 1, "n": 4})
			if got := fmt.Sprint(v["system_fingerprint"], v["choices"]); want == "" {
				want = got
			} else if got != want {
				t.Fatalf("kill %d: the model of job %d differs: %s, want %s", i, n, got, want)
			}
			if got := len(l.must("GET", "/fine_tuning/jobs?metadata[n]="+fmt.Sprint(n), nil)["data"].([]any)); got != 1 {
				t.Fatalf("kill %d: %d jobs for one creation", i, got)
			}
			kinds := map[string]int{}
			for _, e := range l.must("GET", "/fine_tuning/jobs/"+id+"/events?limit=100", nil)["data"].([]any) {
				kinds[e.(map[string]any)["message"].(string)]++
			}
			for message, n := range kinds {
				if n != 1 {
					t.Errorf("%q is told %d times", message, n)
				}
			}
		}
	}
}

func TestRestartedServerIsTheSame(t *testing.T) {
	ledger := new(lineage.Memory)
	h := start(t, serve.Options{Ledger: ledger})
	done := h.until(h.job("hl-base", rows("I am new."), map[string]any{"suffix": "a"}), "succeeded")
	gone := h.upload(rows("to be deleted"))
	h.must("DELETE", "/files/"+gone, nil)
	paths := []string{"/files", "/fine_tuning/jobs", "/models", "/fine_tuning/jobs/" + done["id"].(string) + "/events", "/fine_tuning/jobs/" + done["id"].(string) + "/checkpoints", "/files/" + done["result_files"].([]any)[0].(string) + "/content"}
	var before []string
	for _, p := range paths {
		var text string
		h.do("GET", p, nil, &text)
		before = append(before, text)
	}
	said := h.say(done["fine_tuned_model"].(string), map[string]any{"seed": 3})
	h.Close()
	h = start(t, serve.Options{Ledger: ledger})
	for i, p := range paths {
		var text string
		if h.do("GET", p, nil, &text); text != before[i] {
			t.Errorf("%s: %s, before %s", p, text, before[i])
		}
	}
	if again := h.say(done["fine_tuned_model"].(string), map[string]any{"seed": 3}); text(again) != text(said) || again["id"] == said["id"] {
		t.Errorf("%v and %v", again, said)
	}
	h.Close()
	if _, err := serve.New(serve.Options{Ledger: ledger, Models: []serve.Model{urnModel(t, "other", "x")}}); err == nil || !strings.Contains(err.Error(), "not among the base models") {
		t.Errorf("a ledger whose base model is not served: %v", err)
	}
}

// The same requests in the same order get the same names and texts.
func TestSameRequestsSameAnswers(t *testing.T) {
	var first string
	for range 2 {
		h := start(t, serve.Options{Seed: 9})
		id := h.job("hl-urn", rows(sayings...), nil)
		j := h.until(id, "succeeded")
		var said strings.Builder
		fmt.Fprintln(&said, id, j["training_file"], j["seed"])
		for range 5 {
			v := h.say("hl-base", nil)
			fmt.Fprintln(&said, v["id"], text(v))
		}
		if first == "" {
			first = said.String()
		} else if said.String() != first {
			t.Errorf("%s and %s", said.String(), first)
		}
	}
}
