package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/heirloom-sim/heirloom/lineage"
)

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
