package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

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
	case a == nil || a.Kind == Bare:
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
