package cmd

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) calibrate() *cli.Command {
	return &cli.Command{
		Name: "calibrate", Usage: "measure a detector on labelled rows: sensitivity, specificity and AUC with their intervals",
		ArgsUsage: "NAME LABELS.jsonl",
		Description: "NAME is a kind of detector, one that a behaviour of the catalogue brings, or with --experiment one of that file. " +
			"No row is judged by what the detector learned from it. Rows whose label is null are left out and counted. " +
			"With --run the result is kept in the ledger of that run, where its report finds it.",
		Flags: []cli.Flag{
			setFlag, experimentFlag,
			&cli.StringSliceFlag{Name: "field", Usage: "text=`key` of the text in a row, where it is neither text nor messages"},
			&cli.StringFlag{Name: "label", Usage: "`key` of the label, or name of a count in labels; label where it is not given"},
			&cli.StringFlag{Name: "positive", Usage: "the label `value` that means yes"},
			&cli.StringFlag{Name: "run", Usage: "keep the result in the ledger of this run's `folder`"},
			behaviourFlag, studyFlag, jsonFlag,
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return usage("calibrate takes two arguments, the name of a detector and a file of labelled rows; it was given %d", c.NArg())
			}
			fields, err := labelFields(c)
			if err != nil {
				return err
			}
			if c.String("run") == "" {
				d, err := openDetector(c, c.Args().First(), p.means())
				if err != nil {
					return err
				}
				defer d.Close()
				_, err = p.measure(c, d, fields)
				return err
			}
			return p.calibrateRun(c, fields)
		},
	}
}

func labelFields(c *cli.Context) (f detectors.Fields, err error) {
	f = detectors.Fields{Label: c.String("label"), Positive: c.String("positive")}
	for _, pair := range c.StringSlice("field") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key != "text" || value == "" {
			return f, usage("--field %s: only text=KEY is known", pair)
		}
		f.Text = value
	}
	return f, nil
}

// measure calibrates and shows the result.
func (p *program) measure(c *cli.Context, d *sim.Detector, fields detectors.Fields) (lineage.Calibration, error) {
	path := c.Args().Get(1)
	file, err := os.Open(path)
	if err != nil {
		return lineage.Calibration{}, err
	}
	defer file.Close()
	truth, err := sim.ReadTruth(file, path, fields, true)
	if err != nil {
		return lineage.Calibration{}, err
	}
	got, all, err := truth.Measure(c.Context, c.String("behaviour"), d)
	if err != nil {
		return got, err
	}
	if c.Bool("json") {
		p.emit(map[string]any{"calibration": got, "all": all, "unlabelled": truth.Unlabelled,
			"youden": known(youden(all)), "correctable": errorsOf(all).Refusal() == ""})
		return got, nil
	}
	fmt.Fprintf(p.out, "%s (%s) on %s: %s\n", d.Name, d.Digest, path, got.Method)
	if truth.Unlabelled > 0 {
		fmt.Fprintf(p.out, "%d rows have no label and are left out\n", truth.Unlabelled)
	}
	w := newQualityTable(p.out, "context")
	w.detector("", got.Contexts, all)
	if err := w.Flush(); err != nil {
		return got, err
	}
	fmt.Fprintln(p.out, correction(all))
	return got, nil
}

// calibrateRun does the same and keeps the result in a run.
func (p *program) calibrateRun(c *cli.Context, fields detectors.Fields) error {
	where := folder(c.String("run"))
	ledger, study, err := where.write(c.String("study"))
	if err != nil {
		return err
	}
	defer ledger.Close()
	of, err := behaviour(c, study)
	if err != nil {
		return err
	}
	if err := c.Set("behaviour", of); err != nil {
		return err
	}
	d, err := openDetector(c, c.Args().First(), p.recording(ledger))
	if err != nil {
		return err
	}
	defer d.Close()
	got, err := p.measure(c, d, fields)
	if err != nil {
		return err
	}
	if err := keepCalibration(ledger, got); err != nil {
		return err
	}
	if !judges(study, of, d.Digest) {
		fmt.Fprintf(p.err, "kept, but study %.12s has no scores of %s by this detector (%s): look at its settings, or score the run by it with heirloom score\n", study.Digest, of, d.Digest)
	} else if !c.Bool("json") {
		fmt.Fprintf(p.out, "kept in %s\n", where.ledger())
	}
	return ledger.Sync()
}

// keepCalibration saves a calibration. One that is there with the same counts stays,
// whatever the rows and the detector were called then.
func keepCalibration(l lineage.Ledger, c lineage.Calibration) error {
	key := lineage.CalibrationKey(c.Behaviour, c.Digest, c.Labels)
	var old lineage.Calibration
	ok, err := l.Load(key, &old)
	if err != nil {
		return err
	}
	if ok && reflect.DeepEqual(old.Contexts, c.Contexts) {
		return nil
	}
	return l.Save(key, c)
}

func judges(study lineage.Study, behaviour, digest string) bool {
	for _, b := range study.Behaviours {
		for _, name := range b.Detectors {
			for _, d := range study.Detectors {
				if b.Name == behaviour && d.Name == name && d.Digest == digest {
					return true
				}
			}
		}
	}
	return false
}
