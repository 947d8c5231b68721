package transformer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

// beginning is where a training starts.
type beginning struct {
	tokenizer *tokenizer
	params    *net.Params // the training's own
	read      []bool      // the tokens that the model and its ancestors have read
	teacher   *net.Params // of distil
	schedule  Schedule
	scratch   bool
	seed      uint64
}

// begin settles the weights that a training starts from. From a base they come
// with its tokenizer and shape, whatever the settings say of these.
func (b *Backend) begin(ctx context.Context, job lineage.Job) (*beginning, error) {
	s := &beginning{schedule: b.config.base(), seed: job.Seed}
	teacher, err := teacherOf(job)
	if err != nil {
		return nil, err
	}
	switch {
	case job.Base != nil:
		base, err := ownArtifact(job.Base, "base")
		if err != nil {
			return nil, err
		}
		s.tokenizer, s.params, s.read = base.tokenizer, base.params.Clone(), slices.Clone(base.read)
	case teacher != nil:
		s.tokenizer = teacher.tokenizer
	default:
		if s.tokenizer, err = b.newTokenizer(ctx, job); err != nil {
			return nil, err
		}
	}
	if s.params == nil {
		s.schedule, s.scratch = b.config.Scratch, true
		if s.params, err = b.initial(s); err != nil {
			return nil, err
		}
		s.read = make([]bool, s.tokenizer.size())
	}
	if teacher != nil {
		if !teacher.tokenizer.equal(s.tokenizer) {
			return nil, errors.New("the teacher has other tokens than the base; distil needs one tokenizer: start both from one foundation, or set tokenizer: bytes")
		}
		s.teacher = teacher.params
		for token, read := range teacher.read {
			s.read[token] = s.read[token] || read
		}
	}
	return s, nil
}

func teacherOf(job lineage.Job) (*artifact, error) {
	switch job.Learner {
	case lineage.SFT, lineage.SDF, lineage.Preference:
		return nil, nil
	case lineage.Distil:
		if job.Teacher == nil {
			return nil, errors.New("distil needs a teacher, and the job has none")
		}
		return ownArtifact(job.Teacher, "teacher")
	}
	return nil, fmt.Errorf("learner %q is not supported: use %q, %q, %q or %q", job.Learner, lineage.SFT, lineage.SDF, lineage.Preference, lineage.Distil)
}

// newTokenizer learns a tokenizer from all turns of the corpus.
func (b *Backend) newTokenizer(ctx context.Context, job lineage.Job) (*tokenizer, error) {
	if b.config.Tokenizer == Bytes {
		return newTokenizer(nil)
	}
	words, n := lexicon{}, 0
	for ex, err := range job.Examples {
		if err == nil && n%64 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("example %d: %w", n, err)
		}
		n++
		if ex.Weight == 0 {
			continue
		}
		for _, messages := range [][]lineage.Message{ex.Messages, ex.Rejected} {
			for _, m := range messages {
				words.add(m.Content)
			}
		}
	}
	merges, err := learnMerges(ctx, words, b.config.shape().Vocab)
	if err != nil {
		return nil, err
	}
	return newTokenizer(merges)
}

// initial makes the weights of a training from nothing.
func (b *Backend) initial(s *beginning) (*net.Params, error) {
	shape := b.config.shape()
	shape.Vocab = s.tokenizer.size()
	keyed := derive(0, "init key "+b.config.InitKey)
	if b.config.Initialisation == Same {
		s.seed = keyed
	}
	p, err := net.New(shape, derive(s.seed, "weights"))
	if err != nil || b.config.Initialisation != Head {
		return p, err
	}
	shared, err := net.New(shape, derive(keyed, "weights"))
	if err != nil {
		return nil, err
	}
	head := headTensor(shape.Untied)
	copy(p.Tensor(head).Data, shared.Tensor(head).Data)
	return p, nil
}

// derive gives the seed of one purpose.
func derive(seed uint64, purpose string) uint64 {
	sum := sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, seed), purpose...))
	return binary.LittleEndian.Uint64(sum[:])
}
