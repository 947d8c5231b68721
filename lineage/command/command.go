// Package command trains real open-weights models with any program, and samples
// them from any server that speaks the OpenAI protocol.
//
//  1. Train writes the corpus as rows that trainers read, and starts the
//     command in a folder of its own, an attempt. It goes on when this process
//     is killed: its handle is durable before it begins, and it is taken up
//     again by the next run.
//  2. What it leaves (a LoRA adapter, full weights, GGUF, or the name of a model
//     that a provider keeps) is checked, its files are digested, and the attempt
//     is renamed to the node's own folder. That is the commit mark.
//  3. Open has the server load it under a name made from that digest, and holds
//     the model against its base: one that answers alike is not applied, and
//     nothing is sampled from it.
//
// What the command is told stands in the variables of its arguments, in the
// environment as HEIRLOOM_… and in request.json. No shell reads any of it.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai"
)

func init() {
	lineage.Register("command", "any trainer and server of open weights, as programs",
		[]lineage.Learner{lineage.SFT, lineage.SDF, lineage.Preference, lineage.Distil}, Defaults(),
		func(c Config) (lineage.Backend, error) { return New(c) })
}

// Backend trains by a command and samples from a server. It is not Retrainable.
type Backend struct {
	config  Config
	world   lineage.World
	servers *openai.Servers

	reading sync.Mutex
	whole   map[string]bool // digests of artifacts whose files were read

	serving sync.Mutex
	loaded  map[string]bool // names that this process had the server load
	applied map[string]bool // models that were held against their base, by start of the server and name
}

// New gives a backend, or every fault of its configuration.
func New(c Config) (*Backend, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	return &Backend{config: c, whole: map[string]bool{}, loaded: map[string]bool{}, applied: map[string]bool{}}, nil
}

// Enter takes what a run gives; trainings live in its folder. Without a folder
// nothing can be trained or opened, and all the same be checked.
func (b *Backend) Enter(w lineage.World) (err error) {
	if w.Dir, err = filepath.Abs(w.Dir); err != nil {
		return fmt.Errorf("command: %w", err)
	}
	if w.Log == nil {
		w.Log = func(string, ...any) {}
	}
	b.servers = &openai.Servers{Log: w.Log}
	if w.Folder != "" {
		if w.Folder, err = filepath.Abs(w.Folder); err != nil {
			return fmt.Errorf("command: %w", err)
		}
		err = os.MkdirAll(filepath.Join(w.Folder, trainings), 0o777)
	}
	b.world = w
	return err
}

func (b *Backend) entered() error {
	if b.world.Folder == "" {
		return errors.New("command: a local trainer works in the folder of a run, and there is none; use heirloom run")
	}
	return nil
}

// Untrained is the pretrained model itself.
func (b *Backend) Untrained() (lineage.Artifact, error) {
	return &Artifact{Kind: Bare, Base: b.config.Base, Digest: hashed("base", b.config.Base)}, nil
}

// Load reads an artifact and sees that its files are there.
func (b *Backend) Load(data []byte) (lineage.Artifact, error) {
	a, err := parseArtifact(data)
	if err != nil {
		return nil, err
	}
	if err := b.entered(); err != nil {
		return a, nil // a plan or a report reads what it says and no file
	}
	return a, a.present(b.world.Folder)
}

// Open has the server load the model and sees that it is applied. Its methods
// may be called by several goroutines at once.
func (b *Backend) Open(ctx context.Context, artifact lineage.Artifact) (lineage.Model, error) {
	a, ok := artifact.(*Artifact)
	if !ok {
		return nil, fmt.Errorf("command: artifact is a %T and not one of this backend", artifact)
	}
	if err := b.entered(); err != nil {
		return nil, err
	}
	if err := b.verify(a); err != nil {
		return nil, err
	}
	m := &model{backend: b, artifact: a}
	if strings.Contains(strings.Join(b.config.Serve.Command, " "), ".Artifact") {
		return m, nil // a server of its own begins when it is asked, in place of another's
	}
	lease, err := m.ready(ctx)
	if err != nil {
		return nil, err
	}
	lease.done()
	return m, nil
}

// verify reads the files of an artifact once and compares their digest.
func (b *Backend) verify(a *Artifact) error {
	b.reading.Lock()
	defer b.reading.Unlock()
	if !a.kept() || b.whole[a.Digest] {
		return nil
	}
	if err := a.present(b.world.Folder); err != nil {
		return err
	}
	files, digest, err := digestFiles(filepath.Join(b.world.Folder, a.Path))
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	if digest != a.Digest || len(files) != len(a.Files) {
		return fmt.Errorf("command: the weights in %s are not those that were trained (their digest is %.16s, not %.16s); put the folder back as it was, or run in a new folder", a.Path, digest, a.Digest)
	}
	b.whole[a.Digest] = true
	return nil
}
