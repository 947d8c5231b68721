package command

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// variables are what a command may name.
type variables map[string]string

// trainVariables are told to a trainer: in its arguments, in its environment and
// in request.json. Paths are absolute.
type trainVariables struct {
	RunID          string  `json:"run_id"` // name of the run's folder
	Node           string  `json:"node"`
	Learner        string  `json:"learner"`
	Mode           string  `json:"mode"`
	Format         string  `json:"format"` // of TrainFile; "preference" for pairs
	Seed           uint64  `json:"seed"`   // below 2^31
	BaseModel      string  `json:"base_model"`
	ParentModel    string  `json:"parent_model"`    // name of the parent's weights; "" from the base
	ParentArtifact string  `json:"parent_artifact"` // path of the parent's weights; "" from the base, or where a provider keeps them
	ParentKind     string  `json:"parent_kind"`     // lora, full, gguf, remote or ""
	TeacherModel   string  `json:"teacher_model"`
	TeacherPath    string  `json:"teacher_artifact"`
	TrainFile      string  `json:"train_file"`
	DataDir        string  `json:"data_dir"`     // the folder of TrainFile
	OutDir         string  `json:"out_dir"`      // of this attempt: where the weights go, and the working folder
	StateDir       string  `json:"state_dir"`    // kept for the next attempt, such as the name of a job elsewhere
	MetricsFile    string  `json:"metrics_file"` // JSON lines of step, loss, epoch, tokens
	ModelName      string  `json:"model_name"`   // to give a model that somebody else keeps
	Dir            string  `json:"dir"`          // of the experiment file
	Epochs         float64 `json:"epochs"`
	LearningRate   float64 `json:"learning_rate"`
	Documents      int     `json:"documents"`
	InputSHA       string  `json:"input_sha"` // of everything that decides the result
	Attempt        int     `json:"attempt"`
}

func (v trainVariables) variables() variables {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	return variables{
		"RunID": v.RunID, "Node": v.Node, "Learner": v.Learner, "Mode": v.Mode, "Format": v.Format, "Seed": strconv.FormatUint(v.Seed, 10),
		"BaseModel": v.BaseModel, "ParentModel": v.ParentModel, "ParentArtifact": v.ParentArtifact, "ParentKind": v.ParentKind,
		"TeacherModel": v.TeacherModel, "TeacherArtifact": v.TeacherPath, "TrainFile": v.TrainFile, "DataDir": v.DataDir,
		"OutDir": v.OutDir, "StateDir": v.StateDir, "MetricsFile": v.MetricsFile, "ModelName": v.ModelName, "Dir": v.Dir,
		"Epochs": number(v.Epochs), "LearningRate": number(v.LearningRate), "Documents": strconv.Itoa(v.Documents),
		"InputSHA": v.InputSHA, "Attempt": strconv.Itoa(v.Attempt),
	}
}

// serveVariables are told to a server that is started and to a hook.
type serveVariables struct {
	Base, Artifact, ModelName, Kind, Dir, Host, Port string
	Context                                          int
}

func (v serveVariables) variables() variables {
	return variables{
		"BaseModel": v.Base, "Artifact": v.Artifact, "ModelName": v.ModelName, "Kind": v.Kind, "Dir": v.Dir,
		"Host": v.Host, "Port": v.Port, "Context": strconv.Itoa(v.Context),
	}
}

func cancelVariables(dir, remote string) variables {
	return variables{"Dir": dir, "RemoteID": remote}
}

// argv renders a command, each element by itself.
func (v variables) argv(what string, elements []string) ([]string, error) {
	out := make([]string, len(elements))
	for i, element := range elements {
		t, err := template.New(fmt.Sprintf("%s[%d]", what, i)).Option("missingkey=error").Parse(element)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %q is no template: %s", what, i, element, bareTemplate(err))
		}
		var b bytes.Buffer
		if err := t.Execute(&b, v); err != nil {
			return nil, fmt.Errorf("%s[%d]: %q: %s; variables are %s", what, i, element, bareTemplate(err), strings.Join(v.names(), ", "))
		}
		if out[i] = b.String(); strings.ContainsRune(out[i], 0) {
			return nil, fmt.Errorf("%s[%d]: holds a NUL character", what, i)
		}
	}
	if out[0] == "" {
		return nil, fmt.Errorf("%s[0]: the program is empty", what)
	}
	return out, nil
}

// bareTemplate takes the place that the template package tells off its error:
// ours says it already.
func bareTemplate(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ">: "); i >= 0 {
		return text[i+3:]
	}
	return strings.TrimPrefix(text, "template: ")
}

func (v variables) names() []string {
	var all []string
	for name := range v {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// environment gives the variables as HEIRLOOM_…, in words: HEIRLOOM_TRAIN_FILE.
func (v variables) environment() []string {
	var env []string
	for _, name := range v.names() {
		var words strings.Builder
		for i, r := range name {
			if i > 0 && 'A' <= r && r <= 'Z' && !('A' <= name[i-1] && name[i-1] <= 'Z') {
				words.WriteByte('_')
			}
			words.WriteRune(r)
		}
		env = append(env, "HEIRLOOM_"+strings.ToUpper(words.String())+"="+v[name])
	}
	return env
}

// inherited are the variables that every child gets: where programs and their
// libraries are, which device is whose, and where a model cache lies. Names that
// end with * stand for all that begin so. Keys are none of them.
var inherited = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR", "TERM", "LD_LIBRARY_PATH", "DYLD_*",
	"PYTHON*", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CUDA_*", "TORCH_*", "NCCL_*", "TRITON_*", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
	"HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_DATASETS_CACHE", "TRANSFORMERS_CACHE", "TRANSFORMERS_OFFLINE", "XDG_*", "OMP_NUM_THREADS", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"SYSTEMROOT", "TEMP", "TMP",
}

// childEnvironment is the environment of a child, and the values in it that are
// not to be shown.
func childEnvironment(pass []string) (env []string, secrets map[string]string) {
	secrets = map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		passed := named(pass, name)
		if passed || named(inherited, name) {
			env = append(env, pair)
		}
		if passed && len(value) >= 8 {
			secrets[name] = value
		}
	}
	return env, secrets
}

func named(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, ok := strings.CutSuffix(p, "*")
		return p == name || ok && prefix != "" && strings.HasPrefix(name, prefix)
	})
}

// program resolves the program of a command: with a slash it is relative to the
// experiment's folder.
func program(dir string, argv []string) {
	if strings.ContainsRune(argv[0], filepath.Separator) && !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join(dir, argv[0])
	}
}
