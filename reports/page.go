package reports

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed assets
var assets embed.FS

// scripts are the parts of the one script of a study's page, in the order they run.
var scripts = []string{"state.js", "views.js", "paint.js", "descent.js", "option.js", "figures.js", "samples.js", "choose.js", "start.js"}

// PageOptions are what a page says beyond the findings.
type PageOptions struct {
	Version string   // of heirloom; "" leaves it out
	Command string   // that reproduces the study; "" leaves it out
	Modules []string // name and version of other software that the numbers rest on
	Static  bool     // leave the chart library out: a smaller file with static figures
}

// HTML writes the findings as one HTML file that needs nothing else: no network,
// no other file. The same findings and options give the same bytes, whenever and
// wherever. Where the binary was built without the chart library the figures are
// static, and the page says so (see Interactive).
//
// Whatever the findings hold is treated as hostile text: it is escaped, it is
// never evaluated, and a content security policy by digest admits only the
// page's own script and the library.
func (f *Findings) HTML(w io.Writer, o PageOptions) error {
	p, err := newPage(f, o)
	if err != nil {
		return err
	}
	return write(w, "page.html", p)
}

func write(w io.Writer, template string, p any) error {
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, template, p); err != nil {
		return fmt.Errorf("report: page cannot be written: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// shell is what every page has around its content.
type shell struct {
	Options     PageOptions
	Policy      string
	Style       template.CSS
	Script      template.JS
	Library     *library
	Packed      template.HTML // the library
	Headline    string
	Data, Texts block
}

// newShell makes the shell of a page that runs some of the scripts.
func newShell(o PageOptions, scripts []string) (shell, error) {
	p := shell{Options: o, Library: chartLibrary()}
	if o.Static {
		p.Library = nil
	}
	run, err := script(scripts)
	if err != nil {
		return p, err
	}
	style, err := assets.ReadFile("assets/style.css")
	if err != nil {
		return p, err
	}
	p.Script, p.Style = template.JS(run), template.CSS(themes()+string(style))
	sources := []string{scriptSource(run)}
	if p.Library != nil {
		p.Packed = template.HTML(p.Library.packed)
		sources = append(sources, p.Library.source)
	}
	p.Policy = policy(sources...)
	return p, nil
}

var pageTemplate = template.Must(template.New("").Funcs(template.FuncMap{
	"visible": visible,
	"line":    func(s string) string { return label(s, 120) },
	"short":   func(s string) string { return label(s, 13) },
	"count":   func(list []string, what string) string { return counted(len(list), what) },
	"named":   func(name string, b block) namedBlock { return namedBlock{name, b} },
}).ParseFS(assets, "assets/*.html"))

// script is the one script of a page that runs.
func script(parts []string) (string, error) {
	var b strings.Builder
	b.WriteString("(async () => {\n\"use strict\";\n")
	for _, name := range parts {
		part, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return "", err
		}
		b.Write(part)
	}
	b.WriteString("})();")
	return b.String(), nil
}

// policy forbids the page everything but its own script and the library's.
func policy(sources ...string) string {
	return "default-src 'none'; script-src " + strings.Join(sources, " ") +
		"; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
}

// packedAbove is the size from which on an island travels compressed.
const packedAbove = 256 << 10

// block is a piece of data in a page: JSON, or gzip in base64 where that is long.
type block struct {
	JSON   json.RawMessage
	Packed template.HTML // base64 has no character that HTML knows
}

// namedBlock is a block with the id of its element.
type namedBlock struct {
	Name string
	block
}

func newBlock(v any) (block, error) {
	encoded, err := json.Marshal(v)
	if err != nil || len(encoded) <= packedAbove {
		return block{JSON: encoded}, err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return block{}, err
	}
	if _, err := z.Write(encoded); err != nil {
		return block{}, err
	}
	if err := z.Close(); err != nil {
		return block{}, err
	}
	return block{Packed: template.HTML(base64.StdEncoding.EncodeToString(b.Bytes()))}, nil
}
