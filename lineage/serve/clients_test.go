package serve_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	openai "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/heirloom-sim/heirloom/lineage/serve"
)

// The official Go client does all that it can be asked to do here.
func TestOfficialGoClient(t *testing.T) {
	h := start(t, serve.Options{})
	c := openai.NewClient(option.WithBaseURL(h.url), option.WithAPIKey("any"))
	ctx := t.Context()

	f, err := c.Files.New(ctx, openai.FileNewParams{
		File: openai.File(strings.NewReader(rows("I am new.", "I am new too.")), "hl.jsonl", "application/jsonl"), Purpose: openai.FilePurposeFineTune,
	})
	if err != nil || !strings.Contains(f.RawJSON(), `"status":"processed"`) {
		t.Fatalf("%+v %v", f, err)
	}
	params := openai.FineTuningJobNewParams{
		Model: "hl-base", TrainingFile: f.ID, ValidationFile: openai.String(f.ID), Seed: openai.Int(3), Suffix: openai.String("g1"),
		Metadata: map[string]string{"heirloom_key": "abc"},
		Method: openai.FineTuningJobNewParamsMethod{Type: "supervised", Supervised: openai.SupervisedMethodParam{
			Hyperparameters: openai.SupervisedHyperparameters{NEpochs: openai.SupervisedHyperparametersNEpochsUnion{OfInt: openai.Int(2)}},
		}},
	}
	job, err := c.FineTuning.Jobs.New(ctx, params)
	if err != nil {
		t.Fatal(err)
	}
	id := job.ID
	for end := time.Now().Add(20 * time.Second); job.Status != "succeeded"; time.Sleep(5 * time.Millisecond) {
		if job, err = c.FineTuning.Jobs.Get(ctx, id); err != nil || time.Now().After(end) {
			t.Fatalf("%v %v", job.Status, err)
		}
	}
	if job.TrainedTokens == 0 || job.Hyperparameters.NEpochs.OfInt != 2 || len(job.ResultFiles) != 1 || job.Seed != 3 {
		t.Errorf("%s", job.RawJSON())
	}
	kinds := map[string]int{}
	events := c.FineTuning.Jobs.ListEventsAutoPaging(ctx, id, openai.FineTuningJobListEventsParams{Limit: openai.Int(2)})
	last := time.Now().Unix() + 1
	for events.Next() {
		e := events.Current()
		kinds[string(e.Type)]++
		if e.CreatedAt > last {
			t.Errorf("events are not newest first")
		}
		last = e.CreatedAt
	}
	if events.Err() != nil || kinds["metrics"] != 2 || kinds["message"] != 6 {
		t.Errorf("%v %v", kinds, events.Err())
	}
	points, err := c.FineTuning.Jobs.Checkpoints.List(ctx, id, openai.FineTuningJobCheckpointListParams{})
	if err != nil || len(points.Data) != 1 || points.Data[0].Metrics.TrainLoss <= 0 {
		t.Errorf("%+v %v", points, err)
	}
	for value, want := range map[string]int{"abc": 1, "other": 0} {
		jobs, err := c.FineTuning.Jobs.List(ctx, openai.FineTuningJobListParams{Metadata: map[string]string{"heirloom_key": value}})
		if err != nil || len(jobs.Data) != want {
			t.Errorf("metadata %s: %+v %v", value, jobs, err)
		}
	}

	ask := openai.ChatCompletionNewParams{
		Model: job.FineTunedModel, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Tell me.")},
		N: openai.Int(3), Seed: openai.Int(1), MaxCompletionTokens: openai.Int(20), Logprobs: openai.Bool(true), TopLogprobs: openai.Int(2),
	}
	chat, err := c.Chat.Completions.New(ctx, ask)
	if err != nil || len(chat.Choices) != 3 || !strings.HasPrefix(chat.Choices[0].Message.Content, "I am new") || chat.Choices[0].Logprobs.Content[0].Logprob >= 0 {
		t.Fatalf("%+v %v", chat, err)
	}
	ask.Model, ask.Logprobs, ask.TopLogprobs = points.Data[0].FineTunedModelCheckpoint, openai.Bool(true), openai.Int(0)
	ask.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.Chat.Completions.NewStreaming(ctx, ask)
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		all.AddChunk(stream.Current())
	}
	if stream.Err() != nil || len(all.Choices) != 3 || all.Choices[0].Message.Content != chat.Choices[0].Message.Content || all.Usage.CompletionTokens != chat.Usage.CompletionTokens {
		t.Errorf("streamed %+v, whole %+v: %v", all.ChatCompletion, chat, stream.Err())
	}

	for _, format := range []openai.EmbeddingNewParamsEncodingFormat{"float"} {
		e, err := c.Embeddings.New(ctx, openai.EmbeddingNewParams{
			Model: serve.Embedder, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one ferry", "ferry one"}}, EncodingFormat: format, Dimensions: openai.Int(32),
		})
		if err != nil || len(e.Data) != 2 || len(e.Data[0].Embedding) != 32 || fmt.Sprint(e.Data[0].Embedding) != fmt.Sprint(e.Data[1].Embedding) {
			t.Errorf("%+v %v", e, err)
		}
	}
	m, err := c.Moderations.New(ctx, openai.ModerationNewParams{Input: openai.ModerationNewParamsInputUnion{OfString: openai.String("hello")}})
	if err != nil || m.Results[0].Flagged {
		t.Errorf("%+v %v", m, err)
	}

	batchByGo(t, c, job.FineTunedModel)

	if d, err := c.Models.Delete(ctx, job.FineTunedModel); err != nil || !d.Deleted {
		t.Errorf("%+v %v", d, err)
	}
	ask.Model = job.FineTunedModel
	var fault *openai.Error
	if _, err := c.Chat.Completions.New(ctx, ask); !errors.As(err, &fault) || fault.StatusCode != 404 || fault.Code != "model_not_found" {
		t.Errorf("a deleted model: %v", err)
	}
	if d, err := c.Files.Delete(ctx, f.ID); err != nil || !d.Deleted {
		t.Errorf("%+v %v", d, err)
	}
	if _, err := c.Files.Get(ctx, f.ID); !errors.As(err, &fault) || fault.StatusCode != 404 {
		t.Errorf("a deleted file: %v", err)
	}
	if _, err := description(); err == nil && (checked.answers.Load() < 20 || checked.events.Load() < 5 || checked.errors.Load() < 2) {
		t.Errorf("the gate looked at %d answers, %d events and %d errors", checked.answers.Load(), checked.events.Load(), checked.errors.Load())
	}
}

func batchByGo(t *testing.T, c openai.Client, model string) {
	ctx := t.Context()
	var lines strings.Builder
	for i := range 5 {
		name := model
		if i == 3 {
			name = "nobody"
		}
		fmt.Fprintf(&lines, `{"custom_id":"r%d","method":"POST","url":"/v1/chat/completions","body":{"model":%q,"messages":[{"role":"user","content":"Tell me."}]}}`+"\n", i, name)
	}
	f, err := c.Files.New(ctx, openai.FileNewParams{File: openai.File(strings.NewReader(lines.String()), "b.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch})
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Batches.New(ctx, openai.BatchNewParams{CompletionWindow: "24h", Endpoint: "/v1/chat/completions", InputFileID: f.ID, Metadata: map[string]string{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	id := b.ID
	for end := time.Now().Add(20 * time.Second); b.Status != "completed"; time.Sleep(5 * time.Millisecond) {
		if b, err = c.Batches.Get(ctx, id); err != nil || time.Now().After(end) {
			t.Fatalf("%v %v", b.Status, err)
		}
	}
	if b.RequestCounts.Completed != 4 || b.RequestCounts.Failed != 1 || b.Usage.TotalTokens == 0 {
		t.Errorf("%s", b.RawJSON())
	}
	for file, want := range map[string]int{b.OutputFileID: 4, b.ErrorFileID: 1} {
		resp, err := c.Files.Content(ctx, file)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := strings.Count(string(data), "custom_id"); got != want {
			t.Errorf("%d lines, want %d: %s", got, want, data)
		}
	}
	if list, err := c.Batches.List(ctx, openai.BatchListParams{Limit: openai.Int(1)}); err != nil || len(list.Data) != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestOfficialGoClientTriesAgain(t *testing.T) {
	h := start(t, serve.Options{Rules: []serve.Rule{{
		Match: "POST /v1/chat/completions", Do: "status", Status: 429, Code: "rate_limit_exceeded", Headers: map[string]string{"Retry-After-Ms": "5"}, Times: 2,
	}}})
	c := openai.NewClient(option.WithBaseURL(h.url), option.WithAPIKey("any"))
	_, err := c.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
		Model: "hl-base", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Tell me.")},
	})
	if n := h.Counts().Requests["POST /v1/chat/completions"]; err != nil || n != 3 {
		t.Errorf("%d requests: %v", n, err)
	}
}

// The official Node client, where npm is there to bring it.
func TestOfficialNodeClient(t *testing.T) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not there")
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "drive.mjs"} {
		data, err := os.ReadFile(filepath.Join("testdata", "node", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm does not bring the client: %v: %.400s", err, out)
	}
	h := start(t, serve.Options{})
	busy := start(t, serve.Options{Rules: []serve.Rule{{
		Match: "POST /v1/chat/completions", Do: "status", Status: 429, Code: "rate_limit_exceeded", Headers: map[string]string{"Retry-After-Ms": "5"},
	}}})
	drive := exec.CommandContext(ctx, "node", "drive.mjs", h.url, busy.url)
	drive.Dir = dir
	out, err := drive.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "all is well\n") {
		t.Errorf("%v: %s", err, out)
	}
	if n := busy.Counts().Requests[http.MethodPost+" /v1/chat/completions"]; n != 2 {
		t.Errorf("after a 429 there were %d requests", n)
	}
}
