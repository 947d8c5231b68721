package cmd

import (
	"fmt"
	"io"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"
)

// progress shows a run: a bar on a terminal, a line a generation elsewhere, or
// one JSON event a line.
type progress struct {
	*program
	json, quiet bool
	bar         *progressbar.ProgressBar
	last        sim.Event
}

func (p *program) progress(c *cli.Context) *progress {
	return &progress{program: p, json: c.Bool("json"), quiet: c.Bool("quiet")}
}

func (s *progress) event(e sim.Event) {
	if e.Err == nil && e.Kind != "training" {
		s.last = e
	}
	switch {
	case s.json:
		out := jsonEvent{Event: e.Kind, Node: string(e.Node), Line: e.Line, Done: e.Done, Total: e.Total, Reused: e.Reused}
		if e.Node != "" {
			out.Replicate = &e.Replicate
		}
		if e.Node != "" || e.Kind == "generation" {
			out.Generation = &e.Generation
		}
		if e.Err != nil {
			out.Error = e.Err.Error()
		}
		s.emit(out)
	case s.quiet:
	case e.Err != nil:
		s.end()
		fmt.Fprintf(s.err, "%s: %v\n", e.Kind, e.Err)
	case s.width > 0:
		s.draw(e)
	case e.Kind == "training":
		fmt.Fprintf(s.err, "%s replicate %d generation %d: trained %d %%\n", e.Line, e.Replicate, e.Generation, 100*e.Done/max(e.Total, 1))
	case e.Kind == "start":
		fmt.Fprintf(s.err, "%d models to have, %d of them exist\n", e.Total, e.Reused)
	case e.Kind == "generation" && e.Generation < 0:
		fmt.Fprintf(s.err, "foundations: %d of %d models%s\n", e.Done, e.Total, soFar(e))
	case e.Kind == "generation":
		fmt.Fprintf(s.err, "generation %d: %d of %d models%s\n", e.Generation, e.Done, e.Total, soFar(e))
	}
}

// soFar tells what was spent, "" where nothing was.
func soFar(e sim.Event) string {
	if e.Spent == 0 {
		return ""
	}
	return fmt.Sprintf(", %v spent", e.Spent)
}

func (s *progress) draw(e sim.Event) {
	if e.Kind == "training" {
		if s.bar != nil {
			s.bar.Describe(fmt.Sprintf("generation %d, a training at %d %%", e.Generation, 100*e.Done/max(e.Total, 1)))
		}
		return
	}
	if s.bar == nil {
		s.bar = progressbar.NewOptions(e.Total,
			progressbar.OptionSetWriter(s.terminal),
			progressbar.OptionSetWidth(max(10, min(40, s.width-50))),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionShowElapsedTimeOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetDescription("models"))
	}
	if e.Kind == "node" {
		s.bar.Describe(fmt.Sprintf("generation %d", e.Generation))
		s.bar.Set(e.Done)
	}
}

func (s *progress) end() {
	if s.bar != nil {
		s.bar.Clear()
		s.bar = nil
	}
}

func (s *progress) finished(where folder, study *sim.Study, ledger lineage.Ledger, took time.Duration) error {
	cost, err := sim.Spent(ledger)
	if err != nil {
		return err
	}
	if s.json && cost != (sim.Spending{}) {
		s.emit(jsonEvent{Event: "spent", Done: s.last.Done, Total: s.last.Total, Reused: s.last.Reused, Spending: &cost})
	}
	if s.json || s.quiet {
		return nil
	}
	fmt.Fprintf(s.out, "%s: %d models, %d made now in %s; the ledger is %s\n",
		study.Record.Name, s.last.Total, s.last.Done-s.last.Reused, took.Round(100*time.Millisecond), where.ledger())
	fmt.Fprint(s.out, spent(ledger))
	return nil
}

func (s *progress) reported(path, title string) {
	if s.json {
		s.emit(jsonEvent{Event: "report", Done: s.last.Done, Total: s.last.Total, Reused: s.last.Reused, Report: path, Finding: title})
		return
	}
	fmt.Fprintf(s.out, "%s\nreport: %s\n", title, path)
}

// data is stdout for JSON: what cannot be printed is escaped as JSON escapes it.
func (p *program) data() io.Writer { return escaping{p.out.(printable).Writer} }
