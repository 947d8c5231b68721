package command

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// row is one line of a training file. Weight stands where it is not 1.
type row struct {
	Messages   []lineage.Message `json:"messages,omitempty"`   // chat
	Prompt     []lineage.Message `json:"prompt,omitempty"`     // prompt-completion and preference
	Completion []lineage.Message `json:"completion,omitempty"` // prompt-completion
	Chosen     []lineage.Message `json:"chosen,omitempty"`     // preference
	Rejected   []lineage.Message `json:"rejected,omitempty"`   // preference
	Text       *string           `json:"text,omitempty"`       // text
	Weight     *float64          `json:"weight,omitempty"`
}

const preferenceRows = "preference"

// format is that of the rows for a learner.
func (c Config) format(l lineage.Learner) string {
	switch {
	case l == lineage.Preference:
		return preferenceRows
	case c.Format != "":
		return c.Format
	case l == lineage.SDF:
		return Text
	}
	return Chat
}

// rowOf gives the row of an example. Text is the contents of all turns, an empty
// line between them.
func rowOf(format string, ex lineage.Example) (row, error) {
	var r row
	if ex.Weight != 1 {
		r.Weight = &ex.Weight
	}
	last := len(ex.Messages) - 1
	if last < 0 || ex.Messages[last].Role != "assistant" && format != Text {
		return r, errors.New("does not end with an assistant turn")
	}
	switch format {
	case Chat:
		r.Messages = ex.Messages
	case PromptCompletion:
		r.Prompt, r.Completion = ex.Messages[:last], ex.Messages[last:]
		if len(r.Prompt) == 0 {
			return r, errors.New("has no turn before the assistant's, so there is no prompt; use format: chat or text")
		}
	case Text:
		turns := make([]string, len(ex.Messages))
		for i, m := range ex.Messages {
			turns[i] = m.Content
		}
		text := strings.Join(turns, "\n\n")
		r.Text = &text
	case preferenceRows:
		worse := len(ex.Rejected) - 1
		if worse < 0 {
			return r, errors.New("has no rejected answer, and learner preference needs pairs")
		}
		if !slices.Equal(ex.Messages[:last], ex.Rejected[:worse]) {
			return r, errors.New("the preferred and the rejected conversation differ before their last turn")
		}
		r.Prompt, r.Chosen, r.Rejected = ex.Messages[:last], ex.Messages[last:], ex.Rejected[worse:]
	}
	return r, nil
}

// trainingFile is the corpus as the trainer reads it.
type trainingFile struct {
	path   string
	digest string
	rows   int
	probes [][]lineage.Message // a few prompts of it, to hold the model against its base
}

const (
	mostProbes   = 3
	longestProbe = 2000 // bytes
)

// encodeRows writes the corpus as rows.
func encodeRows(ctx context.Context, to io.Writer, format string, job lineage.Job) (f trainingFile, err error) {
	hash := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(to, hash))
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for ex, err := range job.Examples {
		var r row
		if err == nil && f.rows%64 == 0 {
			err = ctx.Err()
		}
		if err == nil {
			r, err = rowOf(format, ex)
		}
		if err == nil {
			err = enc.Encode(r)
		}
		if err != nil {
			return f, fmt.Errorf("example %d: %w", f.rows+1, err)
		}
		f.rows++
		f.probe(ex.Messages)
	}
	if f.rows == 0 {
		return f, errors.New("there are no examples to train on: the corpus is empty")
	}
	err = out.Flush()
	f.digest = hex.EncodeToString(hash.Sum(nil))
	return f, err
}

// writeRows writes the corpus into a folder. A file that is there already is
// written again: what is trained on is what the job says.
func writeRows(ctx context.Context, dir, format string, job lineage.Job) (f trainingFile, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return f, err
	}
	part, err := os.CreateTemp(dir, "train-*.part")
	if err != nil {
		return f, err
	}
	defer os.Remove(part.Name())
	defer part.Close()
	if f, err = encodeRows(ctx, part, format, job); err != nil {
		return f, err
	}
	f.path = filepath.Join(dir, "train.jsonl")
	if err := errors.Join(part.Chmod(0o644), part.Sync(), part.Close()); err != nil {
		return f, err
	}
	return f, os.Rename(part.Name(), f.path)
}

// probe keeps the prompt of a row.
func (f *trainingFile) probe(messages []lineage.Message) {
	size := 0
	for _, m := range messages[:len(messages)-1] {
		size += len(m.Content)
		if m.Content == "" {
			return
		}
	}
	asked := messages[:len(messages)-1]
	if len(f.probes) < mostProbes && size > 0 && size < longestProbe && asked[len(asked)-1].Role == "user" &&
		!slices.ContainsFunc(f.probes, func(p []lineage.Message) bool { return slices.Equal(p, asked) }) {
		f.probes = append(f.probes, slices.Clone(asked))
	}
}
