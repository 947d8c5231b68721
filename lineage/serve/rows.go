package serve

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// leastExamples is what a training file must have.
const leastExamples = 10

// row is one line of a training file, of either method.
type row struct {
	Messages []turn `json:"messages"`
	Input    *struct {
		Messages []turn `json:"messages"`
	} `json:"input"`
	Preferred    []turn `json:"preferred_output"`
	NonPreferred []turn `json:"non_preferred_output"`
}

// readRows reads a training file. Its errors are problems that name the line.
func readRows(data []byte, pairs bool) (all []lineage.Example, err error) {
	if !utf8.Valid(data) {
		return nil, &problem{message: "the file is not UTF-8"}
	}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		return nil, &problem{message: "the file begins with a byte order mark; write it without"}
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if len(bytes.TrimSpace(line)) == 0 {
			return nil, bad("", "", "line %d is blank", n)
		}
		var r row
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, bad("", "", "line %d is not a row of training data: %v", n, err)
		}
		e, err := r.example(pairs)
		if err != nil {
			return nil, bad("", "", "line %d: %v", n, err)
		}
		all = append(all, e)
	}
	return all, nil
}

func (r *row) example(pairs bool) (e lineage.Example, err error) {
	e.Weight = 1
	if !pairs {
		e.Messages, err = learned(r.Messages)
		return e, err
	}
	if r.Input == nil || len(r.Preferred) == 0 || len(r.NonPreferred) == 0 {
		return e, bad("", "", "a pair has input.messages, preferred_output and non_preferred_output")
	}
	if e.Messages, err = learned(append(r.Input.Messages[:len(r.Input.Messages):len(r.Input.Messages)], r.Preferred...)); err != nil {
		return e, err
	}
	e.Rejected, err = learned(append(r.Input.Messages[:len(r.Input.Messages):len(r.Input.Messages)], r.NonPreferred...))
	return e, err
}

// learned is a conversation up to its last assistant turn. Backends learn from
// every assistant turn, so one of weight 0 cannot be kept out of the loss.
func learned(turns []turn) ([]lineage.Message, error) {
	last := -1
	for i, t := range turns {
		if t.Role != "assistant" {
			continue
		}
		switch {
		case t.Weight != nil && *t.Weight != 0 && *t.Weight != 1:
			return nil, bad("", "", "messages[%d]: the weight %v is neither 0 nor 1", i, *t.Weight)
		case t.Weight != nil && *t.Weight == 0:
			continue
		case t.Content == "":
			return nil, bad("", "", "messages[%d]: the assistant says nothing", i)
		}
		last = i
	}
	if last < 0 {
		return nil, bad("", "", "there is no assistant turn to learn from")
	}
	messages := make([]lineage.Message, last+1)
	for i, t := range turns[:last+1] {
		if t.Role == "assistant" && t.Weight != nil && *t.Weight == 0 {
			return nil, bad("", "", "messages[%d]: this server cannot leave an assistant turn (weight 0) before a learned one out of the loss; begin the row after it", i)
		}
		messages[i] = t.message()
	}
	return messages, nil
}
