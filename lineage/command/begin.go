package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

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
	switch {
	case !ended && !a.here():
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
	a.handle = handle{Node: v.Node, Folder: w.world.Folder, Attempt: v.Attempt, PID: pid, Started: started(pid), Host: host, Begun: time.Now().UTC()}
	if err := w.job.Ticket.Save(a.handle.String()); err != nil {
		abandon()
		a.fail("its handle could not be saved, so it did not begin")
		return nil, err
	}
	w.world.Log("%s: the trainer begins (process %d): %s", a.dir, pid, line(hide(strings.Join(argv, " "), w.secrets), longestLine))
	return a, begin()
}
