package serve

import (
	"encoding/json"
	"math"
)

// setting is a number, or 0 for "auto".
type setting float64

func (s setting) MarshalJSON() ([]byte, error) {
	if s == 0 {
		return []byte(`"auto"`), nil
	}
	return json.Marshal(float64(s))
}

func (s *setting) UnmarshalJSON(data []byte) error {
	if *s = 0; string(data) == `"auto"` || string(data) == "null" {
		return nil
	}
	var v float64
	if err := json.Unmarshal(data, &v); err != nil || v == 0 {
		return bad("hyperparameters", "invalid_value", `hyperparameters: %.40s is neither a number above 0 nor "auto"`, data)
	}
	*s = setting(v)
	return nil
}

type hyperparameters struct {
	Epochs setting  `json:"n_epochs"`
	Batch  setting  `json:"batch_size"`
	Rate   setting  `json:"learning_rate_multiplier"`
	Beta   *setting `json:"beta,omitempty"` // of dpo
}

func (h hyperparameters) check() error {
	whole := func(name string, v setting, most float64) error {
		if v != 0 && (v < 1 || float64(v) > most || float64(v) != math.Trunc(float64(v))) {
			return bad("hyperparameters."+name, "invalid_value", "%s: %v is not a whole number from 1 to %v", name, float64(v), most)
		}
		return nil
	}
	if err := whole("n_epochs", h.Epochs, 50); err != nil {
		return err
	}
	if err := whole("batch_size", h.Batch, 256); err != nil {
		return err
	}
	if h.Rate < 0 {
		return bad("hyperparameters.learning_rate_multiplier", "invalid_value", "learning_rate_multiplier: %v is not above 0", float64(h.Rate))
	}
	if h.Beta != nil && (*h.Beta < 0 || *h.Beta > 2) {
		return bad("hyperparameters.beta", "invalid_value", "beta: %v is not within (0,2]", float64(*h.Beta))
	}
	return nil
}

// resolved puts numbers in the place of "auto".
func (h hyperparameters) resolved(examples int) hyperparameters {
	if h.Epochs == 0 {
		h.Epochs = 3
	}
	if h.Batch == 0 {
		h.Batch = setting(min(256, max(1, math.Ceil(float64(examples)*.002))))
	}
	if h.Rate == 0 {
		h.Rate = 1
	}
	if h.Beta != nil && *h.Beta == 0 {
		beta := setting(.1)
		h.Beta = &beta
	}
	return h
}

type tuned struct {
	Hyperparameters hyperparameters `json:"hyperparameters"`
}

type method struct {
	Type       string `json:"type"`
	Supervised *tuned `json:"supervised,omitempty"`
	DPO        *tuned `json:"dpo,omitempty"`
}
