package serve_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/serve"
)

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"custom_id":"r%d","method":"POST","url":"/v1/chat/completions","body":{"model":"hl-base",%s}}`+"\n", i, asking)
	}
	return b.String()
}

func (h *host) batch(content string) string {
	h.t.Helper()
	file := h.must("POST", "/files", form{"b.jsonl", "batch", content})["id"]
	return h.must("POST", "/batches", map[string]any{"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"})["id"].(string)
}

func (h *host) batchUntil(id, state string) map[string]any {
	h.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if b := h.must("GET", "/batches/"+id, nil); b["status"] == state {
			return b
		}
	}
	h.t.Fatalf("the batch did not become %s: %v", state, h.must("GET", "/batches/"+id, nil))
	return nil
}

// answers of a file of a batch, by custom_id, and the order in which they stand.
func (h *host) outcomes(file any) (byID map[string]map[string]any, order []string) {
	byID = map[string]map[string]any{}
	var all string
	h.do("GET", "/files/"+file.(string)+"/content", nil, &all)
	for line := range strings.Lines(all) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			h.t.Fatal(err)
		}
		id := v["custom_id"].(string)
		byID[id], order = v, append(order, id)
	}
	return byID, order
}

func TestBatchAnswersStandInNoOrder(t *testing.T) {
	h := start(t, serve.Options{})
	b := h.batchUntil(h.batch(lines(40)), "completed")
	got, order := h.outcomes(b["output_file_id"])
	if len(got) != 40 || len(order) != 40 || slices.IsSorted(order) || b["error_file_id"] != nil {
		t.Errorf("%d answers in the order %v", len(got), order)
	}
	if u := h.Counts().Usage["hl-base"]; u.Prompt != 0 || u.BatchPrompt == 0 || float64(u.BatchCompletion) != b["usage"].(map[string]any)["output_tokens"] {
		t.Errorf("%+v %v", u, b["usage"])
	}
}

func TestBatchIsAnsweredTheSameAfterARestart(t *testing.T) {
	var all [2]string
	for i := range all {
		ledger := new(lineage.Memory)
		h := start(t, serve.Options{Ledger: ledger, Speed: 60})
		id := h.batch(lines(20))
		if i == 1 {
			h.batchUntil(id, "in_progress")
			h.Close()
			h = start(t, serve.Options{Ledger: ledger, Speed: 60})
		}
		h.do("GET", "/files/"+h.batchUntil(id, "completed")["output_file_id"].(string)+"/content", nil, &all[i])
	}
	texts := func(s string) (out []string) {
		for line := range strings.Lines(s) {
			at := strings.Index(line, `"content"`)
			out = append(out, line[at:at+60])
		}
		return out
	}
	if a, b := texts(all[0]), texts(all[1]); !slices.Equal(a, b) {
		t.Errorf("%q and %q", a, b)
	}
}

func TestBatchesEndInOtherWays(t *testing.T) {
	h := start(t, serve.Options{Rules: []serve.Rule{
		{Match: "batch", Nth: 1, Do: "expire"}, {Match: "batch", Nth: 2, Do: "stall"},
	}})
	b := h.batchUntil(h.batch(lines(10)), "expired")
	done, _ := h.outcomes(b["output_file_id"])
	missing, _ := h.outcomes(b["error_file_id"])
	if len(done) != 5 || len(missing) != 5 {
		t.Errorf("expired: %d answered, %d not", len(done), len(missing))
	}
	for _, v := range missing {
		if v["error"].(map[string]any)["code"] != "batch_expired" {
			t.Errorf("%v", v)
		}
	}
	id := h.batch(lines(10))
	h.batchUntil(id, "in_progress")
	h.must("POST", "/batches/"+id+"/cancel", nil)
	b = h.batchUntil(id, "cancelled")
	if b["cancelling_at"] == nil || b["cancelled_at"] == nil {
		t.Errorf("%v", b)
	}
	if resp := h.do("POST", "/batches/"+id+"/cancel", nil, nil); resp.StatusCode != 400 {
		t.Errorf("a batch that ended was cancelled: %d", resp.StatusCode)
	}
}

func TestBatchesThatCannotBe(t *testing.T) {
	h := start(t, serve.Options{})
	good := lines(1)
	for content, code := range map[string]string{
		good + good:  "duplicate_custom_id",
		good + "{\n": "invalid_json_line",
		good + "\n":  "invalid_json_line",
		strings.Replace(good, "/v1/chat", "/v1/cat", 1): "mismatched_url",
		strings.Replace(good, "POST", "GET", 1):         "invalid_method",
		strings.Replace(good, "r0", "", 1):              "missing_required_parameter",
		good + "\xff":                                   "invalid_utf8",
	} {
		b := h.batchUntil(h.batch(content), "failed")
		if got := b["errors"].(map[string]any)["data"].([]any)[0].(map[string]any)["code"]; got != code {
			t.Errorf("%q: %v, want %s", content, b["errors"], code)
		}
	}
}
