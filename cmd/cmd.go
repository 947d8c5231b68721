// Package cmd is the command line: one file a command. It is the only package
// that knows all the others, the terminal, the clock and the environment.
//
// Results go to stdout, progress and messages to stderr. Exit codes: 0 done,
// 1 failed, 2 usage, 3 invalid experiment, 4 interrupted and resumable, 5
// stopped by budget, 6 finished with failed cells, 100 a gate failed.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInvalid     = 3
	exitInterrupted = 4
	exitBudget      = 5
	exitIncomplete  = 6
	exitGate        = 100
)

// fault is an error with its exit code.
type fault struct {
	code int
	error
}

func (f fault) Unwrap() error { return f.error }

func usage(format string, args ...any) error { return fault{exitUsage, fmt.Errorf(format, args...)} }

// Main runs the program and ends the process. The first interrupt stops cleanly;
// a second one ends at once.
func Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop()
	}()
	code := Run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run is the program without the process: arguments in, exit code out.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{out: printable{stdout}, err: printable{&inTurn{Writer: stderr}}, terminal: stderr, width: terminalWidth(stderr)}
	app := p.app()
	err := app.RunContext(ctx, reorder(app, args))
	if err == nil {
		return exitDone
	}
	code := exitFailed
	var f fault
	var invalid *sim.Invalid
	switch {
	case errors.As(err, &f):
		code = f.code
	case errors.As(err, &invalid):
		code = exitInvalid
	case errors.Is(err, context.Canceled):
		code = exitInterrupted
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(p.err, "heirloom: "+text)
	}
	return code
}

// program is what the commands share.
type program struct {
	out, err io.Writer
	terminal io.Writer         // stderr as it is, for progress bars
	width    int               // of the terminal, 0 where stderr is none
	keys     map[string]string // the variable that holds the key to each server that detectors ask
}

func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("CI") != "" || os.Getenv("TERM") == "dumb" {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	if width == 0 { // a terminal that does not tell its size
		return 80
	}
	return width
}

func (p *program) app() *cli.App {
	app := &cli.App{
		Name:                      "heirloom",
		Usage:                     "simulate how behaviours spread across generations of language models",
		Version:                   version(),
		HideVersion:               true,
		Writer:                    p.out,
		ErrWriter:                 p.err,
		EnableBashCompletion:      true,
		UseShortOptionHandling:    true,
		DisableSliceFlagSeparator: true, // a list in --set has commas
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return fault{exitUsage, err} },
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("there is no command %q; heirloom --help lists them", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			p.init(), p.plan(), p.run(), p.status(), p.report(),
			p.doctor(), p.jobs(), p.cancel(), p.cleanup(),
			p.detect(), p.survey(), p.detector(), p.score(), p.behaviours(),
			p.serve(), p.list(), p.schema(), p.verify(), p.version(), p.completion(),
		},
	}
	strict(app.Commands, app.OnUsageError)
	return app
}

// inTurn is a writer that detectors may write to from goroutines of their own.
type inTurn struct {
	mu sync.Mutex
	io.Writer
}

func (w *inTurn) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Writer.Write(b)
}

// strict has commands of every depth answer a wrong flag alike.
func strict(commands []*cli.Command, answer cli.OnUsageErrorFunc) {
	for _, c := range commands {
		c.OnUsageError = answer
		c.UseShortOptionHandling = true
		strict(c.Subcommands, answer)
	}
}

// printable passes text on with control characters made visible, so that
// neither a model's text nor a file's name can steer the terminal.
type printable struct{ io.Writer }

func (w printable) Write(b []byte) (int, error) { return shown(w.Writer, b, "<U+%04X>") }

// escaping does the same for JSON, where the escape is JSON's own.
type escaping struct{ io.Writer }

func (w escaping) Write(b []byte) (int, error) { return shown(w.Writer, b, `\u%04x`) }

func shown(w io.Writer, b []byte, escape string) (int, error) {
	var out strings.Builder
	for _, r := range string(b) {
		if steers(r) {
			fmt.Fprintf(&out, escape, r)
		} else {
			out.WriteRune(r)
		}
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// steers tells whether a character moves the cursor, hides or turns text around.
func steers(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x200b && r <= 0x200f, r == 0x2028, r == 0x2029,
		r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x2069, r == 0xfeff:
		return true
	}
	return false
}
