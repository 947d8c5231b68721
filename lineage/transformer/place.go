package transformer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

// work between two saves, in floating-point operations: about half a minute on
// two cores. It is not counted in seconds, so that a training asks no clock. A
// training that takes less is not saved: it begins again.
var workBetweenSaves = 2e12

// stateHeader names the format of the state of a training. A line of JSON
// follows (progress), then the digest of the job, the weights, the state of the
// engine, and the SHA-256 of all before it.
const stateHeader = "heirloom-transformer-training 1\n"

// place is the file that a training keeps its state in. A nil place keeps
// nothing.
type place struct {
	path  string
	job   [sha256.Size]byte
	every int // updates
	log   func(format string, args ...any)
}

// place gives the file of a job that is long enough to need one.
func (b *Backend) place(t *training) (*place, error) {
	tokens := 0
	for _, l := range t.lessons {
		for _, w := range l.windows {
			tokens += len(w.tokens)
		}
	}
	work := 6 * float64(t.begin.params.Shape.Parameters()) * float64(tokens) / float64(t.epoch())
	every := max(1, int(workBetweenSaves/work))
	if b.world.Folder == "" || every >= t.total {
		return nil, nil
	}
	p := &place{job: t.digest(), every: every, log: b.world.Log}
	p.path = filepath.Join(b.world.Folder, "transformer", fmt.Sprintf("%x.training", p.job[:16]))
	return p, os.MkdirAll(filepath.Dir(p.path), 0o755)
}

// digest is of everything that the result of a training follows from.
func (t *training) digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%s%s %+v\n%s %v %d %v\n", stateHeader, net.Arithmetic(), t.config, t.learner, t.begin.scratch, t.begin.seed, t.begin.params.Shape)
	hashWeights(h, t.begin.params.Flat)
	if t.begin.teacher != nil {
		hashWeights(h, t.begin.teacher.Flat)
	}
	for _, l := range t.lessons {
		fmt.Fprintln(h, l.weight, l.chosen, len(l.windows))
		for _, w := range l.windows {
			fmt.Fprintln(h, w.tokens, w.learned)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func hashWeights(h hash.Hash, weights []float32) {
	var b [4]byte
	for _, w := range weights {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(w))
		h.Write(b[:])
	}
}

// keep saves the state after so many updates, when it is time.
func (p *place) keep(t *training, done int) error {
	if p == nil || done%p.every != 0 || done == t.total {
		return nil
	}
	return p.save(t, done)
}

// interrupted saves the state of a training that is stopped.
func (p *place) interrupted(t *training, cause error) error {
	if p == nil || t.progress.Step == 0 {
		return cause
	}
	return errors.Join(cause, p.save(t, t.progress.Step))
}

// save writes the state such that there is always a whole one.
func (p *place) save(t *training, done int) error {
	now := t.progress
	now.Step = done
	line, err := json.Marshal(now)
	if err != nil {
		return err
	}
	out := append(append([]byte(stateHeader), line...), '\n')
	out = append(out, p.job[:]...)
	out = append(appendWeights(out, t.begin.params.Flat), t.trainer.State()...)
	sum := sha256.Sum256(out)
	if err := writeWhole(p.path, append(out, sum[:]...)); err != nil {
		return fmt.Errorf("the state of the training cannot be kept: %w", err)
	}
	return nil
}

func writeWhole(path string, data []byte) error {
	part := path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// restore takes up what an earlier process left. A file that is damaged or of
// another training is left aside: the training begins anew, to the same result.
func (p *place) restore(t *training) error {
	if p == nil {
		return nil
	}
	data, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var kept progress
	var rest []byte
	if err == nil {
		kept, rest, err = p.read(data)
	}
	if err != nil {
		p.log("transformer: %s: %v; the training begins anew", p.path, err)
		return nil
	}
	flat := t.begin.params.Flat
	if len(rest) < 4*len(flat) {
		err = errors.New("is cut short")
	} else if err = readWeights(flat, rest); err == nil {
		err = t.trainer.Restore(rest[4*len(flat):])
	}
	if err != nil {
		return fmt.Errorf("%s: %w; remove it, and the training begins anew", p.path, err)
	}
	t.progress = kept
	return nil
}

// read checks a file and gives what is in it: weights and the engine's state.
func (p *place) read(data []byte) (kept progress, rest []byte, err error) {
	body := data[:max(0, len(data)-sha256.Size)]
	sum := sha256.Sum256(body)
	if !bytes.HasSuffix(data, sum[:]) || !bytes.HasPrefix(body, []byte(stateHeader)) {
		return kept, nil, errors.New("is damaged or of another version")
	}
	line, rest, _ := bytes.Cut(body[len(stateHeader):], []byte("\n"))
	if !bytes.HasPrefix(rest, p.job[:]) {
		return kept, nil, errors.New("is of another training")
	}
	return kept, rest[sha256.Size:], json.Unmarshal(line, &kept)
}

// clear removes the file when the training is done.
func (p *place) clear() error {
	if p == nil {
		return nil
	}
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
