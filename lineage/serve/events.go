package serve

import (
	"fmt"
	"net/http"
	"slices"
)

// step is a change of a job. Its later members belong to a success.
type step struct {
	Job    string `json:"job"`
	Status string `json:"status"`
	Asked  bool   `json:"asked,omitempty"` // by a request, and not by the job's own course

	Used   hyperparameters `json:"used,omitzero"` // from running on
	Model  string          `json:"model,omitempty"`
	Blob   string          `json:"blob,omitempty"`
	Tokens int             `json:"tokens,omitempty"`
	Result string          `json:"result,omitempty"`
	Curve  []point         `json:"curve,omitempty"`
	Steps  int             `json:"steps,omitempty"`
	Error  *jobError       `json:"error,omitempty"`
}

// point is a loss in nats a token, over the examples that were looked at.
type point struct {
	Step  int      `json:"step"`
	Train *float64 `json:"train_loss,omitempty"`
	Valid *float64 `json:"valid_loss,omitempty"`
}

type event struct {
	ID        string         `json:"id"`
	Object    string         `json:"object"`
	CreatedAt int64          `json:"created_at"`
	Level     string         `json:"level"`
	Message   string         `json:"message"`
	Type      string         `json:"type"`
	Data      map[string]any `json:"data,omitempty"`
}

type checkpoint struct {
	ID        string         `json:"id"`
	Object    string         `json:"object"`
	CreatedAt int64          `json:"created_at"`
	Model     string         `json:"fine_tuned_model_checkpoint"`
	JobID     string         `json:"fine_tuning_job_id"`
	Step      int            `json:"step_number"`
	Metrics   map[string]any `json:"metrics"`
}

func (j *job) tell(at int64, level, format string, args ...any) *event {
	j.events = append(j.events, event{
		ID: "ftevent-" + identifier(fmt.Sprint(j.ID, len(j.events))), Object: "fine_tuning.job.event", CreatedAt: at, Level: level,
		Message: fmt.Sprintf(format, args...), Type: "message", Data: map[string]any{},
	})
	return &j.events[len(j.events)-1]
}

// opened is the beginning of a job.
func (j *job) opened(at int64) {
	j.status, j.used = validating, j.Set
	j.tell(at, "info", "Created fine-tuning job: %s", j.ID)
	j.tell(at, "info", "Validating training file: %s", j.TrainingFile)
}

// step moves a job on.
func (j *job) step(t step, at int64) {
	if j.ended() {
		return
	}
	if t.Status == paused {
		j.before = j.status
	}
	j.status = t.Status
	switch {
	case t.Status == paused:
		j.tell(at, "info", "Fine-tuning job paused")
	case t.Status == cancelled:
		j.finished = at
		j.tell(at, "info", "Fine-tuning job cancelled")
	case t.Asked:
		j.tell(at, "info", "Fine-tuning job resumed")
	case t.Status == queued:
		j.tell(at, "info", "Files validated, moving job to queued state")
	case t.Status == running:
		j.started, j.used = at, t.Used
		j.tell(at, "info", "Fine-tuning job started")
	case t.Status == failed:
		j.finished, j.err = at, t.Error
		j.tell(at, "error", "%s", t.Error.Message)
	case t.Status == succeeded:
		j.succeed(t, at)
	}
}

func (j *job) succeed(t step, at int64) {
	j.finished, j.fineTuned, j.blob, j.tokens, j.result = at, t.Model, t.Blob, &t.Tokens, t.Result
	metrics := map[string]any{"step": t.Steps}
	for _, p := range t.Curve {
		when := j.started + (at-j.started)*int64(p.Step)/int64(max(1, t.Steps))
		e := j.tell(when, "info", "Step %d/%d", p.Step, t.Steps)
		e.Type = "metrics"
		e.Data["step"], e.Data["total_steps"] = p.Step, t.Steps
		metrics = map[string]any{"step": p.Step}
		if p.Train != nil {
			e.Message += fmt.Sprintf(": training loss=%.4f", *p.Train)
			e.Data["train_loss"], metrics["train_loss"] = *p.Train, *p.Train
		}
		if p.Valid != nil {
			e.Message += fmt.Sprintf(", validation loss=%.4f", *p.Valid)
			e.Data["valid_loss"], metrics["valid_loss"] = *p.Valid, *p.Valid
		}
	}
	name := fmt.Sprintf("%s:ckpt-step-%d", t.Model, t.Steps)
	j.checkpoints = []checkpoint{{
		ID: "ftckpt_" + j.ID[len("ftjob-"):], Object: "fine_tuning.job.checkpoint", CreatedAt: at,
		Model: name, JobID: j.ID, Step: t.Steps, Metrics: metrics,
	}}
	j.tell(at, "info", "New fine-tuned model created: %s", t.Model)
	j.tell(at, "info", "The job has successfully completed")
}

func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) error {
	var all []event
	if err := s.withJob(r, func(j *job) error { all = slices.Clone(j.events); return nil }); err != nil {
		return err
	}
	slices.Reverse(all)
	cut, more, err := page(r, all, func(e event) string { return e.ID }, 20, 100)
	if err != nil {
		return err
	}
	if cut == nil {
		cut = []event{}
	}
	return reply(w, map[string]any{"object": "list", "data": cut, "has_more": more})
}

func (s *Server) listCheckpoints(w http.ResponseWriter, r *http.Request) error {
	var all []checkpoint
	if err := s.withJob(r, func(j *job) error { all = slices.Clone(j.checkpoints); return nil }); err != nil {
		return err
	}
	slices.Reverse(all)
	id := func(c checkpoint) string { return c.ID }
	cut, more, err := page(r, all, id, 10, 100)
	if err != nil {
		return err
	}
	return reply(w, newList(cut, more, id))
}
