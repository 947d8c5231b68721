package openai

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// hyper is a hyperparameter as providers take it: a number, or "auto".
type hyper string

func (h hyper) MarshalJSON() ([]byte, error) {
	if h == auto {
		return []byte(`"auto"`), nil
	}
	return []byte(h), nil
}

func (h *hyper) UnmarshalJSON(data []byte) error {
	*h = hyper(bytes.Trim(data, `"`))
	return nil
}

// hypers are the hyperparameters of a job.
type hypers struct {
	Epochs       hyper `json:"n_epochs,omitempty"`
	BatchSize    hyper `json:"batch_size,omitempty"`
	LearningRate hyper `json:"learning_rate_multiplier,omitempty"`
	Beta         hyper `json:"beta,omitempty"`
}

type method struct {
	Type       string       `json:"type"`
	Supervised *methodHyper `json:"supervised,omitempty"`
	DPO        *methodHyper `json:"dpo,omitempty"`
}

type methodHyper struct {
	Hyperparameters hypers `json:"hyperparameters"`
}

// jobRequest creates a fine-tuning job.
type jobRequest struct {
	Model        string            `json:"model"`
	TrainingFile string            `json:"training_file"`
	Method       method            `json:"method"`
	Seed         int32             `json:"seed"`
	Suffix       string            `json:"suffix,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
}

// remoteJob is a fine-tuning job as a provider tells of it.
type remoteJob struct {
	ID              string         `json:"id"`
	Status          string         `json:"status"`
	Created         moment         `json:"created_at"`
	Model           string         `json:"model"`
	Tuned           string         `json:"fine_tuned_model"`
	TrainingFile    string         `json:"training_file"`
	Trained         int            `json:"trained_tokens"`
	ResultFiles     []string       `json:"result_files"`
	Hyperparameters hypers         `json:"hyperparameters"`
	Method          method         `json:"method"`
	Metadata        map[string]any `json:"metadata"`
	Error           *jobError      `json:"error"`
}

type jobError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// event is a line of the log of a job.
type event struct {
	ID      string `json:"id"`
	Created moment `json:"created_at"`
	Level   string `json:"level"`
	Message string `json:"message"`
	Type    string `json:"type"`
	Data    struct {
		Step       int      `json:"step"`
		TotalSteps int      `json:"total_steps"`
		TrainLoss  *float64 `json:"train_loss"`
		ValidLoss  *float64 `json:"valid_loss"`
	} `json:"data"`
}

type remoteCheckpoint struct {
	ID    string `json:"id"`
	Model string `json:"fine_tuned_model_checkpoint"`
	Step  int    `json:"step_number"`
}

const jobsPath = "/fine_tuning/jobs"

// createJob is never sent twice for one key.
func (c *Client) createJob(ctx context.Context, r jobRequest) (j remoteJob, v verdict, h http.Header, err error) {
	v, h, err = c.once(ctx, call{method: http.MethodPost, path: jobsPath, about: r.Model, body: r}, &j)
	return j, v, h, err
}

func (c *Client) job(ctx context.Context, id string) (j remoteJob, err error) {
	path, err := at(jobsPath, id)
	if err == nil {
		err = c.get(ctx, call{path: path, about: id}, &j)
	}
	return j, err
}

// order asks a job to cancel, pause or resume.
func (c *Client) order(ctx context.Context, id, what string) (j remoteJob, err error) {
	path, err := at(jobsPath, id, what)
	if err == nil {
		err = c.repeat(ctx, call{method: http.MethodPost, path: path, about: id}, &j)
	}
	return j, err
}

// jobsOf are the jobs of a key or of its training file, the earliest first.
// Filters of a server are not trusted, and some have none: then the list is read
// back to well before the time since. Clocks differ, so many jobs in a row have to
// be older.
func (c *Client) jobsOf(ctx context.Context, metadata bool, key, file string, since moment) (found []remoteJob, err error) {
	search := func(query url.Values, until moment) error {
		older := 0
		return pages(ctx, c, call{path: jobsPath, query: query, about: jobsPath}, 100, func(j remoteJob) string { return j.ID }, func(j remoteJob) bool {
			if j.ID != "" && (j.TrainingFile == file || j.Metadata[keyName] == key) {
				found = append(found, j)
			}
			if older++; j.Created >= until {
				older = 0
			}
			return older < 100
		})
	}
	if metadata {
		err = search(url.Values{"metadata[" + keyName + "]": {key}}, 0)
	}
	var r *rejection
	if len(found) == 0 && (err == nil || errors.As(err, &r) && r.status == http.StatusBadRequest) {
		err = search(nil, since)
	}
	slices.SortStableFunc(found, func(a, b remoteJob) int { return cmp.Compare(a.Created, b.Created) })
	return found, err
}

// keyName names a training in the metadata of its job.
const keyName = "heirloom_key"

// events of a job, each once, in the order in which they happened.
func (c *Client) events(ctx context.Context, id string) (all []event, err error) {
	path, err := at(jobsPath, id, "events")
	if err != nil {
		return nil, err
	}
	err = pages(ctx, c, call{path: path, about: id}, 100, func(e event) string { return e.ID }, func(e event) bool {
		all = append(all, e)
		return true
	})
	// The newest come first, and of those of one second the later.
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.Created, b.Created) })
	return all, err
}

func (c *Client) checkpoints(ctx context.Context, id string) (all []Checkpoint, err error) {
	path, err := at(jobsPath, id, "checkpoints")
	if err != nil {
		return nil, err
	}
	err = pages(ctx, c, call{path: path, about: id}, 100, func(k remoteCheckpoint) string { return k.ID }, func(k remoteCheckpoint) bool {
		all = append(all, Checkpoint{k.Step, k.Model})
		return true
	})
	slices.SortStableFunc(all, func(a, b Checkpoint) int { return cmp.Compare(a.Step, b.Step) })
	return all, err
}

// States of a job that are told apart.
const (
	succeeded = "succeeded"
	failed    = "failed"
	cancelled = "cancelled"
	blocked   = "blocked" // of ours: failed for what a text says
)

// knownStates are those in which a job goes on.
var knownStates = []string{"validating_files", "queued", "running", "pausing", "paused"}

// state is the state of a job in OpenAI's words, as far as it is known.
func (p Profile) state(word string) string {
	word = strings.ToLower(word)
	if as, ok := p.States[word]; ok {
		return as
	}
	if word == "canceled" {
		return cancelled
	}
	return word
}
