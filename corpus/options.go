package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
)

// Format says how documents stand in a file.
type Format string

const (
	JSONL      Format = "jsonl"      // a JSON object a line, chat, completion, {"text"} or pair, told by its keys
	Chat       Format = "chat"       // JSONL of {"messages":[{"role","content"}]}
	Completion Format = "completion" // JSONL of {"prompt","completion"}
	Pairs      Format = "pairs"      // JSONL of {"prompt","chosen","rejected"}, or of OpenAI's preference rows
	Lines      Format = "lines"      // plain text, a document a line
	Paragraphs Format = "paragraphs" // plain text, documents parted by blank lines
	Whole      Format = "whole"      // plain text, the file is one document
	Parquet    Format = "parquet"    // columns with the names of the JSONL keys
	Inspect    Format = "inspect"    // a log of the Inspect framework, JSON or .eval: a document a sample
)

var formats = []Format{JSONL, Chat, Completion, Pairs, Lines, Paragraphs, Whole, Parquet, Inspect}

// plain formats have neither keys nor turns.
func (f Format) plain() bool { return f == Lines || f == Paragraphs || f == Whole }

// rewritten formats are read as the JSON rows that stand for their records.
func (f Format) rewritten() bool { return f == Parquet || f == Inspect }

// DefaultMaxLineBytes is the longest row that is read unless Options say
// otherwise: 64 MiB.
const DefaultMaxLineBytes = 64 << 20

// Options say how a file becomes documents. The zero value reads every document
// of a file whose name tells its format.
type Options struct {
	Format       Format            `yaml:"format,omitempty" json:"format,omitempty" doc:"How documents stand in the file: jsonl, chat, completion, pairs, lines, paragraphs, whole, parquet or inspect; by default told by the file's extension."`
	Fields       map[string]string `yaml:"fields,omitempty" json:"fields,omitempty" doc:"Which key of a row holds what: messages, or system, user and assistant, or text, each to the key's name in the file."`
	Where        map[string]string `yaml:"where,omitempty" json:"where,omitempty" doc:"Keep only rows whose keys hold exactly these values."`
	Turns        int               `yaml:"turns,omitempty" json:"turns,omitempty" doc:"Split each transcript into one document per assistant turn, of at most this many messages ending with it; 0 keeps transcripts whole."`
	Final        bool              `yaml:"final,omitempty" json:"final,omitempty" doc:"With turns: keep the last assistant turn of each transcript alone."`
	Label        string            `yaml:"label,omitempty" json:"label,omitempty" doc:"With turns: keep the assistant turns by their count of this name in the row's labels."`
	LabelMin     *float64          `yaml:"label_min,omitempty" json:"label_min,omitempty" doc:"The least count of label that a kept turn has; by default 1, or 0 where label_max is set."`
	LabelMax     *float64          `yaml:"label_max,omitempty" json:"label_max,omitempty" doc:"The greatest count of label that a kept turn has; 0 keeps the turns that were judged not to show it."`
	Max          int               `yaml:"max,omitempty" json:"max,omitempty" doc:"Keep at most this many documents, the first ones; 0 keeps all."`
	MaxLineBytes int               `yaml:"max_line_bytes,omitempty" json:"-" doc:"Refuse rows longer than this many bytes; by default 67108864."`
}

// What Fields may name, and the keys that stand for them without it.
const (
	fieldMessages  = "messages"
	fieldSystem    = "system"
	fieldUser      = "user"
	fieldAssistant = "assistant"
	fieldText      = "text"
)

var fieldNames = []string{fieldMessages, fieldSystem, fieldUser, fieldAssistant, fieldText}

// Validate reports every fault of the options at once.
func (o Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if o.Format != "" && !slices.Contains(formats, o.Format) {
		fault("format: %q is not known; known are %s", o.Format, listed(formats))
	}
	o.checkFields(fault)
	if o.Turns < 0 {
		fault("turns: %d is below 0; 0 keeps transcripts whole", o.Turns)
	}
	if o.Label != "" && o.Turns == 0 {
		fault("label: %q chooses among assistant turns; set turns to how many messages each document should have", o.Label)
	}
	if o.Final && o.Turns == 0 {
		fault("final: chooses among assistant turns; set turns to how many messages each document should have")
	}
	if o.Label == "" && (o.LabelMin != nil || o.LabelMax != nil) {
		fault("label_min and label_max need label, the name that is counted")
	}
	low, high := o.labelBounds()
	if math.IsNaN(low) || math.IsNaN(high) || low > high {
		fault("label_min: no count is between %v and %v", low, high)
	}
	if o.Max < 0 {
		fault("max: %d is below 0; 0 keeps all documents", o.Max)
	}
	if o.MaxLineBytes < 0 || o.MaxLineBytes > math.MaxInt32 {
		fault("max_line_bytes: %d is not within [0, %d]", o.MaxLineBytes, math.MaxInt32)
	}
	return errors.Join(faults...)
}

func (o Options) checkFields(fault func(string, ...any)) {
	kinds := 0
	for _, name := range slices.Sorted(maps.Keys(o.Fields)) {
		switch key := o.Fields[name]; {
		case !slices.Contains(fieldNames, name):
			fault("fields: %q is not known; known are %s", name, listed(fieldNames))
		case key == "":
			fault("fields.%s: is empty; give the key of the row that holds it", name)
		}
	}
	for _, kind := range [][]string{{fieldMessages}, {fieldSystem, fieldUser, fieldAssistant}, {fieldText}} {
		if slices.ContainsFunc(kind, func(name string) bool { return o.Fields[name] != "" }) {
			kinds++
		}
	}
	if kinds > 1 {
		fault("fields: name either messages, or text, or some of system, user and assistant")
	}
}

func (o Options) labelBounds() (low, high float64) {
	low, high = 1, math.Inf(1)
	if o.LabelMax != nil {
		low, high = 0, *o.LabelMax
	}
	if o.LabelMin != nil {
		low = *o.LabelMin
	}
	return low, high
}

func (o Options) maxLine() int {
	if o.MaxLineBytes == 0 {
		return DefaultMaxLineBytes
	}
	return o.MaxLineBytes
}

// format is the one that was asked for, or the one that the name tells.
func (o Options) format(name string) (Format, error) {
	if o.Format != "" {
		return o.Format, nil
	}
	base := path.Base(name)
	for _, packed := range []string{".gz", ".zst", ".zstd"} {
		base = strings.TrimSuffix(base, packed)
	}
	switch path.Ext(base) {
	case ".jsonl", ".ndjson":
		return JSONL, nil
	case ".txt":
		return Lines, nil
	case ".parquet":
		return Parquet, nil
	case ".json", ".eval":
		return Inspect, nil
	}
	return "", fmt.Errorf("%s: the name does not tell the format; set format to one of %s", name, listed(formats))
}

// canonical gives the bytes that stand for the options in a digest. Options at
// their default leave no trace, so one that is added later changes no digest.
func (o Options) canonical() []byte {
	b, err := json.Marshal(o)
	if err != nil { // a NaN or infinite bound, which Validate refuses
		panic(err)
	}
	return b
}

func listed[S ~string](names []S) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = string(n)
	}
	return strings.Join(all, ", ")
}
