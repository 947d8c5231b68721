package cmd

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/heirloom-sim/heirloom/"

// mayImport is the architecture: what of ours each package may import. A
// package that is not listed here does not belong.
var mayImport = map[string][]string{
	"corpus":                         {},
	"lineage":                        {},
	"lineage/urn":                    {"lineage"},
	"lineage/ngram":                  {"lineage"},
	"lineage/transformer":            {"lineage", "lineage/transformer/net"},
	"lineage/store":                  {"lineage"},
	"lineage/openai":                 {"lineage"},
	"lineage/openai/openaitest":      {},
	"lineage/command":                {"lineage", "lineage/openai"},
	"lineage/serve":                  {"lineage"},
	"lineage/transformer/net":        {"lineage/transformer/net/kernel"},
	"lineage/transformer/net/kernel": {},
	"lineage/popgen":                 {},
	"lineage/lineagetest":            {"lineage"},
	"detectors":                      {},
	"detectors/protocol":             {"detectors"},
	"detectors/selfname":             {"detectors"},
	"detectors/sycophancy":           {"detectors"},
	"detectors/detectortest":         {"detectors"},
	"sim":                            {"corpus", "lineage", "detectors", "sim/catalogue"},
	"sim/catalogue":                  {},
	"reports":                        {"lineage", "lineage/popgen", "corpus"},
	"cmd": {"corpus", "lineage", "lineage/urn", "lineage/ngram", "lineage/transformer", "lineage/store", "lineage/openai", "lineage/command", "lineage/serve", "lineage/popgen",
		"detectors", "detectors/protocol", "detectors/selfname", "detectors/sycophancy", "sim", "sim/catalogue", "reports"},
	"cmd/heirloom": {"cmd"},
}

// doors are the packages that may import a third-party module: one each, but for
// statistics, which are wanted wherever chance is computed with.
var doors = map[string][]string{
	"github.com/dgraph-io/badger":       {"lineage/store"},
	"github.com/sashabaranov/go-openai": {"lineage/openai"},
	"golang.org/x/time":                 {"lineage/openai"},
	"github.com/go-echarts/go-echarts":  {"reports"},
	"github.com/urfave/cli":             {"cmd"},
	"github.com/schollz/progressbar":    {"cmd"},
	"golang.org/x/term":                 {"cmd"},
	"go.yaml.in/yaml":                   {"sim"},
	"github.com/parquet-go/parquet-go":  {"corpus"},
	"github.com/klauspost/compress":     {"corpus", "lineage/store"},
	"golang.org/x/sys":                  {"lineage/store", "lineage/transformer/net/kernel"},
	"github.com/rivo/uniseg":            {"reports"},
	"gonum.org/v1/gonum":                {"lineage/popgen", "lineage/urn", "detectors"},
	"golang.org/x/text":                 {"detectors"},
}

// worldly are standard packages that reach chance, clock or environment, and the
// rooms that may use them.
var worldly = map[string][]string{
	"os/exec":   {"detectors/protocol", "lineage/command"},
	"os/signal": {"cmd"},
	"net/http":  {"lineage/store", "lineage/openai", "lineage/openai/openaitest", "lineage/command", "lineage/serve", "detectors/protocol"},
	"math/rand": {},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestRoomsImportOnlyWhatTheArchitectureAllows(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	seen := 0
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		checkRoom(t, strings.TrimPrefix(p.ImportPath, module), p.Imports)
	}
	if seen < len(mayImport) {
		t.Errorf("%d packages were listed, the architecture has %d", seen, len(mayImport))
	}
}

func checkRoom(t *testing.T, room string, imports []string) {
	allowed, known := mayImport[room]
	if !known {
		t.Errorf("the package %s has no place in the architecture", room)
		return
	}
	for _, path := range imports {
		if ours, ok := strings.CutPrefix(path, module); ok {
			if !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s, which the architecture does not allow", room, ours)
			}
			continue
		}
		if may, ok := worldly[path]; ok && !slices.Contains(may, room) {
			t.Errorf("%s imports %s, which is for %v alone", room, path, may)
		}
		if !strings.Contains(path, ".") {
			continue
		}
		door := ""
		for prefix := range doors {
			if path == prefix || strings.HasPrefix(path, prefix+"/") {
				door = prefix
			}
		}
		if door == "" || !slices.Contains(doors[door], room) {
			t.Errorf("%s imports %s, whose doors are %v", room, path, doors[door])
		}
	}
}
