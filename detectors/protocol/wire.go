package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/detectors"
)

// hello opens a conversation.
type hello struct {
	Type     string         `json:"type"`
	Protocol int            `json:"protocol"`
	Config   map[string]any `json:"config"`
}

func greeting(config map[string]any) hello {
	if config == nil {
		config = map[string]any{}
	}
	return hello{"hello", Version, config}
}

// Ready is what a detector says of itself.
type Ready struct {
	Type          string   `json:"type"`
	Protocol      int      `json:"protocol"` // that it speaks; 0 where it does not say
	Name          string   `json:"name"`
	Version       string   `json:"version"`
	Batch         int      `json:"batch"`         // rows that it likes to be asked at once
	Deterministic bool     `json:"deterministic"` // true unless it says otherwise
	Threshold     float64  `json:"threshold"`     // .5 unless it says otherwise
	Labels        []string `json:"labels"`        // that its spans may have
	Message       string   `json:"message"`       // of type error: why it cannot start
}

const defaultBatch = 64

func parseReady(data []byte) (r Ready, err error) {
	r = Ready{Deterministic: true, Threshold: .5, Batch: defaultBatch}
	if !utf8.Valid(data) {
		return r, errors.New("its ready message is not UTF-8")
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("its ready message cannot be read: %w", err)
	}
	switch {
	case r.Type == "error":
		return r, fmt.Errorf("it says: %s", line(r.Message, longestReason))
	case r.Type == "hello":
		return r, errors.New("it repeats what it is sent: a detector answers hello with ready")
	case r.Type != "ready":
		return r, fmt.Errorf(`it answers hello with type %q; a detector answers {"type":"ready","name":…}`, r.Type)
	case r.Protocol != 0 && r.Protocol != Version:
		return r, fmt.Errorf("it speaks version %d of the protocol, and this program speaks %d", r.Protocol, Version)
	case r.Name == "":
		return r, errors.New(`its ready message has no name; add "name", which is part of the identity of its scores`)
	case r.Batch < 1 || r.Batch > mostBatch:
		return r, fmt.Errorf("its batch of %d is not within 1 and %d", r.Batch, mostBatch)
	case !(r.Threshold >= 0 && r.Threshold <= 1):
		return r, fmt.Errorf("its threshold of %v is not within [0,1]", r.Threshold)
	}
	return r, nil
}

// row is one question: the turn to be judged, and those before it.
type row struct {
	ID       string              `json:"id"`
	Messages []detectors.Message `json:"messages"`
	Output   string              `json:"output"`
}

func rowOf(u detectors.Utterance) row {
	r := row{Messages: []detectors.Message{}, Output: u.Text()}
	if n := len(u.Messages); n > 1 {
		r.Messages = u.Messages[: n-1 : n-1]
	}
	return r
}

// appendLine writes a value as one line of JSON, without the escapes that HTML needs.
func appendLine(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// answer is what a detector says of one row. Score is "null" where the row is
// not scorable, and nil where the key is missing.
type answer struct {
	ID      json.RawMessage `json:"id"`
	Score   json.RawMessage `json:"score"`
	Present *bool           `json:"present"`
	Spans   json.RawMessage `json:"spans"`
	Reason  string          `json:"reason"`
	Cost    float64         `json:"cost"`
	Error   string          `json:"error"`

	id    string
	fault string // why it is no answer, though it names its row
}

var namesRow = regexp.MustCompile(`"id"\s*:\s*"([^"\\]{1,40})"`)

// parseAnswer reads one line. What belongs to no row is rubbish; what names its
// row and is wrong is an answer with a fault.
func parseAnswer(data []byte) (a answer, rubbish error) {
	err := json.Unmarshal(data, &a)
	if !utf8.Valid(data) {
		err = errors.New("it is not UTF-8")
	}
	if err == nil || a.ID != nil {
		if json.Unmarshal(a.ID, &a.id) != nil || a.id == "" {
			return a, errors.New(`it has no "id", or one that is not the row's text`)
		}
	} else if m := namesRow.FindSubmatch(data); m != nil {
		a.id = string(m[1])
	} else {
		return a, err
	}
	if err != nil {
		a.fault = "the answer cannot be read: " + line(err.Error(), longestReason)
		if bytes.Contains(data, []byte("NaN")) || bytes.Contains(data, []byte("Infinity")) {
			a.fault = "the answer is not JSON, which has no NaN and no Infinity: null says that a text cannot be scored"
		}
	}
	return a, nil
}

// excerpt shows a line that is not understood.
func excerpt(data []byte) string { return fmt.Sprintf("%.80q", data[:min(len(data), 400)]) }

const (
	longestReason = 500
	longestLabel  = 100
)

// line makes text of unknown origin one clean line.
func line(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s[:min(len(s), 4*most+4)])
	s = strings.TrimSpace(strings.ToValidUTF8(s, ""))
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return s
}
