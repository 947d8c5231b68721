package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

func (p *program) score() *cli.Command {
	return &cli.Command{
		Name: "score", Usage: "score what the models of a run wrote by another detector; trains and samples nothing",
		ArgsUsage: "FOLDER",
		Description: "The detector is a kind with --set for its settings, one that a behaviour of the catalogue brings, or with --experiment one of that file. " +
			"What is scored already stays: stopped, the same command goes on. The run then has another study, with the detector after those that the behaviour had, and its report shows both. " +
			"A detector that asks a server says first how many requests that takes.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "detector", Aliases: []string{"d"}, Usage: "`name` of the detector"},
			&cli.StringFlag{Name: "name", Usage: "`name` that it gets in the study, where that of --detector is taken"},
			setFlag, experimentFlag, behaviourFlag, studyFlag,
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask before requests to a server"},
			&cli.IntFlag{Name: "workers", Aliases: []string{"j"}, DefaultText: "one more than there are cores", Usage: "how many models are scored at once; results do not depend on it"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress"},
			&cli.BoolFlag{Name: "no-report", Usage: "leave the report as it is"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON event a line on stdout"},
		},
		Action: func(c *cli.Context) error {
			name, err := only(c, "the folder of a run")
			if err != nil {
				return err
			}
			if c.String("detector") == "" {
				return usage("score needs --detector NAME; heirloom list detectors shows the kinds")
			}
			workers, err := workers(c)
			if err != nil {
				return err
			}
			ledger, study, err := folder(name).write(c.String("study"))
			if err != nil {
				return err
			}
			defer ledger.Close()
			return p.rescore(c, folder(name), ledger, study, workers)
		},
	}
}

func (p *program) rescore(c *cli.Context, where folder, ledger *store.Store, study lineage.Study, workers int) error {
	of, err := behaviour(c, study)
	if err != nil {
		return err
	}
	d, err := openDetector(c, c.String("detector"), p.recording(ledger))
	if err != nil {
		return err
	}
	defer d.Close()
	if name := c.String("name"); name != "" {
		d.Name = name
	}
	with, err := sim.WithDetector(study, of, d)
	if err != nil {
		return usage("--detector %s: %w, such as --name %s-2", d.Name, err, d.Name)
	}
	job := &sim.Scoring{Ledger: ledger, Study: with, Detector: d, Workers: workers}
	work, err := job.Work()
	if err != nil {
		return err
	}
	if err := p.agreeToPrice(c, d, work); err != nil {
		return err
	}
	if work.Texts > 0 {
		if err := p.runScoring(c, job, work); err != nil {
			return err
		}
	}
	if err := p.calibrateScored(c.Context, ledger, of, d); err != nil {
		return err
	}
	if err := ledger.Save(lineage.StudyKey(with.Digest), with); err != nil {
		return err
	}
	if err := ledger.Sync(); err != nil {
		return err
	}
	if err := os.WriteFile(where.current(), []byte(with.Digest+"\n"), 0o644); err != nil {
		return err
	}
	return p.scored(c, where, ledger, study, with, of, d)
}

// agreeToPrice says what is to be done, and asks where it costs requests.
func (p *program) agreeToPrice(c *cli.Context, d *sim.Detector, w sim.Work) error {
	if c.Bool("json") {
		p.emit(map[string]any{"event": "work", "detector": d.Name, "models": w.Models, "absent": w.Absent, "texts": w.Texts,
			"scored": w.Scored, "ask": w.Ask, "requests": w.Requests})
	} else {
		fmt.Fprintf(p.err, "%d models: %d texts to score by %s, %d of them distinct in their model; %d texts are scored already\n", w.Models, w.Texts, d.Name, w.Ask, w.Scored)
		if w.Absent > 0 {
			fmt.Fprintf(p.err, "%d models of the study do not exist yet; score again when the run is complete\n", w.Absent)
		}
	}
	if !d.Server || w.Ask == 0 {
		return nil
	}
	if !c.Bool("json") {
		fmt.Fprintf(p.err, "that is up to %d requests to its server, less those whose answers are recorded\n", w.Requests)
	}
	if c.Bool("yes") {
		return nil
	}
	return p.consent(c, fmt.Sprintf("score would send up to %d requests; add --yes to go on without being asked", w.Requests),
		"nothing was asked of the server, and nothing was scored")
}

// consent asks on a terminal whether to go on. Elsewhere nobody can answer.
func (p *program) consent(c *cli.Context, alone, declined string) error {
	if p.width == 0 || !term.IsTerminal(int(os.Stdin.Fd())) {
		return usage("%s", alone)
	}
	fmt.Fprint(p.err, "go on? [y/N] ")
	answer := make(chan string, 1)
	go func() { // a read cannot be interrupted; the process ends with it pending
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-c.Context.Done():
		return fault{exitInterrupted, errors.New("interrupted; " + declined)}
	case line := <-answer:
		if line != "y" && line != "yes" {
			return usage("%s", declined)
		}
		return nil
	}
}

// runScoring scores with progress: a bar on a terminal, tenths elsewhere.
func (p *program) runScoring(c *cli.Context, job *sim.Scoring, work sim.Work) error {
	var bar *progressbar.ProgressBar
	if p.width > 0 && !c.Bool("quiet") && !c.Bool("json") {
		bar = progressbar.NewOptions(work.Models,
			progressbar.OptionSetWriter(p.terminal), progressbar.OptionSetWidth(max(10, min(40, p.width-50))),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("models scored"))
	}
	tenth := 0
	job.Report = func(done, total int) {
		switch now := 10 * done / total; {
		case c.Bool("json"):
			p.emit(jsonEvent{Event: "model", Done: done, Total: total})
		case c.Bool("quiet"):
		case bar != nil:
			bar.Set(done)
		case now > tenth:
			tenth = now
			fmt.Fprintf(p.err, "%d of %d models scored\n", done, total)
		}
	}
	err := job.Run(c.Context)
	if bar != nil {
		bar.Clear()
	}
	if errors.Is(err, context.Canceled) {
		return fault{exitInterrupted, fmt.Errorf("interrupted; what is scored is kept. Go on with:\n  %s", scoreAgain(c))}
	}
	if err != nil {
		return fmt.Errorf("%w\nWhat is scored is kept. Once the cause is mended, go on with:\n  %s", err, scoreAgain(c))
	}
	return nil
}

// scoreAgain is the command that goes on.
func scoreAgain(c *cli.Context) string {
	command := "heirloom score " + quoted(c.Args().First())
	for _, flag := range []string{"detector", "name", "experiment", "behaviour", "study"} {
		if v := c.String(flag); v != "" {
			command += " --" + flag + " " + quoted(v)
		}
	}
	for _, s := range c.StringSlice("set") {
		command += " --set " + quoted(s)
	}
	if c.Bool("yes") {
		command += " --yes"
	}
	return command
}

// calibrateScored measures the detector where the catalogue has labelled rows of the
// behaviour, as a run would have done.
func (p *program) calibrateScored(ctx context.Context, ledger lineage.Ledger, behaviour string, d *sim.Detector) error {
	truth, err := truthOf(behaviour)
	if err != nil || truth == nil {
		return err
	}
	if done, err := ledger.Load(lineage.CalibrationKey(behaviour, d.Digest, truth.Digest), new(lineage.Raw)); err != nil || done {
		return err
	}
	got, err := truth.Calibrate(ctx, behaviour, d)
	if err != nil {
		return err
	}
	return keepCalibration(ledger, got)
}

func (p *program) scored(c *cli.Context, where folder, ledger lineage.Ledger, before, with lineage.Study, behaviour string, d *sim.Detector) error {
	title := ""
	if !c.Bool("no-report") {
		var err error
		if title, err = writeReport(ledger, with, where.report(), where.command()); err != nil {
			return fmt.Errorf("everything is scored, but the report could not be written: %w", err)
		}
	}
	if c.Bool("json") {
		p.emit(map[string]any{"event": "done", "study": with.Digest, "report": where.report(), "finding": title})
		return nil
	}
	fmt.Fprintf(p.out, "study %.12s: %s is also judged by %s\n", with.Digest, behaviour, d.Name)
	if before.Digest != with.Digest {
		fmt.Fprintf(p.out, "study %.12s, without it, is still there: heirloom report %s --study %.12s\n", before.Digest, quoted(string(where)), before.Digest)
	}
	if !c.Bool("no-report") {
		fmt.Fprintf(p.out, "%s\nreport: %s\n", title, where.report())
	}
	return nil
}
