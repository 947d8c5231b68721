package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Loss is a point of a loss curve, in nats a token as the trainer tells it.
type Loss struct {
	Step int     `json:"step"`
	Loss float64 `json:"loss"`
}

// number reads what JSON has for a number and what Python writes for one that
// is none: NaN and Infinity.
type number float64

func (n *number) UnmarshalJSON(data []byte) error {
	var v float64
	text := strings.Trim(string(data), `"`)
	switch strings.ToLower(text) {
	case "nan", "null":
		v = math.NaN()
	case "infinity", "inf", "+infinity":
		v = math.Inf(1)
	case "-infinity", "-inf":
		v = math.Inf(-1)
	default:
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return err
		}
	}
	*n = number(v)
	return nil
}

var bareNumbers = regexp.MustCompile(`([:\[,]\s*)(-?Infinity|NaN)\b`)

// loose decodes JSON as Python writes it.
func loose(data []byte, v any) error {
	if bytes.Contains(data, []byte("NaN")) || bytes.Contains(data, []byte("Infinity")) {
		data = bareNumbers.ReplaceAll(data, []byte(`$1"$2"`))
	}
	return json.Unmarshal(data, v)
}

// metric is one line of the metrics file, or one entry of a log of the Hugging
// Face Trainer.
type metric struct {
	Step   float64 `json:"step"`
	Loss   *number `json:"loss"`
	Epoch  float64 `json:"epoch"`
	Tokens float64 `json:"tokens"`
	Total  float64 `json:"total"` // steps of the whole training, where it is known
}

// metrics follow a training by the file that its trainer writes, or by the
// Trainer's own state.
type metrics struct {
	dir    string
	epochs float64
	count  int // documents
	tell   func(done, total int)

	offset int64
	losses []Loss
	tokens int
	looks  int
}

// read takes in what is new. A loss that is no number is an error: what is
// trained from there on is nothing.
func (m *metrics) read(last bool) error {
	f, err := os.Open(filepath.Join(m.dir, metricsFile))
	if err != nil {
		return m.readState(last)
	}
	defer f.Close()
	if _, err := f.Seek(m.offset, io.SeekStart); err != nil {
		return nil
	}
	in := bufio.NewReader(io.LimitReader(f, 64<<20))
	for {
		text, err := in.ReadBytes('\n')
		if err != nil && !(last && len(text) > 0) {
			return nil // a line that is being written is read when it is whole
		}
		m.offset += int64(len(text))
		var v metric
		if loose(text, &v) == nil {
			if err := m.take(v); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

func (m *metrics) take(v metric) error {
	m.tokens = max(m.tokens, int(min(max(v.Tokens, 0), 1<<53)))
	if v.Loss != nil {
		loss := float64(*v.Loss)
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("the loss was %v at step %.0f, so the training has failed; lower learning_rate, or look at the corpus", loss, v.Step)
		}
		m.losses = append(m.losses, Loss{int(v.Step), loss})
	}
	if m.tell != nil {
		switch {
		case v.Total > 0 && v.Step >= 0 && v.Total < 1<<40:
			m.tell(int(min(v.Step, v.Total)), int(v.Total))
		case v.Epoch > 0 && m.epochs > 0:
			m.tell(int(min(v.Epoch/m.epochs, 1)*float64(m.count)), m.count)
		}
	}
	return nil
}

// readState reads the newest trainer_state.json, where there is no metrics file.
func (m *metrics) readState(last bool) error {
	if m.looks++; !last && m.looks%10 != 0 {
		return nil
	}
	paths, _ := filepath.Glob(filepath.Join(m.dir, "checkpoint-*", "trainer_state.json"))
	paths = append(paths, filepath.Join(m.dir, "trainer_state.json"))
	var best struct {
		Step int      `json:"global_step"`
		Log  []metric `json:"log_history"`
	}
	for _, path := range paths {
		state := best
		state.Log = nil
		if data, err := os.ReadFile(path); err == nil && loose(data, &state) == nil && state.Step >= best.Step {
			best = state
		}
	}
	m.losses = nil
	for _, v := range best.Log {
		if err := m.take(v); err != nil {
			return err
		}
	}
	return nil
}

const mostLosses = 200

// curve is the loss curve, thinned evenly, its last point kept.
func (m *metrics) curve() []Loss {
	if len(m.losses) <= mostLosses {
		return m.losses
	}
	out := make([]Loss, mostLosses)
	for i := range out {
		out[i] = m.losses[i*(len(m.losses)-1)/(mostLosses-1)]
	}
	return out
}
