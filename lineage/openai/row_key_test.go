package openai

import (
	"bufio"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// TestRow27KeyOfAModelIsNowhere has a server say the key wherever it can, in
// answers, streams, batches and faults, and looks for it in whatever is left of
// that: completions, errors, logs and tickets, as files in a folder, and what is
// printed of the model itself.
func TestRow27KeyOfAModelIsNowhere(t *testing.T) {
	escaped := `\u0073\u006b` + canary[2:]
	folder := t.TempDir()
	keep := func(name, format string, args ...any) {
		if err := os.WriteFile(filepath.Join(folder, name), fmt.Appendf(nil, format, args...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, word := range []string{canary, escaped} {
		for _, status := range []int{200, 301, 400, 401, 403, 404, 422, 429, 500, 503} {
			for _, mode := range []string{"plain", "stream", "batch", "results"} {
				name := fmt.Sprintf("%s-%d-%d", mode, status, len(word))
				synctest.Test(t, func(t *testing.T) {
					sayKey := func(w http.ResponseWriter) {
						w.Header().Set("Location", "http://localhost/"+canary)
						w.WriteHeader(status)
						fmt.Fprintf(w, `{"id":"%[1]s","status":"%[1]s","error":{"message":"the key is %[1]s","type":"%[1]s","code":"%[1]s"}}`, word)
					}
					b := inBubble(t, Server{Key: canary, KeyEnv: "SOME_KEY"}, func(w http.ResponseWriter, _ int, a asked) {
						switch {
						case status != 200:
							sayKey(w)
						case a.body.Stream:
							for _, piece := range []string{word[:7], word[7:]} {
								if word == escaped {
									piece = word
								}
								fmt.Fprintf(w, "data: {\"model\":%q,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n", word, piece)
							}
							fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n")
						default:
							fmt.Fprintf(w, `{"id":"%[1]s","model":"%[1]s","choices":[{"message":{"content":"it is %[1]s"},"finish_reason":"stop"}]}`, word)
						}
					})
					d, ticket := &depot{t: t}, &strip{die: -1}
					d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
						if mode == "batch" && strings.HasSuffix(r.URL.Path, "/batches") {
							sayKey(w)
							return true
						}
						return false
					}
					d.line = func(_ *worked, i int, a asked) string {
						if i == 0 {
							return fmt.Sprintf(`{"custom_id":"ID","response":{"status_code":%d,"body":{"error":{"message":"%s","code":"%s"}}}}`, max(400, status), word, word)
						}
						return fmt.Sprintf(`{"id":"%[1]s","custom_id":"ID","response":{"status_code":200,"body":{"choices":[{"message":{"content":"it is %[1]s"},"finish_reason":"stop"}]}}}`, word)
					}
					m := b.batchModel(d, rich(), ticket)
					m.sampling.Batch, m.sampling.Stream, m.sampling.ErrorBudget = mode == "batch" || mode == "results", mode == "stream", 1
					b.client.log = m.world.Log
					got, err := collect(t, t.Context(), m, prompts(2))
					text := fmt.Sprintf("%v\n%v\n%q\n%q\n", got, err, b.logged, ticket.saved)
					if status == 200 && mode != "batch" && !strings.Contains(text, "[key]") {
						t.Errorf("%s: the answer is not there: %s", name, text)
					}
					keep(name, "%s\n%v %+v %#v\n%v %+v", text, m.client, m.client, m.client, m, m)
				})
			}
		}
	}
	files := 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), canary) || strings.Contains(string(data), escaped) {
			t.Errorf("the key is in %s: %s", filepath.Base(path), data)
		}
		return err
	})
	if err != nil || files != 80 {
		t.Errorf("%d files: %v", files, err)
	}
}

// TestRow30ProxyIsNotGivenTheKey has a proxy in the environment, which Go reads
// once, so a child process does the asking.
func TestRow30ProxyIsNotGivenTheKey(t *testing.T) {
	if own := os.Getenv("HEIRLOOM_PROXY_CHILD"); own != "" {
		for _, address := range []string{own, "https://models.example/v1"} {
			servers := &Servers{clock: new(leap).clock(), Timeout: 5 * time.Second}
			c, err := servers.Open("model", Server{BaseURL: address, Key: canary, KeyEnv: "SOME_KEY"})
			if err != nil {
				t.Fatal(err)
			}
			m := newModel(c, &Artifact{Model: "m"}, DefaultSampling(), local(), lineage.World{})
			got, err := collect(t, t.Context(), m, prompts(1))
			fmt.Printf("ASKED %s: %d completions: %v\n", address, len(got), err != nil)
		}
		if _, err := new(Servers).Open("model", Server{BaseURL: "http://models.example/v1", Key: canary, KeyEnv: "SOME_KEY"}); err == nil {
			t.Error("a key goes over http")
		}
		return
	}
	var mu sync.Mutex
	var heard strings.Builder
	thief, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	go func() {
		for {
			conn, err := thief.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					line, err := r.ReadString('\n')
					mu.Lock()
					heard.WriteString(line)
					mu.Unlock()
					if err != nil || strings.TrimSpace(line) == "" {
						fmt.Fprint(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
						return
					}
				}
			}()
		}
	}()
	s := openaitest.Start(t, hello)
	child := exec.Command(os.Args[0], "-test.run=^TestRow30ProxyIsNotGivenTheKey$", "-test.timeout=60s")
	proxy := "http://" + thief.Addr().String()
	child.Env = append(os.Environ(), "HEIRLOOM_PROXY_CHILD="+s.URL, "HTTP_PROXY="+proxy, "HTTPS_PROXY="+proxy, "ALL_PROXY="+proxy, "NO_PROXY=")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(string(out), "ASKED "+s.URL+": 1 completions: false") || !strings.Contains(string(out), "models.example/v1: 0 completions: true") {
		t.Errorf("the child said\n%s", out)
	}
	if told := heard.String(); !strings.Contains(told, "CONNECT models.example:443") || strings.Contains(told, canary) || strings.Contains(told, "question") {
		t.Errorf("the proxy heard\n%s", told)
	}
	if len(s.Requests()) != 1 {
		t.Errorf("the server of this machine was asked %d times", len(s.Requests()))
	}
}
