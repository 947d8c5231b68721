package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Files of an attempt, beside what the trainer leaves.
const (
	requestFile  = "request.json"
	resultFile   = "result.json"
	metricsFile  = "metrics.jsonl"
	stdoutFile   = "stdout.log"
	stderrFile   = "stderr.log"
	exitFile     = "heirloom.exit"   // the trainer's exit status
	failedFile   = "heirloom.failed" // why the attempt counts for nothing
	artifactFile = "heirloom.json"   // the artifact, once it is whole
)

// supervisor runs a trainer and keeps its exit status, which nobody else can
// tell once this process was killed. It begins when it is told to, after its
// handle is durable: a trainer that nobody knows of never runs. The words of the
// command are its arguments and are not read as shell.
const supervisor = `read -r go || exit 125
trap : TERM INT HUP
"$@" </dev/null
status=$?
echo "$status" >` + exitFile + `.part && mv ` + exitFile + `.part ` + exitFile + `
exit "$status"`

// handle names a trainer that runs, or ran, wherever this program is started again.
type handle struct {
	Node    string    `json:"node"`
	Folder  string    `json:"folder"` // of the run, for whoever reads the handle outside of it
	Attempt int       `json:"attempt"`
	PID     int       `json:"pid"`
	Started string    `json:"started"` // of the process, by its machine
	Host    string    `json:"host"`
	Begun   time.Time `json:"begun"`
}

func parseHandle(text string) (h handle, err error) {
	if err := json.Unmarshal([]byte(text), &h); err != nil || h.Attempt < 1 || h.PID < 1 || !filepath.IsLocal(h.Node) || strings.ContainsAny(h.Node, `/\`) {
		return h, fmt.Errorf("command: %q is not the handle of a trainer", line(text, 80))
	}
	return h, nil
}

func (h handle) String() string {
	data, _ := json.Marshal(h)
	return string(data)
}

// alive tells whether the very process runs on this machine.
func (h handle) alive() bool { return h.Started != "" && started(h.PID) == h.Started }

// here tells whether this machine began it.
func (h handle) here() bool {
	host, err := os.Hostname()
	return err == nil && h.Host == host
}

// attempt is one run of a trainer, in a folder of its own.
type attempt struct {
	handle
	dir string
}

func attemptFolder(folder, node string, n int) string {
	return filepath.Join(folder, trainings, node+".attempt-"+strconv.Itoa(n))
}

// launch starts a trainer that waits for its word; go lets it begin.
func launch(dir string, argv, env []string) (pid int, begin func() error, abandon func(), err error) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		return 0, nil, nil, fmt.Errorf("trainers are started by a POSIX shell, and there is none: %w", err)
	}
	cmd := exec.Command(shell, append([]string{"-c", supervisor, "heirloom"}, argv...)...)
	cmd.Dir, cmd.Env = dir, env
	ownGroup(cmd, true)
	var closers []io.Closer
	defer func() {
		for _, c := range closers {
			c.Close()
		}
	}()
	for name, to := range map[string]*io.Writer{stdoutFile: &cmd.Stdout, stderrFile: &cmd.Stderr} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return 0, nil, nil, err
		}
		*to = f
		closers = append(closers, f)
	}
	its, ours, err := os.Pipe()
	if err != nil {
		return 0, nil, nil, err
	}
	cmd.Stdin = its
	closers = append(closers, its)
	if err := cmd.Start(); err != nil {
		ours.Close()
		return 0, nil, nil, err
	}
	go func() {
		cmd.Wait()
		killGroup(cmd.Process.Pid) // what it left behind, at once: the number may be given to another
	}()
	return cmd.Process.Pid,
		func() error {
			defer ours.Close()
			_, err := ours.WriteString("go\n")
			return err
		},
		func() { ours.Close() }, nil
}

// status is the exit status of the trainer, where it has ended.
func (a attempt) status() (code int, ended bool) {
	data, err := os.ReadFile(filepath.Join(a.dir, exitFile))
	if err != nil {
		return 0, false
	}
	code, err = strconv.Atoi(strings.TrimSpace(string(data)))
	return code, err == nil
}

// fail marks an attempt that counts for nothing; the next training begins another.
func (a attempt) fail(why string) {
	os.WriteFile(filepath.Join(a.dir, failedFile), []byte(why+"\n"), 0o644)
}

func (a attempt) failed() (why string, failed bool) {
	data, err := os.ReadFile(filepath.Join(a.dir, failedFile))
	return strings.TrimSpace(string(data)), err == nil
}

// end asks the trainer and its children to end, and ends them after the grace.
func (a attempt) end(grace time.Duration) {
	if _, ended := a.status(); ended || !a.alive() {
		return
	}
	askGroup(a.PID)
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, ended := a.status(); ended || !a.alive() {
			return
		}
	}
	if a.alive() {
		killGroup(a.PID)
	}
	for deadline := time.Now().Add(10 * time.Second); a.alive() && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
}

// errLost is a trainer that is gone and left no exit status.
var errLost = errors.New("the trainer is gone without an exit status: it was killed, or its machine went down")

// await waits until the trainer has ended. See is called now and then, and ends
// the trainer by an error.
func (a attempt) await(ctx context.Context, timeout, grace time.Duration, see func(last bool) error) (code int, err error) {
	pause := 20 * time.Millisecond
	for {
		alive := a.alive()
		if code, ended := a.status(); ended {
			return code, see(true)
		}
		if !alive {
			return 0, errLost
		}
		if err := see(false); err != nil {
			a.end(grace)
			return 0, err
		}
		if timeout > 0 && time.Since(a.Begun) > timeout {
			a.end(grace)
			return 0, fmt.Errorf("the trainer took longer than train.timeout, %s, and was ended", timeout)
		}
		select {
		case <-ctx.Done():
			a.end(grace)
			return 0, ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		}
	}
}

// lastWords is the end of what the trainer wrote on standard error, cleaned and
// without what is secret.
func (a attempt) lastWords(secrets map[string]string) string {
	return tail(filepath.Join(a.dir, stderrFile), secrets)
}
