//go:build unix

package ngram

import (
	"bufio"
	"bytes"
	"io/fs"
	"iter"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// BenchmarkTrainAgainstIRSTLM trains a model of order 3 on 20 MB of Go's own
// source with IRSTLM's tlm, a process that is given a file, and with this
// package, on one thread and from the same file. The runs alternate; "times
// faster" is the median of the ratios of processor time, which other work on the
// machine disturbs less than wall time, in "wall times faster". tlm counts and estimates in
// memory and writes no model, which is the least that it can do.
//
// Both sides see the same tokens. The text is cut into pieces beforehand, each
// line a document and each piece set off by one space, so that tlm's words are
// this package's pieces; lines beyond ASCII are left out. The vocabulary is
// closed: held-out lines with a piece that the training text lacks are left
// out, so that neither side meets an unknown word. Perplexity is per piece with
// the end of line, the beginning of line never being predicted; tlm computes
// its own, with modified Kneser-Ney ("msb") and no pruning. This package gives
// 2^-20 of its lowest level to unknown words, and tlm a little to the beginning
// of a line.
//
//	go test -run '^$' -bench IRSTLM -benchtime 5x ./lineage/ngram
func BenchmarkTrainAgainstIRSTLM(b *testing.B) {
	tlm := findTLM(b)
	train, held := goSource(b, 20<<20, 1<<20)
	held = closeVocabulary(train, held)
	file := writeLines(b, "train", train, " ", "\n")
	marked := writeLines(b, "marked", train, "<s> ", " </s>\n")
	markedHeld := writeLines(b, "held", held, "<s> ", " </s>\n")
	args := []string{"-tr=" + marked, "-n=3", "-lm=msb", "-ps=no", "-pts=no"}

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var own *artifact
	var wall, ratios, ours, theirs []float64
	c := settings(func(c *Config) { c.Order = 3 })
	for b.Loop() {
		tlm := exec.Command(tlm, args...)
		start := time.Now()
		if out, err := tlm.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		theirWall, their := time.Since(start), tlm.ProcessState.UserTime()+tlm.ProcessState.SystemTime()
		start, before := time.Now(), processorTime(b)
		own = trainFile(b, c, file)
		ourWall, our := time.Since(start), processorTime(b)-before
		wall = append(wall, theirWall.Seconds()/ourWall.Seconds())
		ratios = append(ratios, their.Seconds()/our.Seconds())
		ours, theirs = append(ours, our.Seconds()), append(theirs, their.Seconds())
	}
	out, err := exec.Command(tlm, append(args, "-te="+markedHeld)...).CombinedOutput()
	if err != nil {
		b.Fatal(err)
	}
	theirPieces, theirPerplexity := testedBy(b, out)
	pieces, perplexity := heldOut(b, own, held)
	if pieces != theirPieces {
		b.Fatalf("tlm scored %d tokens and this package %d", theirPieces, pieces)
	}
	b.ReportMetric(median(ratios), "times-faster")
	b.ReportMetric(median(wall), "wall-times-faster")
	b.ReportMetric(median(ours), "cpu-s-own")
	b.ReportMetric(median(theirs), "cpu-s-irstlm")
	b.ReportMetric(perplexity, "perplexity-own")
	b.ReportMetric(theirPerplexity, "perplexity-irstlm")
	if perplexity > theirPerplexity {
		b.Errorf("held-out perplexity %.3f is worse than IRSTLM's %.3f", perplexity, theirPerplexity)
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func findTLM(b *testing.B) string {
	for _, name := range []string{filepath.Join(os.Getenv("IRSTLM"), "bin", "tlm"), "tlm", "/usr/lib/irstlm/bin/tlm"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	b.Skip("IRSTLM is not installed: set IRSTLM to its folder")
	return ""
}

// goSource gives the lines of Go's source as pieces, without the files that a
// program wrote: every twentieth file is held out.
func goSource(b *testing.B, trainBytes, heldBytes int) (train, held [][]string) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skip("there is no go command to ask for its source:", err)
	}
	files, room := 0, [2]int{trainBytes, heldBytes}
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(out)), "src"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		side := 0
		if files++; files%20 == 0 {
			side = 1
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("DO NOT EDIT")) {
			return err
		}
		for line := range strings.Lines(string(text)) {
			pieces := piecesOf(line)
			if len(pieces) == 0 || room[side] <= 0 {
				continue
			}
			room[side] -= len(line)
			if side == 0 {
				train = append(train, pieces)
			} else {
				held = append(held, pieces)
			}
		}
		if room[0] <= 0 && room[1] <= 0 {
			return fs.SkipAll
		}
		return err
	})
	if err != nil || room[0] > 0 {
		b.Skipf("Go's source is not here, or short: %d bytes are missing: %v", room[0], err)
	}
	return train, held
}

// piecesOf cuts a line and leaves out white space, and all of a line that is
// not ASCII or has a piece too long to take the space before it.
func piecesOf(line string) []string {
	var pieces []string
	for i := 0; i < len(line); {
		end := pieceEnd(line, i)
		piece := strings.TrimSpace(line[i:end])
		if end-i >= maxPiece || strings.ContainsFunc(piece, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil
		}
		if piece != "" {
			pieces = append(pieces, piece)
		}
		i = end
	}
	return pieces
}

// closeVocabulary leaves out the held-out lines that have an unknown piece.
func closeVocabulary(train, held [][]string) [][]string {
	known := map[string]bool{}
	for _, line := range train {
		for _, piece := range line {
			known[piece] = true
		}
	}
	return slices.DeleteFunc(held, func(line []string) bool {
		return slices.ContainsFunc(line, func(piece string) bool { return !known[piece] })
	})
}

func writeLines(b *testing.B, name string, lines [][]string, before, after string) string {
	path := filepath.Join(b.TempDir(), name)
	var out bytes.Buffer
	for _, line := range lines {
		out.WriteString(before + strings.Join(line, " ") + after)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

func trainFile(b *testing.B, c Config, path string) *artifact {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	var examples iter.Seq2[lineage.Example, error] = func(yield func(lineage.Example, error) bool) {
		for lines.Scan() && yield(reply("", lines.Text()), nil) {
		}
	}
	backend, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	a, err := backend.Train(background, lineage.Job{Learner: lineage.SFT, Examples: examples})
	if err != nil || lines.Err() != nil {
		b.Fatal(err, lines.Err())
	}
	return a.(*artifact)
}

// testedBy reads the number of tokens and the perplexity that tlm prints.
func testedBy(b *testing.B, out []byte) (int, float64) {
	m := regexp.MustCompile(`n=(\d+) LP=\S+ PP=(\S+) OVVRate=0\s`).FindSubmatch(out)
	if m == nil {
		b.Fatalf("tlm printed no perplexity without unknown words: %s", out)
	}
	n, _ := strconv.Atoi(string(m[1]))
	perplexity, err := strconv.ParseFloat(string(m[2]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n, perplexity
}

func heldOut(b *testing.B, a *artifact, held [][]string) (int, float64) {
	var docs [][]lineage.Message
	for _, line := range held {
		docs = append(docs, reply("", " "+strings.Join(line, " ")).Messages)
	}
	scores, err := open(b, a).LogProb(background, docs)
	if err != nil {
		b.Fatal(err)
	}
	sum, pieces := 0.0, 0
	for _, s := range scores {
		sum, pieces = sum+s.Sum, pieces+s.Tokens
	}
	return pieces, math.Exp(-sum / float64(pieces))
}

func median(a []float64) float64 {
	sorted := slices.Sorted(slices.Values(a))
	return sorted[len(sorted)/2]
}
