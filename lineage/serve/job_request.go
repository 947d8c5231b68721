package serve

import (
	"math"
	"regexp"
)

// jobRequest is the body of a creation. Integrations are taken and not called.
type jobRequest struct {
	Model           string            `json:"model"`
	TrainingFile    string            `json:"training_file"`
	ValidationFile  *string           `json:"validation_file"`
	Method          *method           `json:"method"`
	Hyperparameters *hyperparameters  `json:"hyperparameters"`
	Suffix          *string           `json:"suffix"`
	Seed            *int64            `json:"seed"`
	Metadata        map[string]string `json:"metadata"`
}

var suffixed = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// record checks a request and gives what of it is kept.
func (q *jobRequest) record() (j jobRecord, err error) {
	j = jobRecord{Model: q.Model, TrainingFile: q.TrainingFile, Method: supervised, Metadata: q.Metadata, Seed: -1}
	switch {
	case q.Model == "":
		return j, bad("model", "missing_required_parameter", "model: a job needs one")
	case q.TrainingFile == "":
		return j, bad("training_file", "missing_required_parameter", "training_file: a job needs one")
	case q.Hyperparameters != nil:
		j.Set = *q.Hyperparameters
	}
	if q.Method != nil {
		t := q.Method.Supervised
		switch j.Method = q.Method.Type; j.Method {
		case supervised:
		case dpo:
			t = q.Method.DPO
		default:
			return j, bad("method.type", "invalid_value", "method.type: %.40q is not one of supervised, dpo", j.Method)
		}
		if t != nil {
			j.Set = t.Hyperparameters
		}
	}
	if j.Method == dpo && j.Set.Beta == nil {
		j.Set.Beta = new(setting)
	} else if j.Method != dpo {
		j.Set.Beta = nil
	}
	if q.ValidationFile != nil {
		j.ValidationFile = *q.ValidationFile
	}
	if q.Suffix != nil {
		if j.Suffix = *q.Suffix; !suffixed.MatchString(j.Suffix) {
			return j, bad("suffix", "invalid_value", "suffix: %.80q is not 1 to 64 letters, digits, - and _", j.Suffix)
		}
	}
	if q.Seed != nil {
		if j.Seed = *q.Seed; j.Seed < 0 || j.Seed > math.MaxInt32 {
			return j, bad("seed", "invalid_value", "seed: %d is not within 0 and 2147483647", j.Seed)
		}
	}
	if err := checkMetadata(q.Metadata); err != nil {
		return j, err
	}
	return j, j.Set.check()
}

func checkMetadata(m map[string]string) error {
	if len(m) > 16 {
		return bad("metadata", "invalid_value", "metadata: %d pairs are more than 16", len(m))
	}
	for k, v := range m {
		if len([]rune(k)) > 64 || len([]rune(v)) > 512 {
			return bad("metadata", "invalid_value", "metadata: a key has up to 64 characters and a value up to 512")
		}
	}
	return nil
}
