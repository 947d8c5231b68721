package serve

import (
	"context"
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
)

// States of a job, in the protocol's words.
const (
	validating = "validating_files"
	queued     = "queued"
	running    = "running"
	paused     = "paused"
	succeeded  = "succeeded"
	failed     = "failed"
	cancelled  = "cancelled"
)

// Methods of a job.
const (
	supervised = "supervised"
	dpo        = "dpo"
)

// jobRecord is what a job was created with.
type jobRecord struct {
	N              int               `json:"n"` // of its entry
	ID             string            `json:"id"`
	Model          string            `json:"model"`
	Root           string            `json:"root"` // the base model that Model descends from
	TrainingFile   string            `json:"training_file"`
	TrainingBlob   string            `json:"training_blob"` // a job goes on when its file is deleted
	ValidationFile string            `json:"validation_file,omitempty"`
	ValidationBlob string            `json:"validation_blob,omitempty"`
	Suffix         string            `json:"suffix,omitempty"`
	Seed           int64             `json:"seed"`
	Method         string            `json:"method"`
	Set            hyperparameters   `json:"hyperparameters"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	Fate           *fate             `json:"fate,omitempty"`
}

func (j *jobRecord) learner() lineage.Learner {
	if j.Method == dpo {
		return lineage.Preference
	}
	return lineage.SFT
}

// job is a fine-tuning job as it stands.
type job struct {
	jobRecord
	status      string
	before      string // the state that a pause interrupted
	created     int64
	started     int64
	finished    int64
	used        hyperparameters // without "auto", once it is known
	fineTuned   string
	blob        string // digest of the artifact
	tokens      *int
	result      string // file
	err         *jobError
	events      []event
	checkpoints []checkpoint

	wake chan struct{} // something was done to it
	end  context.CancelFunc
}

type jobError struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
}

func (j *job) ended() bool {
	return j.status == succeeded || j.status == failed || j.status == cancelled
}

type jobView struct {
	ID              string            `json:"id"`
	Object          string            `json:"object"`
	CreatedAt       int64             `json:"created_at"`
	Error           *jobError         `json:"error"`
	FineTunedModel  *string           `json:"fine_tuned_model"`
	FinishedAt      *int64            `json:"finished_at"`
	EstimatedFinish *int64            `json:"estimated_finish"`
	Hyperparameters hyperparameters   `json:"hyperparameters"`
	Model           string            `json:"model"`
	OrganizationID  string            `json:"organization_id"`
	ResultFiles     []string          `json:"result_files"`
	Status          string            `json:"status"`
	TrainedTokens   *int              `json:"trained_tokens"`
	TrainingFile    string            `json:"training_file"`
	ValidationFile  *string           `json:"validation_file"`
	Seed            int64             `json:"seed"`
	Suffix          *string           `json:"user_provided_suffix"`
	Method          method            `json:"method"`
	Metadata        map[string]string `json:"metadata"`
	Integrations    []any             `json:"integrations"`
}

const organization = "heirloom"

func (j *job) view() jobView {
	v := jobView{
		ID: j.ID, Object: "fine_tuning.job", CreatedAt: j.created, Error: j.err, FineTunedModel: optional(j.fineTuned),
		Hyperparameters: j.used, Model: j.Model, OrganizationID: "org-" + organization, ResultFiles: []string{},
		Status: j.status, TrainedTokens: j.tokens, TrainingFile: j.TrainingFile, ValidationFile: optional(j.ValidationFile),
		Seed: j.Seed, Suffix: optional(j.Suffix), Metadata: j.Metadata, Integrations: []any{},
	}
	if j.ended() {
		v.FinishedAt = &j.finished
	}
	if j.result != "" {
		v.ResultFiles = []string{j.result}
	}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	if j.Fate != nil && j.Fate.Do == doShow && j.status == running {
		v.Status = j.Fate.State
	}
	t := &tuned{j.used}
	v.Method = method{Type: j.Method, Supervised: t}
	if j.Method == dpo {
		v.Method = method{Type: dpo, DPO: t}
		v.Hyperparameters.Beta = nil
	}
	return v
}

// name of the model that a job makes.
func (j *job) modelName(id string) string {
	return fmt.Sprintf("ft:%s:%s:%s:%s", j.Root, organization, j.Suffix, id)
}
