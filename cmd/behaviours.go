package cmd

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"github.com/urfave/cli/v2"
)

func (p *program) behaviours() *cli.Command {
	return &cli.Command{
		Name: "behaviours", Usage: "show the behaviours of the catalogue, or all of one: what it is, its texts, how good its detectors are",
		ArgsUsage: "[NAME|FOLDER]",
		Description: "With the folder of a behaviour of your own, everything that is wrong with it is told with file and line. " +
			"Measuring its detectors on labelled.jsonl takes a few seconds. With --measure the answer is a table of the detectors, " +
			"of all behaviours or of one: how good they are, and whether rates can be corrected for their errors.",
		Flags: []cli.Flag{jsonFlag, &cli.BoolFlag{Name: "measure", Usage: "measure all detectors, on what labelled.jsonl knows"}},
		Action: func(c *cli.Context) error {
			names := c.Args().Slice()
			switch {
			case len(names) > 1:
				return usage("behaviours takes one name or folder; it was given %d arguments", len(names))
			case c.Bool("measure") && len(names) == 0:
				return p.measuredTable(c, catalogue.Behaviours())
			case c.Bool("measure"):
				return p.measuredTable(c, names)
			case len(names) == 1:
				return p.behaviourPage(c, names[0])
			}
			return p.behaviourTable(c)
		},
	}
}

// briefly is a line of the table.
type briefly struct {
	Name      string         `json:"name"`
	Title     string         `json:"title"`
	Rows      map[string]int `json:"rows"`
	Detectors []string       `json:"detectors"`
	Server    bool           `json:"server"`
}

var textFiles = []string{"seeds", "neutral", "probes", "labelled"}

func (p *program) behaviourTable(c *cli.Context) error {
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	var all []briefly
	fmt.Fprintln(w, "name\ttitle\tseeds\tneutral\tprobes\tlabelled\tdetectors\tneeds a server")
	for _, name := range catalogue.Behaviours() {
		k, err := sim.OpenKit(name)
		if err != nil {
			return err
		}
		b := briefly{Name: name, Title: k.Title, Rows: rowCounts(k), Detectors: k.Detectors}
		for _, d := range k.Instrumented() {
			b.Server = b.Server || d.Server
		}
		all = append(all, b)
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", name, oneLine(k.Title), b.Rows["seeds"], b.Rows["neutral"], b.Rows["probes"], b.Rows["labelled"],
			strings.Join(k.Detectors, ", "), yesNo(b.Server))
	}
	if c.Bool("json") {
		p.emit(all)
		return nil
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(p.out, "\nheirloom behaviours NAME shows all of one; heirloom behaviours FOLDER checks one of your own. Not every detector is\n"+
		"good enough to correct rates for its errors: heirloom behaviours --measure tells how good each is.")
	return nil
}

func rowCounts(k *sim.Kit) map[string]int {
	counts := map[string]int{}
	for _, file := range textFiles {
		counts[file] = len(k.Texts[file])
	}
	return counts
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// oneLine keeps text from breaking a table.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// quality is a detector with what labelled rows show of it.
type quality struct {
	Name        string               `json:"name"`
	Kind        string               `json:"kind"`
	Settings    map[string]any       `json:"settings,omitempty"`
	Digest      string               `json:"digest,omitempty"`
	Server      bool                 `json:"server"`
	Calibration *lineage.Calibration `json:"calibration,omitempty"`
	All         *lineage.Confusion   `json:"all,omitempty"`
	Unknown     string               `json:"unknown,omitempty"` // why it is not measured
	Trained     string               `json:"trained,omitempty"` // how it does on what it learned from, cross-validated
}

// qualities opens and measures the detectors of a behaviour. Those that need a server
// are not asked.
func qualities(c *cli.Context, k *sim.Kit) ([]quality, error) {
	truth, err := k.Truth()
	if err != nil {
		return nil, err
	}
	opened, closeAll := k.Open(sim.Means{})
	defer closeAll()
	var all []quality
	for _, o := range opened {
		q := quality{Name: o.Name, Kind: o.Kind, Settings: o.Settings(), Server: o.Server}
		switch {
		case o.Server:
			q.Unknown = "it needs a server and is not asked here; heirloom detector calibrate measures it"
		case o.Err != nil:
			q.Unknown = "it cannot be opened: " + o.Err.Error()
		case truth == nil:
			q.Digest, q.Unknown = o.Detector.Digest, "there is no labelled.jsonl to measure it on"
		default:
			got, over, err := truth.Measure(c.Context, k.Name, o.Detector)
			if err != nil {
				return nil, err
			}
			q.Digest, q.Calibration, q.All = o.Detector.Digest, &got, &over
		}
		if o.Err == nil {
			if own, ok := o.Detector.Detector.(detectors.Qualified); ok {
				v := own.Quality()
				q.Trained = fmt.Sprintf("n = %d, %d positive, AUC %.3f, sensitivity %.3f, specificity %.3f (%s)", v.N, v.Positives, v.AUC, v.Sensitivity, v.Specificity, v.Method)
			}
		}
		all = append(all, q)
	}
	return all, nil
}

func (p *program) behaviourPage(c *cli.Context, name string) error {
	k, err := sim.OpenKit(name)
	if err != nil {
		if k == nil {
			return usage("%w", err)
		}
		return err
	}
	measured, err := qualities(c, k)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		p.emit(map[string]any{
			"name": k.Name, "folder": k.Folder, "title": k.Title, "about": k.About, "reported": reported(k), "rubric": k.Rubric,
			"rows": rowCounts(k), "seed": sample(k, "seeds"), "neutral": sample(k, "neutral"), "probes": probes(k),
			"detectors": measured, "experiment": snippet(k), "advice": k.Advice(),
		})
	} else if err := p.writeBehaviour(k, measured); err != nil {
		return err
	}
	if i := slices.IndexFunc(measured, func(q quality) bool { return strings.HasPrefix(q.Unknown, "it cannot be opened") }); i >= 0 && k.Folder != "" {
		return fault{exitInvalid, fmt.Errorf("%s: detector %s: %s", name, measured[i].Name, measured[i].Unknown)}
	}
	return nil
}
