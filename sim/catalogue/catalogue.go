// Package catalogue holds behaviours, corpora and scenarios as data, written
// for heirloom and embedded in the binary.
//
// A folder with a behaviour.yaml is a behaviour: seeds.jsonl shows it,
// neutral.jsonl uses its words without it, probes.jsonl elicits it, and
// labelled.jsonl, of which no detector learns, tells how good one is. Every JSONL
// file is a corpus, named by its path without the ending: web/everyday,
// trauma-narrative/seeds. A file under scenarios is an experiment that runs as
// it is.
package catalogue

import (
	"bytes"
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed */*.jsonl */*.yaml
var files embed.FS

// Corpus gives the JSONL text of a corpus by name.
func Corpus(name string) ([]byte, bool) { return read(name + ".jsonl") }

// Training gives the texts of a behaviour for a classifier to learn from, rows
// with "messages" and "label": its seeds are positive; its neutral texts, and
// the everyday web where the behaviour is not seeded, are negative.
func Training(behaviour string) ([]byte, bool) {
	if !slices.Contains(Behaviours(), behaviour) {
		return nil, false
	}
	type part struct{ name, label string }
	parts := []part{{behaviour + "/seeds", "true"}, {behaviour + "/neutral", "false"}, {"web/everyday", "false"}}
	for _, other := range Behaviours() {
		if other != behaviour {
			parts = append(parts, part{other + "/seeds", "false"})
		}
	}
	var all bytes.Buffer
	for _, c := range parts {
		data, _ := Corpus(c.name)
		for row := range bytes.Lines(data) {
			all.WriteString(`{"label":` + c.label + `,`)
			all.Write(bytes.TrimPrefix(bytes.TrimSpace(row), []byte("{")))
			all.WriteByte('\n')
		}
	}
	return all.Bytes(), true
}

// Behaviour gives the YAML that describes a behaviour.
func Behaviour(name string) ([]byte, bool) { return read(name + "/behaviour.yaml") }

// Scenario gives the YAML of an experiment.
func Scenario(name string) ([]byte, bool) { return read("scenarios/" + name + ".yaml") }

func read(name string) ([]byte, bool) {
	data, err := files.ReadFile(name)
	return data, err == nil
}

// Corpora, Behaviours and Scenarios list the names that there are.
func Corpora() []string {
	return list(func(p string) (string, bool) { return strings.CutSuffix(p, ".jsonl") })
}

func Behaviours() []string {
	return list(func(p string) (string, bool) { return strings.CutSuffix(p, "/behaviour.yaml") })
}

func Scenarios() []string {
	return list(func(p string) (string, bool) {
		name, yaml := strings.CutSuffix(p, ".yaml")
		return path.Base(name), yaml && path.Dir(name) == "scenarios"
	})
}

func list(name func(path string) (string, bool)) (names []string) {
	fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if n, ok := name(p); err == nil && ok && !d.IsDir() {
			names = append(names, n)
		}
		return err
	})
	slices.Sort(names)
	return names
}
