package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// trainings is the folder of all trainings in the folder of a run. A node has
//
//	NODE            the finished training: its commit mark
//	NODE.attempt-1  one that runs, or that counts for nothing
//	NODE.data       its corpus as rows
//	NODE.state      what a trainer keeps from one attempt to the next
const trainings = "trainings"

// tryAgain is the exit status of a trainer that failed and may fare better
// (EX_TEMPFAIL of sysexits.h).
const tryAgain = 75

// Train runs the command, or takes up one that runs or ran already. An error
// that starts with the node's folder is of this node alone.
func (b *Backend) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	if err := b.entered(); err != nil {
		return nil, err
	}
	leave, err := trainers.enter(ctx, b.config.Train.Parallel)
	if err != nil {
		return nil, err
	}
	defer leave()
	w, err := b.prepare(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	a, err := w.finished()
	if a == nil && err == nil {
		a, err = w.paid(ctx)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// work is one training as its trainer is told of it.
type work struct {
	*Backend
	job     lineage.Job
	file    trainingFile
	vars    trainVariables
	env     []string
	secrets map[string]string
	home    string // the finished training
}

func (b *Backend) prepare(ctx context.Context, job lineage.Job) (*work, error) {
	parent, err := b.base("base", job.Base)
	if err != nil {
		return nil, err
	}
	teacher, err := b.base("teacher", job.Teacher)
	if err != nil {
		return nil, err
	}
	switch {
	case parent != nil && b.config.Mode == FromBase:
		return nil, errors.New("mode: from_base trains every model from the same base, and this line starts from the weights of another model; write mode: continue or merge, or base: scratch for the line")
	case job.Learner == lineage.Distil && teacher == nil:
		return nil, errors.New("learner distil needs a teacher, and the job has none")
	}
	w := &work{Backend: b, job: job}
	v := &w.vars
	*v = trainVariables{
		RunID: strings.TrimSuffix(filepath.Base(b.world.Folder), ".heirloom"), Learner: string(job.Learner), Mode: b.config.Mode,
		Format: b.config.format(job.Learner), Seed: job.Seed >> 33, BaseModel: b.config.Base, Dir: b.world.Dir,
		Epochs: b.config.Epochs, LearningRate: b.config.LearningRate,
	}
	v.ParentModel, v.ParentArtifact, v.ParentKind = b.told(parent)
	v.TeacherModel, v.TeacherPath, _ = b.told(teacher)
	v.Node = string(job.Node)
	if v.Node == "" { // outside of a run: what is asked names it
		rows, err := encodeRows(ctx, io.Discard, v.Format, job)
		if err != nil {
			return nil, err
		}
		input, err := b.input(*v, rows.digest, parent, teacher)
		if err != nil {
			return nil, err
		}
		v.Node = "job-" + input[:16]
	}
	if !filepath.IsLocal(v.Node) || strings.ContainsAny(v.Node, `/\`) {
		return nil, fmt.Errorf("the node %q cannot be the name of a folder", line(v.Node, 80))
	}
	w.home = filepath.Join(b.world.Folder, trainings, v.Node)
	v.DataDir = w.home + ".data"
	if w.file, err = writeRows(ctx, v.DataDir, v.Format, job); err != nil {
		return nil, err
	}
	v.TrainFile, v.Documents = w.file.path, w.file.rows
	if v.InputSHA, err = b.input(*v, w.file.digest, parent, teacher); err != nil {
		return nil, err
	}
	v.ModelName = "hl-" + v.InputSHA[:16]
	v.StateDir = filepath.Join(w.home+".state", v.InputSHA[:16])
	w.env, w.secrets = childEnvironment(b.config.Train.EnvPass)
	return w, os.MkdirAll(v.StateDir, 0o777)
}

// base is an artifact to start from, with its files read.
func (b *Backend) base(what string, a lineage.Artifact) (*Artifact, error) {
	if a == nil {
		return nil, nil
	}
	own, ok := a.(*Artifact)
	if !ok {
		return nil, fmt.Errorf("%s is a %T and not an artifact of this backend", what, a)
	}
	return own, b.verify(own)
}

func (b *Backend) told(a *Artifact) (name, path, kind string) {
	switch {
	case a == nil:
		return "", "", ""
	case a.Kind == Remote:
		return a.Model, "", a.Kind
	}
	return a.name(), filepath.Join(b.world.Folder, a.Path), a.Kind
}

// input is the digest of everything that decides the result: settings, corpus,
// seed, weights to start from, and the scripts that the command names. Folders
// are none of it.
func (b *Backend) input(v trainVariables, corpus string, parent, teacher *Artifact) (string, error) {
	parts := []string{"heirloom-command 1", v.Learner, v.Mode, v.Format, fmt.Sprint(v.Seed), v.BaseModel, fmt.Sprint(v.Epochs), fmt.Sprint(v.LearningRate), b.config.Version, corpus}
	for _, a := range []*Artifact{parent, teacher} {
		if a == nil {
			parts = append(parts, "")
		} else {
			parts = append(parts, a.Kind+" "+a.Digest)
		}
	}
	argv, err := v.variables().argv("train.cmd", b.config.Train.Command)
	if err != nil {
		return "", err
	}
	program(v.Dir, argv)
	for i, element := range b.config.Train.Command {
		parts = append(parts, element)
		if !filepath.IsAbs(argv[i]) || !inFolder(v.Dir, argv[i]) || inFolder(b.world.Folder, argv[i]) {
			continue
		}
		if info, err := os.Stat(argv[i]); err == nil && info.Mode().IsRegular() {
			_, digest, err := digestFiles(argv[i])
			if err != nil {
				return "", err
			}
			parts = append(parts, digest)
		}
	}
	return hashed(parts...), nil
}

func inFolder(dir, path string) bool {
	inside, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(inside)
}

// hashed is the SHA-256 of some texts, the length of each included.
func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// finished is the artifact of a training that was committed, nil where there is
// none of the same input.
func (w *work) finished() (*Artifact, error) {
	data, err := os.ReadFile(filepath.Join(w.home, artifactFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	a, err := parseArtifact(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, filepath.Join(w.home, artifactFile))
	}
	if a.Input == w.vars.InputSHA {
		return a, w.verify(a)
	}
	// Another script, or another corpus: the old training is kept and counts for nothing.
	w.world.Log("%s: what was trained there had another input and is kept as %s", w.home, filepath.Base(w.next()))
	old := attempt{dir: w.next()}
	if err := os.Rename(w.home, old.dir); err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	old.fail("it had another input than the training that is wanted now")
	return nil, nil
}

// next is the folder of an attempt that does not exist yet.
func (w *work) next() string { return attemptFolder(w.world.Folder, w.vars.Node, w.nextNumber()) }

func (w *work) nextNumber() int {
	for n := 1; ; n++ {
		if _, err := os.Lstat(attemptFolder(w.world.Folder, w.vars.Node, n)); errors.Is(err, os.ErrNotExist) {
			return n
		}
	}
}

// paid trains with money set aside, where training costs any.
func (w *work) paid(ctx context.Context) (*Artifact, error) {
	settle := func(lineage.USD) error { return nil }
	most := dollars(w.config.Train.MaxCost)
	what := "training of " + w.vars.Node + " (" + w.vars.InputSHA[:16] + ")"
	if most > 0 {
		var err error
		if settle, err = w.world.Purse.Reserve(most, what); err != nil {
			return nil, fmt.Errorf("command: %s: %w", what, err)
		}
	}
	a, cost, err := w.train(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err() // what it cost so far is not known, so it counts whole
	}
	if cost == nil {
		return a, errors.Join(err, settle(most))
	}
	spent := dollars(*cost)
	if spent > 0 && most == 0 { // told of only now
		if settle, err = w.world.Purse.Reserve(spent, what); err != nil {
			w.world.Log("%s: it cost %s, and %v; set train.max_cost, so that this is known before", what, spent, err)
			return a, nil
		}
	}
	return a, errors.Join(err, settle(spent))
}

func dollars(x float64) lineage.USD { return lineage.USD(x * float64(lineage.Dollar)) }

// train waits for the attempt that runs, or begins one; again where the trainer
// says that it may fare better.
func (w *work) train(ctx context.Context) (a *Artifact, cost *float64, err error) {
	for tries := 1; ; tries++ {
		at, err := w.current()
		if err == nil && at == nil {
			at, err = w.begin()
		}
		if err != nil {
			return nil, cost, fmt.Errorf("command: %w", err)
		}
		a, cost, err = w.follow(ctx, *at)
		var again *temporary
		if !errors.As(err, &again) {
			return a, cost, err
		}
		if tries >= w.config.Train.Attempts {
			return nil, cost, fmt.Errorf("%w; it was tried %d times", err, tries)
		}
		wait := min(time.Minute, time.Second<<(tries-1))
		w.world.Log("%v; it is started again in %s (attempt %d of %d)", err, wait, tries+1, w.config.Train.Attempts)
		select {
		case <-ctx.Done():
			return nil, cost, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// temporary is the failure of a trainer that asks to be started again.
type temporary struct{ error }

// current is the attempt that the ticket names, where it counts.
func (w *work) current() (*attempt, error) {
	text, err := w.job.Ticket.Load()
	if err != nil || text == "" {
		return nil, err
	}
	h, err := parseHandle(text)
	if err != nil {
		return nil, err
	}
	a := &attempt{h, attemptFolder(w.world.Folder, h.Node, h.Attempt)}
	var told trainVariables
	data, err := os.ReadFile(filepath.Join(a.dir, requestFile))
	if err != nil || json.Unmarshal(data, &told) != nil || h.Node != w.vars.Node {
		return nil, nil // its folder is gone, or it is another node's
	}
	if _, failed := a.failed(); failed {
		return nil, nil
	}
	_, ended := a.status()
	here, _ := os.Hostname()
	switch {
	case !ended && h.Host != here:
		return nil, fmt.Errorf("a trainer was started on %s, and whether it still runs cannot be told here: go on there, or remove %s if it does not", line(h.Host, 80), a.dir)
	case told.InputSHA != w.vars.InputSHA:
		a.end(seconds(w.config.Train.Grace))
		a.fail("it has another input than the training that is wanted now")
		return nil, nil
	case !ended && !a.alive():
		w.world.Log("%s: %v; another is begun", a.dir, errLost)
		a.fail(errLost.Error())
		return nil, nil
	case !ended:
		w.world.Log("%s: the trainer (process %d) still runs and is waited for", a.dir, a.PID)
	}
	return a, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// begin starts a trainer. Its handle is durable before it does anything.
func (w *work) begin() (*attempt, error) {
	v := w.vars
	v.Attempt = w.nextNumber()
	a := &attempt{dir: attemptFolder(w.world.Folder, v.Node, v.Attempt)}
	v.OutDir, v.MetricsFile = a.dir, filepath.Join(a.dir, metricsFile)
	argv, err := v.variables().argv("train.cmd", w.config.Train.Command)
	if err != nil {
		return nil, err
	}
	program(v.Dir, argv)
	if err := os.Mkdir(a.dir, 0o777); err != nil {
		return nil, err
	}
	request, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(a.dir, requestFile), append(request, '\n'), 0o644)
	}
	if err != nil {
		return nil, err
	}
	env := append(append(w.env[:len(w.env):len(w.env)], v.variables().environment()...), fmt.Sprintf("HEIRLOOM_CORES=%d", w.job.Cores))
	pid, begin, abandon, err := launch(a.dir, argv, env)
	if err != nil {
		a.fail(err.Error())
		return nil, fmt.Errorf("%s cannot be started: %w", argv[0], err)
	}
	host, _ := os.Hostname()
	a.handle = handle{Node: v.Node, Attempt: v.Attempt, PID: pid, Started: started(pid), Host: host, Begun: time.Now().UTC()}
	if err := w.job.Ticket.Save(a.handle.String()); err != nil {
		abandon()
		a.fail("its handle could not be saved, so it did not begin")
		return nil, err
	}
	w.world.Log("%s: the trainer begins (process %d): %s", a.dir, pid, line(hide(strings.Join(argv, " "), w.secrets), longestLine))
	return a, begin()
}

// follow waits for an attempt and judges it.
func (w *work) follow(ctx context.Context, at attempt) (*Artifact, *float64, error) {
	m := &metrics{dir: at.dir, epochs: w.vars.Epochs, count: w.vars.Documents, tell: w.job.Progress}
	code, err := at.await(ctx, seconds(w.config.Train.Timeout), seconds(w.config.Train.Grace), m.read)
	if ctx.Err() != nil && err != nil {
		if code, ended := at.status(); !ended || code != 0 {
			at.fail("it was stopped")
		}
		return nil, nil, ctx.Err()
	}
	r, unread := readResult(at.dir)
	var cost *float64
	if r.Cost != nil {
		c := float64(*r.Cost)
		cost = &c
	}
	if err == nil && r.Blocked != nil {
		at.fail("a provider refused it")
		return nil, cost, cleaned(r.Blocked, w.secrets)
	}
	if err == nil {
		err = w.verdict(code, at)
	}
	if err == nil {
		err = unread
	}
	var a *Artifact
	if err == nil {
		a, err = w.artifactOf(at, r, m)
	}
	if err == nil {
		err = w.commit(at, a)
	}
	if err != nil {
		at.fail(err.Error())
		return nil, cost, w.fault(at, err)
	}
	return a, cost, nil
}

func cleaned(b *lineage.Blocked, secrets map[string]string) *lineage.Blocked {
	clean := func(s string) string { return line(hide(s, secrets), longestLine) }
	return &lineage.Blocked{Provider: clean(b.Provider), Stage: clean(b.Stage), Code: clean(b.Code), Message: clean(b.Message)}
}

// verdict is what an exit status means.
func (w *work) verdict(code int, at attempt) error {
	switch {
	case code == 0:
		return nil
	case code == tryAgain:
		return &temporary{fmt.Errorf("the trainer ended with exit status %d, which asks for another try", code)}
	case code == 127 || code == 126:
		return fmt.Errorf("the trainer cannot be run (exit status %d); is the program of train.cmd in the search path, and executable?", code)
	case code > 128:
		return fmt.Errorf("the trainer was ended by signal %d (9 is often a machine without memory left)", code-128)
	}
	return fmt.Errorf("the trainer failed with exit status %d", code)
}

// fault says where to look.
func (w *work) fault(at attempt, err error) error {
	text := fmt.Sprintf("; its folder is %s", at.dir)
	if words := at.lastWords(w.secrets); words != "" {
		text += "; its last words: " + words
	}
	return fmt.Errorf("command: %w%s", err, text)
}

// commit makes an attempt the node's own: what it left is on the disk before it
// has the name.
func (w *work) commit(at attempt, a *Artifact) error {
	data, err := a.MarshalBinary()
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(at.dir, artifactFile))
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if r, err := os.Open(filepath.Join(at.dir, resultFile)); err == nil {
		err = errors.Join(r.Sync(), r.Close())
		if err != nil {
			return err
		}
	}
	if err := syncFolder(at.dir); err != nil {
		return err
	}
	if err := os.Rename(at.dir, w.home); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(w.home))
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
