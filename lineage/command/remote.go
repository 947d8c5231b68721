package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/heirloom-sim/heirloom/lineage"
)

// remoteID is the file of a state folder in which a trainer may keep the name of
// work that it has running elsewhere: a job of a scheduler or of a provider.
const remoteID = "remote_id"

// at is the attempt of a handle, in the folder of the run, or where it was begun.
func (b *Backend) at(text string) (a attempt, folder string, err error) {
	h, err := parseHandle(text)
	if folder = b.world.Folder; folder == "" {
		folder = h.Folder
	}
	return attempt{h, attemptFolder(folder, h.Node, h.Attempt)}, folder, err
}

// Errand tells how a trainer stands, by its folder and by this machine.
func (b *Backend) Errand(text string) (lineage.Errand, error) {
	at, folder, err := b.at(text)
	if err != nil {
		return lineage.Errand{}, err
	}
	e := lineage.Errand{Kind: "process", Where: line(at.Host, 80) + ":" + at.dir, ID: strconv.Itoa(at.PID)}
	if id := elsewhere(folder, at.Node); id != "" {
		e.ID += " (" + id + ")"
	}
	_, gone := os.Stat(at.dir)
	why, failed := at.failed()
	code, ended := at.status()
	switch {
	case failed:
		e.State, e.Ended = "failed: "+line(why, 120), true
	case gone != nil:
		e.State, e.Ended = "gone", true
		if data, err := os.ReadFile(filepath.Join(folder, trainings, at.Node, artifactFile)); err == nil {
			if a, err := parseArtifact(data); err == nil {
				e.State, e.Model, e.Cost = "finished", or(a.Model, a.name()), dollars(a.Cost)
			}
		}
	case ended:
		e.State, e.Ended = fmt.Sprintf("ended with exit status %d", code), true
	case !at.here():
		e.State = "begun on another machine: whether it runs cannot be told here"
	case at.alive():
		e.State = "running"
	default:
		e.State, e.Ended = "killed", true
	}
	return e, nil
}

// Look is Errand: nobody else knows more.
func (b *Backend) Look(_ context.Context, text string) (lineage.Errand, error) { return b.Errand(text) }

// elsewhere is the name of the work that a trainer has running elsewhere.
func elsewhere(folder, node string) string {
	paths, _ := filepath.Glob(filepath.Join(folder, trainings, node+".state", "*", remoteID))
	for _, p := range paths {
		if data, err := os.ReadFile(p); err == nil {
			return line(string(data), 200)
		}
	}
	return ""
}

// Cancel ends a trainer and its children, and by train.cancel what it has
// running elsewhere.
func (b *Backend) Cancel(ctx context.Context, text string) error {
	e, err := b.Errand(text)
	if err != nil {
		return err
	}
	at, folder, _ := b.at(text)
	if !e.Ended && !at.here() {
		return fmt.Errorf("command: the trainer was started on %s; cancel it there", line(at.Host, 80))
	}
	at.end(seconds(b.config.Train.Grace))
	if code, ended := at.status(); !e.Ended && (!ended || code != 0) {
		at.fail("it was cancelled")
	}
	id := elsewhere(folder, at.Node)
	if id == "" || e.State == "finished" {
		return nil
	}
	if len(b.config.Train.Cancel) == 0 {
		return fmt.Errorf("command: the trainer left %s running elsewhere, and train.cancel does not say how to cancel it", id)
	}
	argv, err := cancelVariables(b.world.Dir, id).argv("train.cancel", b.config.Train.Cancel)
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	program(b.world.Dir, argv)
	env, secrets := childEnvironment(b.config.Train.EnvPass)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("command: %s: %w: %s", argv[0], err, line(hide(string(out), secrets), longestLine))
	}
	return nil
}

// Remove deletes the folders of a training: its weights, attempts, corpus and
// state. One that runs is not removed.
func (b *Backend) Remove(_ context.Context, text string) (removed []string, err error) {
	e, err := b.Errand(text)
	if err != nil {
		return nil, err
	}
	if !e.Ended {
		return nil, fmt.Errorf("command: %s is %s; cancel it first", e.Where, e.State)
	}
	at, folder, _ := b.at(text)
	home := filepath.Join(folder, trainings, at.Node)
	paths, _ := filepath.Glob(home + ".attempt-*")
	paths = append(paths, home, home+".data", home+".state")
	var faults []error
	for _, p := range paths {
		if _, err := os.Lstat(p); err != nil {
			continue
		}
		if err := os.RemoveAll(p); err != nil {
			faults = append(faults, err)
			continue
		}
		removed = append(removed, p)
	}
	return removed, errors.Join(faults...)
}
