package openai

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// chatRow is a line of a training file for supervised fine-tuning: the loss is on
// every assistant turn.
type chatRow struct {
	Messages []lineage.Message `json:"messages"`
}

// pairRow is a line of a training file for direct preference optimisation.
type pairRow struct {
	Input        chatRow           `json:"input"`
	Preferred    []lineage.Message `json:"preferred_output"`
	NonPreferred []lineage.Message `json:"non_preferred_output"`
}

// trainingFile is what a corpus comes to as a file of JSON lines.
type trainingFile struct {
	Bytes   int
	Digest  string // SHA-256, hex
	Rows    int
	LeftOut int // documents that no row can hold
	Tokens  int // of one pass, at most
}

// measure reads the corpus through and holds it against the provider's rules.
func (b *Backend) measure(ctx context.Context, job lineage.Job) (f trainingFile, err error) {
	sum := sha256.New()
	f, err = b.write(ctx, job, sum)
	f.Digest = hex.EncodeToString(sum.Sum(nil))
	if err != nil {
		return f, err
	}
	rules := b.profile.Rows
	switch {
	case f.Rows == 0:
		return f, errors.New("training file: the corpus is empty: there is no document to train on")
	case f.Rows < rules.Min:
		return f, fmt.Errorf("training file: has %d documents to train on, %s takes no less than %d; make corpus.size larger", f.Rows, b.profile.Name, rules.Min)
	case rules.FileBytes > 0 && f.Bytes > rules.FileBytes:
		return f, fmt.Errorf("training file: has %d bytes, %s takes no more than %d; make corpus.size smaller", f.Bytes, b.profile.Name, rules.FileBytes)
	case rules.FileTokens > 0 && guess(f.Bytes) > rules.FileTokens:
		return f, fmt.Errorf("training file: has about %d tokens, %s takes no more than %d; make corpus.size smaller", guess(f.Bytes), b.profile.Name, rules.FileTokens)
	}
	return f, nil
}

// write writes the training file of a job. The same job gives the same bytes.
func (b *Backend) write(ctx context.Context, job lineage.Job, w io.Writer) (f trainingFile, err error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	n := -1
	for ex, err := range job.Examples {
		if err != nil {
			return f, err
		}
		if n++; n&1023 == 0 && ctx.Err() != nil {
			return f, ctx.Err()
		}
		if ex.Weight == 0 {
			continue
		}
		if err := b.profile.Rows.unfit(ex, job.Learner); err != nil {
			if b.config.Untrainable != "drop" {
				return f, fmt.Errorf("training file: document %d: %w; take such documents out by a filter, or write untrainable: drop to leave them out and count them", n, err)
			}
			f.LeftOut++
			continue
		}
		line.Reset()
		if err := encoder.Encode(row(ex, job.Learner)); err != nil {
			return f, fmt.Errorf("training file: document %d: %w", n, err)
		}
		if _, err := w.Write(line.Bytes()); err != nil {
			return f, err
		}
		f.Rows++
		f.Bytes += line.Len()
		f.Tokens += mostTokens(ex.Messages) + mostTokens(ex.Rejected)
	}
	return f, ctx.Err()
}

func row(ex lineage.Example, learner lineage.Learner) any {
	if learner != lineage.Preference {
		return chatRow{ex.Messages}
	}
	last := len(ex.Messages) - 1
	return pairRow{chatRow{ex.Messages[:last]}, ex.Messages[last:], ex.Rejected[last:]}
}

// unfit tells why an example cannot be a row.
func (r Rows) unfit(ex lineage.Example, learner lineage.Learner) error {
	if err := r.unfitTurns(ex.Messages); err != nil {
		return err
	}
	if ex.Weight != 1 {
		return fmt.Errorf("it has the weight %v, and rows of a training file weigh 0 or 1", ex.Weight)
	}
	if learner != lineage.Preference {
		return nil
	}
	last := len(ex.Messages) - 1
	switch {
	case len(ex.Rejected) == 0:
		return errors.New("it has no rejected answer, which learner preference needs")
	case len(ex.Rejected) != len(ex.Messages) || !slices.Equal(ex.Rejected[:last], ex.Messages[:last]):
		return errors.New("its rejected answer belongs to another conversation")
	case last == 0:
		return errors.New("it has no question, which learner preference needs")
	}
	return r.unfitTurns(ex.Rejected)
}

func (r Rows) unfitTurns(turns []lineage.Message) error {
	if len(turns) == 0 || turns[len(turns)-1].Role != "assistant" {
		return errors.New("it does not end with an assistant turn")
	}
	size := 0
	for i, m := range turns {
		switch {
		case m.Role != "assistant" && m.Role != "user" && m.Role != "system":
			return fmt.Errorf("turn %d has the role %.20q, which is not one of system, user, assistant", i, m.Role)
		case m.Role == "assistant" && m.Content == "":
			return fmt.Errorf("the assistant's turn %d is empty", i)
		case !utf8.ValidString(m.Content):
			return fmt.Errorf("turn %d is not UTF-8", i)
		}
		size += len(m.Content)
	}
	if r.Tokens > 0 && guess(size) > r.Tokens {
		return fmt.Errorf("it has about %d tokens, and a row takes no more than %d", guess(size), r.Tokens)
	}
	return nil
}

// mostTokens is a bound of the tokens of a conversation that text in any language
// keeps to: two bytes a token in ASCII, one elsewhere, and the marks of a turn.
func mostTokens(turns []lineage.Message) (n int) {
	for _, m := range turns {
		ascii := 0
		for i := range len(m.Content) {
			if m.Content[i] < utf8.RuneSelf {
				ascii++
			}
		}
		n += (ascii+1)/2 + len(m.Content) - ascii + 8
	}
	return n
}
