package command

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// loadByHook runs the hook, whose last line is the name of the model.
func (b *Backend) loadByHook(ctx context.Context, w wire, a *Artifact) (s served, err error) {
	ctx, cancel := context.WithTimeout(ctx, seconds(b.config.Serve.Start))
	defer cancel()
	vars := b.serveVariables(a)
	vars["Artifact"] = b.there(a)
	argv, err := vars.argv("serve.load", b.config.Serve.Load)
	if err != nil {
		return s, err
	}
	program(b.world.Dir, argv)
	env, secrets := childEnvironment(append(b.config.Serve.EnvPass, b.config.Serve.KeyEnv))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = b.world.Folder, append(env, vars.environment()...)
	ownGroup(cmd, false)
	cmd.Cancel = func() error { killGroup(cmd.Process.Pid); return nil }
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return s, fmt.Errorf("serve.load failed (%w): %s", err, line(hide(string(exit.Stderr), secrets), longestLine))
		}
		return s, fmt.Errorf("serve.load: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if s.model = strings.TrimSpace(lines[len(lines)-1]); s.model == "" || s.model != line(s.model, 500) {
		return s, fmt.Errorf("serve.load printed %q, and its last line has to be the name of the model", line(string(out), 80))
	}
	all, err := w.models(ctx)
	if err == nil {
		s.base, _ = b.baseAmong(all)
	}
	return s, nil
}
