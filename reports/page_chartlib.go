package reports

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io"
	"strings"
	"sync"
)

// The directory always holds .gitkeep, so this builds without npm; the bundle is
// there once chartlib/build.mjs ran.
//
//go:embed all:chartlib/dist
var chartlib embed.FS

// library is the chart library as a page carries it.
type library struct {
	packed   string // gzip, base64
	source   string // CSP source expression of the script inside
	Licences string
}

// Interactive says whether this binary was built with the chart library. Without
// it a page has static figures and tables, and says how to get more.
func Interactive() bool { return chartLibrary() != nil }

// chartLibrary is nil where the bundle was not built.
var chartLibrary = sync.OnceValue(func() *library {
	packed, err := chartlib.ReadFile("chartlib/dist/echarts.js.gz")
	if err != nil {
		return nil
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	script, err := io.ReadAll(z)
	if err != nil {
		return nil
	}
	licences, err := chartlib.ReadFile("chartlib/dist/LICENSES.txt")
	if err != nil {
		return nil
	}
	return &library{
		packed:   base64.StdEncoding.EncodeToString(packed),
		source:   scriptSource(string(script)),
		Licences: strings.TrimSpace(string(licences)),
	}
})

// scriptSource is the CSP source expression that allows exactly this script.
func scriptSource(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
