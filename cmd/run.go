package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) run() *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "run an experiment, or go on with one that was stopped, and write its report",
		ArgsUsage: "FILE|SCENARIO",
		Description: "What exists in the run's folder is used and not made again: an interrupted run goes on, " +
			"a longer one continues a shorter one, and a changed setting remakes only what descends from it.",
		Flags: []cli.Flag{
			setFlag, outFlag,
			&cli.IntFlag{Name: "workers", Aliases: []string{"j"}, DefaultText: "one more than there are cores", Usage: "how many models are made at once; results do not depend on it"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON event a line on stdout, and nothing else there"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress"},
			&cli.BoolFlag{Name: "no-report", Usage: "leave the report out; heirloom report writes it later"},
			maxCostFlag, allowUnpricedFlag, yesFlag, dryRunFlag,
		},
		Action: p.runAction,
	}
}

func (p *program) runAction(c *cli.Context) error {
	workers, err := workers(c)
	if err != nil {
		return err
	}
	budget, err := budget(c)
	if err != nil {
		return err
	}
	f, err := p.experiment(c)
	if err != nil {
		return err
	}
	f.Means = p.means()
	where := runFolder(c, f)
	dry, err := p.dryRun(c, f, where)
	if err != nil {
		return err
	}
	defer dry.close()
	study, err := sim.Compile(f)
	if err != nil {
		return err
	}
	defer study.Close()
	ledger, err := where.open(study, again(c, where))
	if err != nil {
		return err
	}
	defer ledger.Close()
	if dry == nil {
		if err := p.agreed(c, study, ledger, budget); err != nil {
			return err
		}
	}
	tune()
	show := p.progress(c)
	runner := &sim.Runner{
		Study: study, Ledger: ledger, Workers: workers, Cores: runtime.NumCPU(), Report: show.event,
		Folder: string(where), Budget: budget,
	}
	started := time.Now()
	err = runner.Run(c.Context)
	show.end()
	var short *sim.Incomplete
	if err != nil && !errors.As(err, &short) {
		return p.stopped(c, where, study, ledger, err)
	}
	if err := show.finished(where, study, ledger, time.Since(started)); err != nil {
		return err
	}
	dry.account(show, ledger)
	if !c.Bool("no-report") {
		path := where.report()
		title, err := writeReport(ledger, study.Record, path, again(c, where))
		if err != nil {
			return fmt.Errorf("the run is over, but its report could not be written: %w", err)
		}
		show.reported(path, title)
	}
	if short != nil {
		return incomplete(c, where, short, leftRunning(where, study.Record, ledger))
	}
	return nil
}

// workers is one more than there are cores unless it is given, so that a core
// has work while a model waits for the ledger.
func workers(c *cli.Context) (int, error) {
	if !c.IsSet("workers") {
		return runtime.NumCPU() + 1, nil
	}
	if n := c.Int("workers"); n >= 1 {
		return n, nil
	}
	return 0, usage("--workers: %d is less than 1", c.Int("workers"))
}

// tune fits the Go runtime to a run. One more thread than cores, so that readers
// of the running ledger are answered between the time slices of training. The
// live heap is some ten megabytes, around which the collector would run without
// end: it may grow fivefold, while the whole stays below half a gigabyte.
func tune() {
	runtime.GOMAXPROCS(runtime.NumCPU() + 1)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(512 << 20)
	}
}

// open makes the folder of a run, notes which study it is at, and opens its ledger.
func (f folder) open(study *sim.Study, command string) (*store.Store, error) {
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return nil, err
	}
	ledger, err := store.Create(f.ledger(), store.Options{})
	if err != nil {
		return nil, err
	}
	for path, text := range map[string]string{f.experiment(): study.File.Text, f.current(): study.Record.Digest + "\n", filepath.Join(string(f), "command"): command + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			ledger.Close()
			return nil, err
		}
	}
	return ledger, nil
}

// stopped words the end of a run that is not complete. Nothing is lost by it.
func (p *program) stopped(c *cli.Context, where folder, study *sim.Study, ledger lineage.Ledger, err error) error {
	left := leftRunning(where, study.Record, ledger)
	switch {
	case errors.Is(err, context.Canceled):
		return fault{exitInterrupted, fmt.Errorf("interrupted; nothing is lost. Go on with:\n  %s%s", again(c, where), left)}
	case errors.Is(err, lineage.ErrBudget):
		return fault{exitBudget, fmt.Errorf("%w\n%sNothing is lost. Go on with a larger cap, such as:\n  %s%s", err, spent(ledger), larger(c, where, study, ledger), left)}
	case errors.Is(err, sim.ErrUnpriced):
		return usage("%w\nGive the prices in the settings, leave --max-cost out, or add --allow-unpriced", err)
	}
	return fmt.Errorf("%w\nWhat was finished is kept in %s. Once the cause is mended, go on with:\n  %s%s", err, where, again(c, where), left)
}

// incomplete words the end of a run that made all that it could.
func incomplete(c *cli.Context, where folder, short *sim.Incomplete, left string) error {
	text := ""
	if len(short.Failed) > 0 {
		text = "\nWhat failed is tried again by:\n  " + again(c, where)
	}
	if len(short.Blocked) > 0 {
		text += "\nWhat was blocked is an outcome and stays; docs/experiments.md tells of on_blocked"
	}
	return fault{exitIncomplete, fmt.Errorf("finished, but not everything could be made\n%w%s%s", short, text, left)}
}

// jsonEvent is one line of --json.
type jsonEvent struct {
	Event      string `json:"event"`
	Node       string `json:"node,omitempty"`
	Line       string `json:"line,omitempty"`
	Replicate  *int   `json:"replicate,omitempty"`
	Generation *int   `json:"generation,omitempty"`
	Done       int    `json:"done"`
	Total      int    `json:"total"`
	Reused     int    `json:"reused"`
	Report     string `json:"report,omitempty"`
	Finding    string `json:"finding,omitempty"`
	Error      string `json:"error,omitempty"`

	*sim.Spending
}

func (p *program) emit(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	p.data().Write(append(data, '\n'))
}
