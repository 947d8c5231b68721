package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/reports"
	"github.com/urfave/cli/v2"
)

func (p *program) report() *cli.Command {
	return &cli.Command{
		Name: "report", Usage: "write the report of a run, finished or not, also while it goes on",
		ArgsUsage: "FOLDER",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "HTML `file`; FOLDER/report.html where it is not given, - for stdout"},
			&cli.StringFlag{Name: "csv", Usage: "also write the numbers as CSV to `file`, - for stdout"},
			&cli.StringFlag{Name: "replicates-csv", Usage: "also write every replicate as CSV to `file`, - for stdout"},
			&cli.StringFlag{Name: "json", Usage: "also write the numbers as JSON to `file`, - for stdout"},
			studyFlag,
		},
		Action: func(c *cli.Context) error {
			name, err := only(c, "the folder of a run")
			if err != nil {
				return err
			}
			where := folder(name)
			ledger, study, err := where.read(c.String("study"))
			if err != nil {
				return err
			}
			defer ledger.Close()
			findings, err := reports.Measure(ledger, study, reports.Options{})
			if err != nil {
				return err
			}
			toStdout := false
			for _, table := range []struct {
				flag  string
				write func(io.Writer) error
			}{{"csv", findings.CSV}, {"replicates-csv", findings.ReplicatesCSV}, {"json", findings.JSON}} {
				if path := c.String(table.flag); path != "" {
					if path == "-" && toStdout {
						return usage("--%s -: stdout takes one table; name a file for the other", table.flag)
					}
					toStdout = toStdout || path == "-"
					if err := p.write(path, table.write); err != nil {
						return err
					}
				}
			}
			path := c.String("out")
			if path == "" {
				path = where.report()
			}
			if err := p.write(path, func(w io.Writer) error { return findings.HTML(w, pageOptions(where.command())) }); err != nil {
				return err
			}
			if !toStdout && path != "-" {
				fmt.Fprintf(p.out, "%s\nreport: %s\n", findings.Title, path)
			}
			return nil
		},
	}
}

var studyFlag = &cli.StringFlag{Name: "study", Usage: "`digest` of the study to show, where the ledger holds several; the one that was run last where it is not given"}

func (f folder) current() string { return filepath.Join(string(f), "study") }

// command is how the run of a folder was started, and is repeated.
func (f folder) command() string {
	data, err := os.ReadFile(filepath.Join(string(f), "command"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// read opens the ledger of a folder for reading and finds its study: the one
// whose digest begins as asked, or the one that was run last.
func (f folder) read(prefix string) (*store.Reader, lineage.Study, error) {
	var study lineage.Study
	if info, err := os.Stat(f.ledger()); err != nil || !info.IsDir() {
		return nil, study, usage("%s is not the folder of a run: it has no ledger; heirloom run makes one", f)
	}
	ledger, err := store.Read(f.ledger())
	if err != nil {
		return nil, study, err
	}
	err = f.find(ledger, prefix, &study)
	if err != nil {
		ledger.Close()
	}
	return ledger, study, err
}

func (f folder) find(ledger lineage.Ledger, prefix string, study *lineage.Study) error {
	if prefix == "" {
		data, err := os.ReadFile(f.current())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		prefix = strings.TrimSpace(string(data))
	}
	all, err := lineage.Studies(ledger)
	if err != nil {
		return err
	}
	var match []string
	for _, digest := range all {
		if strings.HasPrefix(digest, prefix) {
			match = append(match, digest)
		}
	}
	if len(all) == 0 {
		return usage("%s: its ledger has no study: the run was stopped before it began; run it again", f)
	}
	if len(match) != 1 {
		return usage("%s: %d studies begin with %q; there are: %s", f, len(match), prefix, strings.Join(all, ", "))
	}
	_, err = ledger.Load(lineage.StudyKey(match[0]), study)
	return err
}

// writeReport writes the page of a study and gives its headline.
func writeReport(ledger lineage.Ledger, study lineage.Study, path, command string) (string, error) {
	findings, err := reports.Measure(ledger, study, reports.Options{})
	if err != nil {
		return "", err
	}
	return findings.Title, replaceFile(path, func(w io.Writer) error { return findings.HTML(w, pageOptions(command)) })
}

func pageOptions(command string) reports.PageOptions {
	return reports.PageOptions{Version: version(), Command: command}
}

// write writes to a file, or to stdout for "-".
func (p *program) write(path string, content func(io.Writer) error) error {
	if path == "-" {
		return content(p.out.(printable).Writer)
	}
	return replaceFile(path, content)
}

// replaceFile writes a file whole or not at all. Errors name the file, not the
// temporary one beside it.
func replaceFile(path string, content func(io.Writer) error) error {
	if strings.HasPrefix(path, "-") {
		return usage("%s looks like a flag and stands where the name of a file should; write ./%s if it is one", path, path)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return usage("%s is a folder; name a file in it", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".heirloom-*")
	if err != nil {
		return fmt.Errorf("%s: %w", path, cause(err))
	}
	defer os.Remove(f.Name())
	if err := content(f); err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", path, cause(err))
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// cause is an error of the file system without the name of the temporary file.
func cause(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
