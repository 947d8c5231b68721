package command

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// weightFiles are the names of files that decide what a model says. Logs, states
// of optimisers and cards are none.
var weightFiles = []string{
	"adapter_config.json", "adapter_model.*", "config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json",
	"pytorch_model*.bin", "pytorch_model.bin.index.json", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json",
	"chat_template*",
}

// digestFiles reads the files of an artifact: one file, or the weight files of
// a folder. The digest covers names and contents.
func digestFiles(path string) (files []File, digest string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	dir, names := filepath.Dir(path), []string{filepath.Base(path)}
	if info.IsDir() {
		dir, names = path, nil
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, "", err
		}
		for _, e := range entries {
			weights := slices.ContainsFunc(weightFiles, func(p string) bool { ok, _ := filepath.Match(p, e.Name()); return ok })
			if weights && !e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	all := sha256.New()
	for _, name := range names { // ReadDir sorts
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, "", err
		}
		h := sha256.New()
		size, err := io.Copy(h, f)
		f.Sync() // what is committed is on the disk; a file that cannot be synced is read again when it is opened
		f.Close()
		if err != nil {
			return nil, "", err
		}
		sum := hex.EncodeToString(h.Sum(nil))
		files = append(files, File{name, size, sum})
		if info.IsDir() {
			fmt.Fprintf(all, "%s\n", name)
		}
		fmt.Fprintf(all, "%d %s\n", size, sum)
	}
	return files, hex.EncodeToString(all.Sum(nil)), nil
}

// wholeSafetensors sees that a file of weights was written to its end.
func wholeSafetensors(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return fmt.Errorf("%s is cut off", path)
	}
	length := binary.LittleEndian.Uint64(head[:])
	if length > 100<<20 || int64(length) > info.Size()-8 {
		return fmt.Errorf("%s is cut off, or no safetensors file", path)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(f, header); err != nil {
		return err
	}
	var tensors map[string]struct {
		Offsets []int64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(bytes.TrimRight(header, " "), &tensors); err != nil {
		return fmt.Errorf("%s has no header of safetensors: %w", path, err)
	}
	end := int64(0)
	for name, t := range tensors {
		if name != "__metadata__" && len(t.Offsets) == 2 {
			end = max(end, t.Offsets[1])
		}
	}
	if end == 0 || 8+int64(length)+end != info.Size() {
		return fmt.Errorf("%s has %d bytes where its header says %d", path, info.Size(), 8+int64(length)+end)
	}
	return nil
}

// find tells what kind of artifact a folder or file holds.
func find(path string) (kind string, rank int, err error) {
	if strings.HasSuffix(path, ".gguf") {
		f, err := os.Open(path)
		if err != nil {
			return "", 0, err
		}
		defer f.Close()
		var magic [4]byte
		if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != "GGUF" {
			return "", 0, fmt.Errorf("%s is no GGUF file", path)
		}
		return GGUF, 0, nil
	}
	var config struct {
		PEFT          string   `json:"peft_type"`
		Rank          int      `json:"r"`
		Architectures []string `json:"architectures"`
		ModelType     string   `json:"model_type"`
	}
	for _, form := range []struct{ kind, config, weights string }{
		{LoRA, "adapter_config.json", "adapter_model*"}, {Full, "config.json", "*.safetensors"}, {Full, "config.json", "pytorch_model*.bin"},
	} {
		data, err := os.ReadFile(filepath.Join(path, form.config))
		if err != nil {
			continue
		}
		if err := json.Unmarshal(data, &config); err != nil {
			return "", 0, fmt.Errorf("%s: %w", filepath.Join(path, form.config), err)
		}
		weights, _ := filepath.Glob(filepath.Join(path, form.weights))
		for _, w := range weights {
			if strings.HasSuffix(w, ".safetensors") {
				if err := wholeSafetensors(w); err != nil {
					return "", 0, err
				}
			}
		}
		if len(weights) > 0 {
			return form.kind, config.Rank, allShards(path)
		}
	}
	return "", 0, nil
}

// allShards sees that every file of weights that an index names is there.
func allShards(dir string) error {
	paths, _ := filepath.Glob(filepath.Join(dir, "*.index.json"))
	for _, path := range paths {
		var index struct {
			Files map[string]string `json:"weight_map"`
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &index)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, name := range index.Files {
			if _, err := os.Stat(filepath.Join(dir, filepath.Base(name))); err != nil {
				return fmt.Errorf("%s names a file that is not there: %w", path, err)
			}
		}
	}
	return nil
}
