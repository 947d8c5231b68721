package protocol

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
)

// Command is a detector that is a program: a process that lives as long as it is
// needed. It runs in the folder of the experiment, with the environment of this
// process.
type Command struct {
	Command []string `yaml:"command" doc:"program and arguments, such as [python3, mine.py]; relative to the experiment file"`
	Asking
}

// Open starts the program and waits until it is ready.
func (c Command) Open(env detectors.Env) (*Detector, error) {
	open, j, err := c.opener(env)
	if err != nil {
		return nil, err
	}
	material, err := c.material(env.Dir)
	if err != nil {
		return nil, err
	}
	d, err := newDetector("command", c.Asking, j, open, material)
	if err != nil {
		return nil, fmt.Errorf("command %s: %w", c, err)
	}
	return d, nil
}

func (c Command) String() string { return strings.Join(c.Command, " ") }

func (c Command) opener(env detectors.Env) (opener, *journal, error) {
	argv, err := c.argv(env.Dir)
	if err := errors.Join(c.check("command"), err); err != nil {
		return nil, nil, err
	}
	j := &journal{who: c.String() + ": ", tell: env.Log}
	return func(ctx context.Context) (link, Ready, error) {
		child, err := spawn(argv, env.Dir, seconds(c.Timeout), j)
		if err != nil {
			return nil, Ready{}, fatal{fmt.Errorf("cannot be started: %w", err)}
		}
		ready, err := child.greet(ctx, greeting(c.Config), seconds(c.Start))
		if err != nil {
			child.end(0)
			return nil, ready, err
		}
		return child, ready, nil
	}, j, nil
}

// argv is the command with its program found: in the folder of the experiment
// where it has a slash or is no program of the search path.
func (c Command) argv(dir string) ([]string, error) {
	if len(c.Command) == 0 || c.Command[0] == "" {
		return nil, errors.New("command.command: is not given; write command: [python3, mine.py]")
	}
	argv := append([]string(nil), c.Command...)
	for _, a := range argv {
		if strings.ContainsRune(a, 0) {
			return nil, errors.New("command.command: an argument holds a NUL character")
		}
	}
	name := argv[0]
	_, err := exec.LookPath(name)
	if beside := filepath.Join(dir, name); !strings.ContainsRune(name, filepath.Separator) && err != nil {
		if _, there := os.Stat(beside); there != nil {
			return nil, fmt.Errorf("command.command: there is no program %q in the search path, and no such file in %s", name, here(dir))
		}
		name = "." + string(filepath.Separator) + name
	}
	if strings.ContainsRune(name, filepath.Separator) {
		argv[0] = name
		return argv, startable(name, dir)
	}
	return argv, nil
}

func here(dir string) string {
	if dir == "" || dir == "." {
		return "this folder"
	}
	return dir
}

func startable(name, dir string) error {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("command.command: %w", err)
	case info.IsDir():
		return fmt.Errorf("command.command: %s is a folder, not a program", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("command.command: %s is not executable; name its interpreter, as in [python3, %s], or make it executable", path, name)
	}
	return nil
}

// material is what the program is made of: its arguments and the content of the
// files that they name. An absolute program, such as an interpreter, is known by
// its name alone: an update of it is no other detector.
func (c Command) material(dir string) ([]string, error) {
	parts := []string{fmt.Sprint(len(c.Command))}
	for i, a := range c.Command {
		parts = append(parts, a)
		if i == 0 && filepath.IsAbs(a) {
			continue
		}
		if content, ok, err := contentOf(dir, a); err != nil {
			return nil, fmt.Errorf("command.command: %w", err)
		} else if ok {
			parts = append(parts, content)
		}
	}
	more, err := c.contents("command", dir)
	return append(parts, more...), err
}
