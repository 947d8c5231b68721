package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors/protocol"
	"github.com/urfave/cli/v2"
)

// helperName is the name under which detectors in Python import the helper.
const helperName = "heirloom_detector.py"

var detectorName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*\.py$`)

func (p *program) detectorInit() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "write a detector in Python to start from, and beside it the file that speaks the protocol for it",
		ArgsUsage: "FILE.py",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "force", Usage: "replace both files where they exist"}},
		Action: func(c *cli.Context) error {
			path, err := only(c, "the file to write, such as mine.py")
			if err != nil {
				return err
			}
			dir, base := filepath.Split(path)
			if !detectorName.MatchString(base) || base == helperName {
				return usage("%s: a detector in Python needs a name of letters, digits, - and _ that ends in .py, such as mine.py", path)
			}
			helper := filepath.Join(dir, helperName)
			if err := p.writeHelper(helper, c.Bool("force")); err != nil {
				return err
			}
			if err := create(path, protocol.Template(strings.TrimSuffix(base, ".py")), c.Bool("force")); err != nil {
				return err
			}
			fmt.Fprintf(p.out, "%s is written; %s beside it speaks the protocol\nEdit it, then try it out:  heirloom detector test %s\nRun it:                    heirloom detect transcripts.jsonl -d command --set 'command=[python3, %s]'\n",
				path, helperName, quoted(path), path)
			return nil
		},
	}
}

// writeHelper leaves a helper that is there already as it is, unless it is
// another one.
func (p *program) writeHelper(path string, replace bool) error {
	have, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(have, protocol.Helper):
		return nil
	case err == nil && !replace:
		return usage("%s exists and is not that of this version; --force replaces it", path)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	return create(path, protocol.Helper, replace)
}
