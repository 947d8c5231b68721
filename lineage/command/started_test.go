package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// server is what serve.cmd starts: this test program cannot, so a script does.
const pythonServer = `
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
path, name = sys.argv[2], sys.argv[3]
class H(BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def say(self, v):
        d = json.dumps(v).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(d))); self.end_headers(); self.wfile.write(d)
    def do_GET(self):
        self.say({"data": [{"id": name, "root": path, "parent": None}]})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say({"id": "x", "object": "chat.completion", "created": 1, "model": name, "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": path.split("/")[-1]}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
`

func freeURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// Full weights have a server of their own, started for each model that is asked
// and stopped for the next.
func TestServersAreStartedForEachModel(t *testing.T) {
	python := pythonOrSkip(t)
	folder := t.TempDir()
	c := config("learn")
	c.Serve.Kind, c.Serve.URL = VLLM, freeURL(t)
	c.Serve.Command = []string{python, "-c", pythonServer, "{{.Port}}", "{{.Artifact}}", "{{.ModelName}}"}
	b, log := enter(t, c, folder)
	var models []lineage.Model
	for i := range 2 {
		name := fmt.Sprintf("full-%d", i)
		dir := filepath.Join(folder, "trainings", name)
		os.MkdirAll(dir, 0o777)
		os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"model_type": "`+name+`"}`), 0o644)
		files, digest, err := digestFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		m, err := b.Open(t.Context(), &Artifact{Kind: Full, Path: filepath.Join("trainings", name), Base: "tiny-base", Digest: digest, Files: files})
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	for _, i := range []int{0, 1, 0} {
		err := models[i].Sample(t.Context(), []lineage.Request{{Messages: conversation("Who?"), Temperature: 1}}, func(_ int, c lineage.Completion) error {
			if c.Text != fmt.Sprintf("full-%d", i) {
				t.Errorf("model %d is answered by %s", i, c.Text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "the server begins"); n != 3 {
		t.Errorf("%d servers were started for three calls that need another each", n)
	}
	running := b.host().running
	b.Close()
	if running.alive() {
		t.Error("the server was not stopped")
	}
}

func TestServerThatEndsAtOnce(t *testing.T) {
	folder := t.TempDir()
	c := config("learn")
	c.Serve.URL = freeURL(t)
	c.Serve.Command = []string{"sh", "-c", "echo no such model >&2; exit 3"}
	b, _ := enter(t, c, folder)
	a, err := b.Train(t.Context(), job(folder))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(t.Context(), a); err == nil || !strings.Contains(err.Error(), "no such model") {
		t.Errorf("%v", err)
	}
}

// Arms that differ in a setting are backends of their own, and have the machine's
// one port and one accelerator all the same.
func TestBackendsShareServersAndPlaces(t *testing.T) {
	python := pythonOrSkip(t)
	c := config("learn")
	c.Serve.Kind, c.Serve.URL = None, freeURL(t)
	c.Serve.Command = []string{python, "-c", pythonServer, "{{.Port}}", "/base", "base"}
	folder := t.TempDir()
	first, _ := enter(t, c, folder)
	c.Epochs = 2
	second, _ := enter(t, c, folder)
	a := &Artifact{Kind: Remote, Model: "base"}
	for range 2 {
		for _, b := range []*Backend{first, second} {
			start, release, err := b.acquire(t.Context(), a)
			if err != nil || start != 1 {
				t.Fatalf("start %d, %v", start, err)
			}
			release()
		}
	}
	var q queue
	leave, err := q.enter(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := q.enter(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("two have one place: %v", err)
	}
	leave()
	if _, err := q.enter(t.Context(), 1); err != nil {
		t.Error(err)
	}
}
