package cmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/sim"
)

// serverProcess is heirloom serve in a process of its own.
type serverProcess struct {
	*exec.Cmd
	url    string
	line   string // that told it
	out    *bufio.Reader
	stderr bytes.Buffer
}

var exported = regexp.MustCompile(`OPENAI_BASE_URL=(\S+)`)

func serveIn(t *testing.T, args ...string) *serverProcess {
	t.Helper()
	c, _ := process(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	s := &serverProcess{Cmd: c}
	c.Stdout, c.Stderr = nil, &s.stderr
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	s.out = bufio.NewReader(pipe)
	for {
		line, err := s.out.ReadString('\n')
		if m := exported.FindStringSubmatch(line); m != nil {
			s.url, s.line = m[1], line
			return s
		}
		if err != nil {
			t.Fatalf("it does not serve: %v: %s", err, s.stderr.String())
		}
	}
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

const greeting = `{"model":"hl-base","seed":1,"messages":[{"role":"user","content":"Tell me about bread."}]}`

func TestServeStopsWhenItIsToldAndLetsRequestsFinish(t *testing.T) {
	dir := t.TempDir()
	faults := filepath.Join(dir, "faults.yaml")
	if err := os.WriteFile(faults, []byte("rules:\n  - {match: POST /v1/chat/completions, nth: 2, do: delay, delay: 1}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serveIn(t, "--base", "hl-base=web/everyday", "--folder", filepath.Join(dir, "state"), "--faults", faults)
	status, first := post(t, s.url+"/chat/completions", greeting)
	if status != 200 {
		t.Fatalf("%d %s", status, first)
	}
	slow := make(chan int)
	go func() {
		resp, err := http.Post(s.url+"/chat/completions", "application/json", strings.NewReader(greeting))
		if err != nil {
			slow <- 0
			return
		}
		resp.Body.Close()
		slow <- resp.StatusCode
	}()
	time.Sleep(300 * time.Millisecond)
	s.Process.Signal(syscall.SIGTERM)
	if got := <-slow; got != 200 {
		t.Errorf("a request that was on its way got %d", got)
	}
	rest, _ := io.ReadAll(s.out)
	if err := s.Wait(); err != nil || !strings.Contains(string(rest), "2 answers") {
		t.Errorf("%v: %s %s", err, rest, s.stderr.String())
	}

	// A restarted server says the same.
	s = serveIn(t, "--base", "hl-base=web/everyday", "--folder", filepath.Join(dir, "state"))
	_, again := post(t, s.url+"/chat/completions", greeting)
	var a, b struct{ Choices []any }
	json.Unmarshal([]byte(first), &a)
	json.Unmarshal([]byte(again), &b)
	x, _ := json.Marshal(a.Choices)
	y, _ := json.Marshal(b.Choices)
	if !bytes.Equal(x, y) {
		t.Errorf("%s and, started again, %s", x, y)
	}
}

func TestServeKeepsKeysAndOtherMachinesOut(t *testing.T) {
	t.Setenv("SOME_KEY", "sk-canary-123456")
	s := serveIn(t, "--api-key-env", "SOME_KEY", "--folder", filepath.Join(t.TempDir(), "state"))
	if status, body := post(t, s.url+"/chat/completions", greeting); status != 401 || strings.Contains(body, "canary") {
		t.Errorf("%d %s", status, body)
	}
	req, _ := http.NewRequest("POST", s.url+"/chat/completions", strings.NewReader(greeting))
	req.Header.Set("Authorization", "Bearer sk-canary-123456")
	req.Header.Set("Origin", "https://evil.example")
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != 403 {
		t.Errorf("a web page gets %v %v", resp, err)
	}
	s.Process.Signal(syscall.SIGINT)
	rest, _ := io.ReadAll(s.out)
	s.Wait()
	if strings.Contains(string(rest)+s.stderr.String(), "canary") {
		t.Errorf("the key is told: %s %s", rest, s.stderr.String())
	}

	s = serveIn(t, "--listen", "0.0.0.0:0", "--folder", filepath.Join(t.TempDir(), "state"))
	s.Process.Signal(syscall.SIGINT)
	if s.Wait(); !strings.Contains(s.stderr.String(), "warning: whoever reaches") {
		t.Errorf("no warning: %s", s.stderr.String())
	}
}

func TestServeRefusesWhatItCannotServe(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for want, args := range map[string][]string{
		`unknown catalogue corpus "web/nowhere"`:   {"--base", "x=web/nowhere"},
		`unknown backend "ngrams"; did you mean`:   {"--backend", "ngrams"},
		"takes a file, or --base":                  {write("a.yaml", "serve: 1\n"), "--base", "x"},
		"there is nothing to serve":                {write("b.yaml", "serve: 1\n")},
		`c.yaml:2:14: models.x.sauce: unknown key`: {write("c.yaml", "serve: 1\nmodels: {x: {sauce: web/everyday}}\n")},
		"order":                                  {"--set", "backend={kind: ngram, order: 99}"},
		`f.yaml:2:5: rules[0].mach: unknown key`: {"--faults", write("f.yaml", "rules:\n  - mach: POST /v1/files\n")},
		`g.yaml: rules[0].match: "POST /v1/fils" is`:  {"--faults", write("g.yaml", "rules:\n  - {match: POST /v1/fils, do: drop}\n")},
		"the environment variable NO_SUCH is not set": {"--api-key-env", "NO_SUCH"},
		"--listen:": {"--listen", "256.0.0.1:1"},
		"speed":     {"--job-speed", "-1"},
	} {
		code, _, stderr := heirloom(t, append([]string{"serve", "--folder", filepath.Join(dir, "state")}, args...)...)
		if code == exitDone || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit %d: %s, want %s", args, code, stderr, want)
		}
	}
}

// What docs/serve.md shows is read by the program, and said by it.
func TestServeDocumentIsSound(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "serve.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := blocks(string(text), "yaml")
	if len(examples) != 3 {
		t.Fatalf("%d examples", len(examples))
	}
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{
		"mine.jsonl": `{"messages":[{"role":"user","content":"Who?"},{"role":"assistant","content":"Me."}]}` + "\n", "faults.yaml": examples[2],
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	offer, err := sim.ParseServing("docs/serve.md", ".", []byte(examples[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	if offer.Close(); len(offer.Models) != 3 {
		t.Errorf("%v", offer.Models)
	}
	if rules, flags, err := faultsFile("faults.yaml"); err != nil || len(rules) != 4 || len(flags) != 1 || rules[1].Headers["Retry-After"] != "2" {
		t.Errorf("%+v %+v %v", rules, flags, err)
	}
	s := serveIn(t, "--backend", "ngram", "--base", "hl-base=web/everyday")
	if want := strings.Replace(s.line, strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/v1"), "127.0.0.1:8765", 1); !strings.Contains(string(text), want) {
		t.Errorf("the document does not show %q", want)
	}
}
