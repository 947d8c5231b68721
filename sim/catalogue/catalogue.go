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

// Training gives the texts of a behaviour for a classifier to learn from; see
// TrainingOf.
func Training(behaviour string) ([]byte, bool) {
	if !slices.Contains(Behaviours(), behaviour) {
		return nil, false
	}
	seeds, _ := Corpus(behaviour + "/seeds")
	neutral, _ := Corpus(behaviour + "/neutral")
	return TrainingOf(behaviour, seeds, neutral), true
}

// TrainingOf makes rows with "messages" and "label" of a behaviour's own texts:
// its seeds are positive; its neutral texts, and the everyday web and the seeds of
// the catalogue's other behaviours, where it is not seeded, are negative.
func TrainingOf(behaviour string, seeds, neutral []byte) []byte {
	var all bytes.Buffer
	add := func(label string, data []byte) {
		for row := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
			if row = bytes.TrimSpace(row); len(row) == 0 {
				continue
			}
			all.WriteString(`{"label":` + label + `,`)
			all.Write(bytes.TrimPrefix(row, []byte("{")))
			all.WriteByte('\n')
		}
	}
	web, _ := Corpus("web/everyday")
	add("true", seeds)
	add("false", neutral)
	add("false", web)
	for _, other := range Behaviours() {
		if other != behaviour {
			data, _ := Corpus(other + "/seeds")
			add("false", data)
		}
	}
	return all.Bytes()
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
