package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// remoteID is the file of a state folder in which a trainer may keep the name of
// work that it has running elsewhere: a job of a scheduler or of a provider.
const remoteID = "remote_id"

// Errand reads the handle of a trainer.
func (b *Backend) Errand(text string) (lineage.Errand, error) {
	h, err := parseHandle(text)
	if err != nil {
		return lineage.Errand{}, err
	}
	return lineage.Errand{
		Kind: "process", Where: h.Host + ":" + filepath.Join(trainings, h.Node+".attempt-"+strconv.Itoa(h.Attempt)),
		ID: strconv.Itoa(h.PID), State: "begun " + h.Begun.Format("2006-01-02 15:04:05 UTC"),
	}, nil
}

// Look tells how a trainer stands, by its folder and by the machine.
func (b *Backend) Look(_ context.Context, text string) (lineage.Errand, error) {
	e, err := b.Errand(text)
	if err != nil {
		return e, err
	}
	if err := b.entered(); err != nil {
		return e, err
	}
	h, _ := parseHandle(text)
	at := attempt{h, attemptFolder(b.world.Folder, h.Node, h.Attempt)}
	if id := b.elsewhere(h.Node); id != "" {
		e.ID += " (" + id + ")"
	}
	here, _ := os.Hostname()
	_, gone := os.Stat(at.dir)
	why, failed := at.failed()
	code, ended := at.status()
	switch {
	case failed:
		e.State, e.Ended = "failed: "+line(why, 120), true
	case gone != nil:
		e.State, e.Ended = "gone", true
		if data, err := os.ReadFile(filepath.Join(b.world.Folder, trainings, h.Node, artifactFile)); err == nil {
			if a, err := parseArtifact(data); err == nil {
				e.State, e.Model, e.Cost = "finished", or(a.Model, a.name()), dollars(a.Cost)
			}
		}
	case ended:
		e.State, e.Ended = fmt.Sprintf("ended with exit status %d", code), true
	case h.Host != here:
		e.State = "on another machine: whether it runs cannot be told here"
	case at.alive():
		e.State = "running"
	default:
		e.State, e.Ended = "killed", true
	}
	return e, nil
}

// elsewhere is the name of the work that a trainer has running elsewhere.
func (b *Backend) elsewhere(node string) string {
	paths, _ := filepath.Glob(filepath.Join(b.world.Folder, trainings, node+".state", "*", remoteID))
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
	h, err := parseHandle(text)
	if err != nil {
		return err
	}
	if err := b.entered(); err != nil {
		return err
	}
	at := attempt{h, attemptFolder(b.world.Folder, h.Node, h.Attempt)}
	if here, _ := os.Hostname(); h.Host != here && !b.ended(at) {
		return fmt.Errorf("command: the trainer was started on %s; cancel it there", line(h.Host, 80))
	}
	at.end(seconds(b.config.Train.Grace))
	if code, ended := at.status(); !ended || code != 0 {
		at.fail("it was cancelled")
	}
	id := b.elsewhere(h.Node)
	if id == "" {
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

func (b *Backend) ended(at attempt) bool {
	_, failed := at.failed()
	_, ended := at.status()
	_, gone := os.Stat(at.dir)
	return failed || ended || gone != nil
}

// Remove deletes the folders of a training: its weights, attempts, corpus and
// state. One that runs is not removed.
func (b *Backend) Remove(ctx context.Context, text string) (removed []string, err error) {
	e, err := b.Look(ctx, text)
	if err != nil {
		return nil, err
	}
	if !e.Ended {
		return nil, fmt.Errorf("command: %s is %s; cancel it first", e.Where, e.State)
	}
	h, _ := parseHandle(text)
	home := filepath.Join(b.world.Folder, trainings, h.Node)
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
		removed = append(removed, strings.TrimPrefix(p, b.world.Folder+string(filepath.Separator)))
	}
	return removed, errors.Join(faults...)
}
