package command

import (
	"io"
	"os"
	"strings"
	"unicode"
)

const (
	longestTail = 4096 // bytes of a log that are looked at
	tailLines   = 6
	longestLine = 300
)

func tail(path string, secrets map[string]string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > longestTail {
		f.Seek(-longestTail, io.SeekEnd)
	}
	data, _ := io.ReadAll(io.LimitReader(f, longestTail))
	text := hide(string(data), secrets)
	var lines []string
	for _, l := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if l = line(l, longestLine); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], " | ")
}

// hide puts the names of secrets in their place.
func hide(text string, secrets map[string]string) string {
	for name, value := range secrets {
		text = strings.ReplaceAll(text, value, "["+name+"]")
	}
	return text
}

// line makes foreign words one printable line of bounded length.
func line(text string, longest int) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
