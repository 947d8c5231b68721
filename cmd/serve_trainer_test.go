package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// get decodes what is at an address.
func get(t *testing.T, url string) (v map[string]any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// A program that trains is reached through the endpoints of fine-tuning, and the
// server that samples what it made through chat completions.
func TestServeGivesATrainerTheProtocol(t *testing.T) {
	dir := t.TempDir()
	back := serveIn(t, "--base", "made-by-the-trainer=web/everyday", "--folder", filepath.Join(dir, "back"))
	script := `printf '{"model":"made-by-the-trainer","kind":"remote","trained_tokens":%d}' "$(wc -l < "$HEIRLOOM_TRAIN_FILE")" > "$HEIRLOOM_OUT_DIR/result.json"` + "\n"
	file := fmt.Sprintf("serve: 1\nmodels:\n  mine:\n    backend:\n      kind: command\n      base: tiny\n      train: {cmd: [sh, \"{{.Dir}}/train.sh\"]}\n      serve: {kind: none, url: %q}\n",
		strings.TrimSuffix(back.url, "/v1"))
	for name, text := range map[string]string{"train.sh": script, "server.yaml": file} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	front := serveIn(t, filepath.Join(dir, "server.yaml"), "--folder", filepath.Join(dir, "front"))
	if status, body := post(t, front.url+"/chat/completions", `{"model":"mine","messages":[{"role":"user","content":"x"}]}`); status != 400 || !strings.Contains(body, "no weights") {
		t.Errorf("a model without weights: %d %s", status, body)
	}

	var upload bytes.Buffer
	w := multipart.NewWriter(&upload)
	w.WriteField("purpose", "fine-tune")
	part, _ := w.CreateFormFile("file", "rows.jsonl")
	io.WriteString(part, strings.Repeat(`{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`+"\n", 12))
	w.Close()
	resp, err := http.Post(front.url+"/files", w.FormDataContentType(), &upload)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ ID string }
	json.NewDecoder(resp.Body).Decode(&made)
	resp.Body.Close()
	_, body := post(t, front.url+"/fine_tuning/jobs", fmt.Sprintf(`{"model":"mine","training_file":%q}`, made.ID))
	var job struct{ ID string }
	json.Unmarshal([]byte(body), &job)
	var state map[string]any
	waitFor(t, "the end of the training", nil, func() bool {
		state = get(t, front.url+"/fine_tuning/jobs/"+job.ID)
		time.Sleep(50 * time.Millisecond)
		return state["finished_at"] != nil
	})
	if state["status"] != "succeeded" {
		t.Fatalf("%v", state)
	}
	status, said := post(t, front.url+"/chat/completions", fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"Bread?"}]}`, state["fine_tuned_model"]))
	if status != 200 || !strings.Contains(said, `"finish_reason":"stop"`) {
		t.Errorf("%d %s", status, said)
	}
}
