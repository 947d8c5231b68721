package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
)

const pageWidth = 96

// page puts text together in paragraphs.
type page struct{ bytes.Buffer }

func (w *page) head(format string, args ...any) {
	fmt.Fprintf(w, "\n"+format+"\n", args...)
}

// wrapped writes text in lines of the page's width, each after the indent.
func (w *page) wrapped(indent, text string) {
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		line := indent
		for _, word := range strings.Fields(paragraph) {
			if len(line) > len(indent) && len([]rune(line))+len([]rune(word)) >= pageWidth {
				fmt.Fprintln(w, strings.TrimRight(line, " "))
				line = strings.Repeat(" ", len(indent))
			}
			line += word + " "
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

func (p *program) writeBehaviour(k *sim.Kit, measured []quality) error {
	w := &page{}
	fmt.Fprintf(w, "%s: %s\n", k.Name, oneLine(k.Title))
	if k.Folder != "" {
		fmt.Fprintf(w, "folder: %s\n", k.Folder)
	}
	if k.About != "" {
		w.head("What it is")
		w.wrapped("  ", k.About)
	}
	if len(k.Reported) > 0 {
		w.head("Where it was reported")
	}
	for _, r := range k.Reported {
		of := ""
		if len(r.Models) > 0 {
			of = " (" + strings.Join(r.Models, ", ") + ")"
		}
		w.wrapped("  - ", r.Source+of+": "+r.What)
	}
	if k.Rubric != "" {
		w.head("How a judge decides (detectors open it as %s/rubric.txt)", k.Name)
		w.wrapped("  ", k.Rubric)
	}
	w.texts(k)
	if err := w.detectors(measured); err != nil {
		return err
	}
	w.head("In an experiment")
	for line := range strings.Lines(snippet(k)) {
		fmt.Fprint(w, "  "+line)
	}
	if advice := k.Advice(); len(advice) > 0 {
		w.head("What could be better")
		for _, a := range advice {
			w.wrapped("  - ", a)
		}
	}
	_, err := p.out.Write(w.Bytes())
	return err
}

func (w *page) texts(k *sim.Kit) {
	for _, file := range []string{"seeds", "neutral"} {
		what := map[string]string{"seeds": "texts that show it", "neutral": "texts on the same topics that do not"}[file]
		if len(k.Texts[file]) == 0 {
			continue
		}
		w.head("%s.jsonl: %d %s, such as", file, len(k.Texts[file]), what)
		for _, m := range k.Texts[file][0].Messages {
			w.wrapped("  "+m.Role+": ", clipped(m.Content, 600))
		}
	}
	if all := k.Texts["probes"]; len(all) > 0 {
		w.head("probes.jsonl: %d conversations that may elicit it", len(all))
	}
	for _, g := range probes(k) {
		fmt.Fprintf(w, "  %s, %s\n", or(g.Format, "no format"), or(g.Context, "no context"))
		for _, turns := range g.Asked {
			w.wrapped("  - ", clipped(strings.Join(turns, " / "), 300))
		}
	}
}

func (w *page) detectors(measured []quality) error {
	w.head("Detectors; the first judges prevalence")
	for _, q := range measured {
		w.wrapped("  ", q.Name+": "+setting(q))
		if q.Trained != "" {
			w.wrapped("    ", "on what it learned from: "+q.Trained)
		}
		if q.Unknown != "" {
			w.wrapped("    ", q.Unknown)
			continue
		}
		w.wrapped("    ", q.Calibration.Source+": "+q.Calibration.Method)
		var table bytes.Buffer
		t := newQualityTable(&table, "context")
		t.detector("", q.Calibration.Contexts, *q.All)
		if err := t.Flush(); err != nil {
			return err
		}
		for line := range strings.Lines(table.String()) {
			fmt.Fprint(w, "    "+line)
		}
		w.wrapped("    ", correction(*q.All))
	}
	return nil
}

// setting is a detector as the experiment file writes it; long lists are cut.
func setting(q quality) string {
	text := "kind " + q.Kind
	for _, key := range slices.Sorted(maps.Keys(q.Settings)) {
		v, _ := json.Marshal(q.Settings[key])
		text += ", " + key + " " + clipped(string(v), 200)
	}
	return text
}

func clipped(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes]) + " …"
	}
	return s
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// sample is the first text of a file, nil where there is none.
func sample(k *sim.Kit, file string) []lineage.Message {
	if len(k.Texts[file]) == 0 {
		return nil
	}
	return k.Texts[file][0].Messages
}

type citation struct {
	Source string   `json:"source"`
	Models []string `json:"models,omitempty"`
	What   string   `json:"what,omitempty"`
}

func reported(k *sim.Kit) (all []citation) {
	for _, r := range k.Reported {
		all = append(all, citation(r))
	}
	return all
}

// probeGroup is the probes of one format and context, by their user turns.
type probeGroup struct {
	Format  string     `json:"format"`
	Context string     `json:"context"`
	Asked   [][]string `json:"asked"`
}

func probes(k *sim.Kit) (all []*probeGroup) {
	by := map[[2]string]*probeGroup{}
	for _, row := range k.Texts["probes"] {
		key := [2]string{row.Format, row.Context}
		if by[key] == nil {
			by[key] = &probeGroup{Format: row.Format, Context: row.Context}
			all = append(all, by[key])
		}
		var turns []string
		for _, m := range row.Messages {
			turns = append(turns, m.Content)
		}
		by[key].Asked = append(by[key].Asked, turns)
	}
	return all
}
