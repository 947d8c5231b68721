package kernel

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestAssemblyIsWhatTheGeneratorWrites runs the generator where its module is
// already on the machine.
func TestAssemblyIsWhatTheGeneratorWrites(t *testing.T) {
	if testing.Short() {
		t.Skip("compiling the generator takes half a minute at first")
	}
	folder := t.TempDir()
	files := []string{"assembly_amd64.s", "assembly_amd64.go"}
	command := exec.Command("go", "run", ".", "-out", filepath.Join(folder, files[0]), "-stubs", filepath.Join(folder, files[1]), "-pkg", "kernel")
	command.Dir = "gen"
	command.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
	if out, err := command.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("module lookup disabled")) {
			t.Skip("the generator needs github.com/mmcloughlin/avo; run go mod download in kernel/gen")
		}
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range files {
		made, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(afterFirstLine(made), afterFirstLine(kept)) {
			t.Errorf("%s is not what the generator writes; run go generate", name)
		}
	}
}

// afterFirstLine leaves out the line that has the command with its paths.
func afterFirstLine(b []byte) []byte {
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	return rest
}
