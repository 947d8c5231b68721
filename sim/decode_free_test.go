package sim

import (
	"encoding/json"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type shared struct {
	Batch int `yaml:"batch" identity:"no"`
}

type freely struct {
	shared
	Config map[string]any `yaml:"config"`
}

func decodeFree(t *testing.T, text string) (freely, error) {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	var fs faults
	var c freely
	newDecoder("f", &fs).into("", doc.Content[0], &c)
	return c, fs.err()
}

func TestFreeMapIsTakenAsJSONHasIt(t *testing.T) {
	c, err := decodeFree(t, `
batch: 3
config: {words: [a, "1", null], deep: {x: 1, y: 2.5, z: true, when: 2026-01-02}, none: ~, hex: 0x10}
`)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(c.Config)
	want := `{"deep":{"when":"2026-01-02","x":1,"y":2.5,"z":true},"hex":16,"none":null,"words":["a","1",null]}`
	if string(got) != want || c.Batch != 3 {
		t.Errorf("batch %d, config %s, want %s", c.Batch, got, want)
	}
	if got := string(canonical(&c)); got != `{"config":`+want+`}` {
		t.Errorf("canonical form %s holds what is no part of the identity, or lacks what is", got)
	}
}

func TestFreeMapRefusesWhatJSONLacks(t *testing.T) {
	for text, want := range map[string]string{
		"config: {a: .nan}":                 "needs a finite number",
		"config: {a: 99999999999999999999}": "write it in quotes as text",
		"config: {a: 1, a: 2}":              "is given twice",
		"config: [a]":                       "needs a mapping",
		"batches: 3":                        "batches",
	} {
		if _, err := decodeFree(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}
