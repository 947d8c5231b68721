package cmd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/lineage/popgen"
	"github.com/urfave/cli/v2"
)

func (p *program) agree() *cli.Command {
	return &cli.Command{
		Name: "agree", Usage: "tell how far detectors, judges and people agree: Krippendorff's alpha",
		ArgsUsage: "FOLDER | FILE.jsonl…",
		Description: "Of a run: its detectors of a behaviour and whoever labelled its texts, on the labelled texts, or on all where none are labelled. " +
			"Of files: each is somebody's labels of the same rows; with --detector that detector judges them too. " +
			"The interval is a bootstrap over replicates of a run, or over the groups (ids) of files.",
		Flags: []cli.Flag{
			behaviourFlag, studyFlag,
			&cli.StringFlag{Name: "part", Usage: "only outputs, or only probes"},
			&cli.BoolFlag{Name: "all", Usage: "also texts that nobody labelled"},
			&cli.StringSliceFlag{Name: "detector", Aliases: []string{"d"}, Usage: "of files: a detector by `name`, as calibrate takes it; repeatable"},
			setFlag, experimentFlag,
			&cli.StringSliceFlag{Name: "field", Usage: "of files: text=`key` of the text in a row"},
			&cli.StringFlag{Name: "label", Usage: "of files: `key` of the label; label where it is not given"},
			&cli.StringFlag{Name: "positive", Usage: "of files: the label `value` that means yes"},
			&cli.IntFlag{Name: "draws", Value: 2000, Usage: "bootstrap `draws`"},
			jsonFlag,
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usage("agree takes the folder of a run, or files of labelled rows")
			}
			if c.Int("draws") < 100 {
				return usage("--draws: %d is less than 100", c.Int("draws"))
			}
			var table *ratings
			info, err := os.Stat(c.Args().First())
			switch {
			case err != nil:
				return err
			case info.IsDir() && c.NArg() == 1:
				table, err = runRatings(c)
			case info.IsDir():
				return usage("agree takes one folder, or files; it was given %d arguments", c.NArg())
			default:
				table, err = p.fileRatings(c)
			}
			if err != nil {
				return err
			}
			return p.showAgreement(c, table)
		},
	}
}

// pairing is how two raters agree, or all of them.
type pairing struct {
	Raters  []string `json:"raters"`
	Items   int      `json:"items"` // that at least two of them rated
	Both    int      `json:"both_present"`
	First   int      `json:"only_first"`
	Second  int      `json:"only_second"`
	Neither int      `json:"both_absent"`
	Alpha   *float64 `json:"alpha"`
	Lo      *float64 `json:"alpha_lo"`
	Hi      *float64 `json:"alpha_hi"`
	Groups  int      `json:"groups"`
	Warning string   `json:"warning,omitempty"`
}

func (t *ratings) pair(draws int, at ...int) pairing {
	var said [][]float64
	out := pairing{}
	for _, i := range at {
		said = append(said, t.said[i])
		out.Raters = append(out.Raters, t.raters[i])
	}
	for item := range t.cluster {
		rated := 0
		for _, row := range said {
			if !math.IsNaN(row[item]) {
				rated++
			}
		}
		if rated < 2 {
			continue
		}
		out.Items++
		if len(said) == 2 {
			*map[[2]float64]*int{{1, 1}: &out.Both, {1, 0}: &out.First, {0, 1}: &out.Second, {0, 0}: &out.Neither}[[2]float64{said[0][item], said[1][item]}]++
		}
	}
	in := popgen.AlphaInterval(said, popgen.Nominal, t.cluster, draws, rand.New(rand.NewPCG(1, 0x616c706861)))
	out.Alpha, out.Lo, out.Hi, out.Groups, out.Warning = known(in.Mean), known(in.Lo), known(in.Hi), in.N, in.Warn
	return out
}

func (p *program) showAgreement(c *cli.Context, t *ratings) error {
	if len(t.raters) < 2 {
		return usage("agreement needs two raters, and there is %d (%s): add labels with heirloom detector label, or a detector with heirloom score", len(t.raters), strings.Join(t.raters, ", "))
	}
	everyone := make([]int, len(t.raters))
	for i := range everyone {
		everyone[i] = i
	}
	all := t.pair(c.Int("draws"), everyone...)
	var pairs []pairing
	for i := range t.raters {
		for j := i + 1; j < len(t.raters); j++ {
			pairs = append(pairs, t.pair(c.Int("draws"), i, j))
		}
	}
	if c.Bool("json") {
		p.emit(map[string]any{"all": all, "pairs": pairs, "notes": t.notes})
		return nil
	}
	fmt.Fprintf(p.out, "%d %s by %d raters: %s\n", all.Items, t.what, len(t.raters), all.alpha(t.of))
	for _, note := range t.notes {
		fmt.Fprintln(p.out, note)
	}
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "first\tsecond\titems\tboth\tonly first\tonly second\tneither\tagree\talpha")
	for _, q := range pairs {
		agree := "–"
		if q.Items > 0 {
			agree = fmt.Sprintf("%.1f %%", 100*float64(q.Both+q.Neither)/float64(q.Items))
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", q.Raters[0], q.Raters[1], q.Items, q.Both, q.First, q.Second, q.Neither, agree, q.alpha(t.of))
	}
	return w.Flush()
}

// alpha is Krippendorff's with its interval, or why there is none.
func (q pairing) alpha(of string) string {
	text := "alpha –"
	if q.Alpha != nil {
		text = fmt.Sprintf("alpha %.3f", *q.Alpha)
	}
	if q.Lo != nil {
		text += fmt.Sprintf(" [%.3f, %.3f] over %d %s", *q.Lo, *q.Hi, q.Groups, of)
	}
	if q.Warning != "" {
		text += " (" + q.Warning + ")"
	}
	return text
}
