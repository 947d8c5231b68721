package openai

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Steps of a training. Those that end in -ing are written before the request that
// they announce, so that one which died in between is found again.
const (
	uploading = "uploading"
	uploaded  = "uploaded"
	creating  = "creating"
	created   = "created"
	// and then succeeded, failed, cancelled or blocked
)

// handle is what a ticket keeps of a training.
type handle struct {
	Kind     string           `json:"kind"` // jobKind
	Provider string           `json:"provider"`
	Where    string           `json:"where"` // base URL
	Key      string           `json:"key"`   // names the training to the provider
	Step     string           `json:"step"`
	At       int64            `json:"at"` // Unix seconds by our clock, of the first intent
	Bytes    int              `json:"bytes,omitempty"`
	Digest   string           `json:"digest,omitempty"` // of the training file
	LeftOut  int              `json:"left_out,omitempty"`
	Most     lineage.USD      `json:"most,omitempty"` // that the job can cost
	File     string           `json:"file,omitempty"`
	Odd      bool             `json:"odd,omitempty"` // the server took the job and answered in another protocol
	Since    int64            `json:"since,omitempty"`
	Job      string           `json:"job,omitempty"`
	Model    string           `json:"model,omitempty"`
	Trained  int              `json:"trained_tokens,omitempty"`
	Cost     lineage.USD      `json:"cost_nanodollars,omitempty"`
	Paid     bool             `json:"paid,omitempty"` // Cost is settled
	Left     []string         `json:"left,omitempty"` // files of earlier attempts
	Fault    string           `json:"fault,omitempty"`
	Blocked  *lineage.Blocked `json:"blocked,omitempty"`
}

const jobKind = "fine-tuning job"

func (h handle) String() string {
	data, err := json.Marshal(h)
	if err != nil {
		panic("openai: " + err.Error()) // it holds nothing that JSON cannot
	}
	return string(data)
}

// readHandle reads a handle of a job. "" is one of nothing.
func readHandle(text string) (h handle, err error) {
	if text == "" {
		return handle{Kind: jobKind}, nil
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil || h.Kind != jobKind || h.Key == "" {
		return h, fmt.Errorf("openai: %.60q is not the handle of a %s", text, jobKind)
	}
	return h, nil
}

// fileName is what a training file is called with the provider: the key's and not
// the content's, so that equal corpora of two models stay apart.
func (h handle) fileName() string { return "hl-" + h.Key + ".jsonl" }

// work names the training to the purse.
func (h handle) work() string { return jobKind + " " + h.Key }

// ended tells whether nothing is in flight any more.
func (h handle) ended() bool {
	return h.Step == succeeded || h.Step == failed || h.Step == cancelled || h.Step == blocked
}

// suffix is the suffix of the model's name, in characters that all take.
func (c Config) suffix(key string, most int) string {
	s := c.Suffix
	if s == "" {
		s = "hl-" + key[:10]
	}
	s = strings.ToLower(s)
	if most > 0 && len(s) > most {
		s = s[:most]
	}
	return s
}
