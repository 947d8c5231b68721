package protocol

import (
	_ "embed"
	"strings"
)

// Helper is heirloom_detector.py, which speaks the protocol for a detector in
// Python. It needs nothing beside it.
//
//go:embed heirloom_detector.py
var Helper []byte

//go:embed template.py
var template string

// Template is a detector in Python to start from.
func Template(name string) []byte { return []byte(strings.ReplaceAll(template, "NAME", name)) }
