package protocol

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// contents are the config and the content of the files that the settings name.
func (a *Asking) contents(kind, dir string) ([]string, error) {
	config, err := json.Marshal(greeting(a.Config))
	if err != nil {
		return nil, fmt.Errorf("%s.config: %w", kind, err)
	}
	parts := []string{string(config)}
	for _, name := range a.Files {
		content, ok, err := contentOf(dir, name)
		if err == nil && !ok {
			err = fmt.Errorf("%s is no file in %s", name, here(dir))
		}
		if err != nil {
			return nil, fmt.Errorf("%s.files: %w", kind, err)
		}
		parts = append(parts, name, content)
	}
	return parts, nil
}

// contentOf is the digest of a file, if there is a regular one of that name.
func contentOf(dir, name string) (digest string, is bool, err error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if info, err := os.Stat(path); name == "" || err != nil || !info.Mode().IsRegular() {
		return "", false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", false, fmt.Errorf("%s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), true, nil
}

func digestOf(parts []string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d ", len(p))
		io.WriteString(h, p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
