package command

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
)

// How a training takes up the weights that its node starts from.
const (
	FromBase = "from_base" // every node trains the base anew
	Continue = "continue"  // the parent's weights are trained on
	Merge    = "merge"     // the parent's adapter is merged into the weights, a new one is trained on top
)

// Formats of the rows that a trainer reads.
const (
	Chat             = "chat"
	PromptCompletion = "prompt-completion"
	Text             = "text"
)

// Kinds of server.
const (
	VLLM     = "vllm"
	SGLang   = "sglang"
	LlamaCpp = "llamacpp"
	Ollama   = "ollama"
	Mistral  = "mistralrs"
	Hook     = "command"
	None     = "none"
)

// Config of a backend. Settings with identity:"no" decide where and how fast a
// model is made and never which.
type Config struct {
	Base         string  `yaml:"base" doc:"the pretrained model, as the trainer and the server know it: a name on the Hugging Face hub or a path"`
	Mode         string  `yaml:"mode" doc:"from_base: every node trains the base anew; continue: the parent's weights are trained on; merge: the parent's adapter is merged into the weights and a new one trained on top"`
	Format       string  `yaml:"format" doc:"rows of the training file: chat, prompt-completion or text; by the learner where it is not given: chat for sft and distil, text for sdf. preference always has prompt, chosen and rejected"`
	Epochs       float64 `yaml:"epochs" doc:"passes over the corpus, for the command as {{.Epochs}}"`
	LearningRate float64 `yaml:"learning_rate" doc:"for the command as {{.LearningRate}}"`
	Version      string  `yaml:"version" doc:"of the training script: raise it when a change of the script shall make new models"`
	Train        Trainer `yaml:"train" doc:"the command that trains"`
	Serve        Serve   `yaml:"serve" doc:"the server that samples"`
}

// Trainer is the command that trains one model.
type Trainer struct {
	Command  []string `yaml:"cmd" doc:"program and arguments, each a Go template; no shell reads them. Program and {{.Dir}} are relative to the experiment file"`
	Cancel   []string `yaml:"cancel" identity:"no" doc:"command that cancels what a trainer left running elsewhere, named {{.RemoteID}}"`
	EnvPass  []string `yaml:"env_pass" identity:"no" doc:"environment variables that the trainer gets beside PATH, HOME and the like, such as HF_TOKEN or SLURM_*"`
	Timeout  float64  `yaml:"timeout" identity:"no" doc:"seconds that a training may take; 0 for no bound"`
	Grace    float64  `yaml:"grace" identity:"no" doc:"seconds between asking a trainer to end and ending it"`
	Attempts int      `yaml:"attempts" identity:"no" doc:"how often a training is begun that ends with exit status 75 (try again)"`
	Parallel int      `yaml:"parallel" identity:"no" doc:"trainings at once"`
	MaxCost  float64  `yaml:"max_cost" identity:"no" doc:"US dollars that one training can cost at most, where a provider is paid by it"`
}

// Serve is the server that samples the models.
type Serve struct {
	Kind      string            `yaml:"kind" doc:"vllm, sglang, llamacpp, ollama, mistralrs; command: a hook that prints the model's name; none: the server knows the model by the name that the trainer gave"`
	URL       string            `yaml:"url" identity:"no" doc:"address of the server, without /v1"`
	Command   []string          `yaml:"cmd" doc:"starts the server, each a Go template; one that names {{.Artifact}} is started for each model. Not given: the server runs already"`
	Load      []string          `yaml:"load" doc:"for kind command: the hook; it prints the name that the server knows the model by"`
	Model     string            `yaml:"model" identity:"no" doc:"name that the server knows the base by, where that is not base"`
	PathMap   map[string]string `yaml:"path_map" identity:"no" doc:"folders here and what the server calls them, where it runs in a container or elsewhere"`
	KeyEnv    string            `yaml:"key_env" identity:"no" doc:"environment variable that holds the key of the server"`
	EnvPass   []string          `yaml:"env_pass" identity:"no" doc:"environment variables that a started server gets beside PATH, HOME and the like"`
	Parallel  int               `yaml:"parallel" identity:"no" doc:"requests on their way at once"`
	Start     float64           `yaml:"start_timeout" identity:"no" doc:"seconds that a server may take to get ready"`
	Context   int               `yaml:"context" doc:"tokens of the context; Ollama is told, as its own default cuts prompts silently"`
	MaxTokens int               `yaml:"max_tokens" doc:"tokens in an answer at most, where its request sets no bound"`
	Request   map[string]any    `yaml:"request" doc:"members that are added to every request, such as top_p, or chat_template_kwargs: {enable_thinking: false}"`
}

// Defaults is the configuration of an experiment that says nothing.
func Defaults() Config {
	return Config{
		Mode: FromBase, Epochs: 1, LearningRate: 2e-4,
		Train: Trainer{Grace: 30, Attempts: 3, Parallel: 1},
		Serve: Serve{Kind: VLLM, URL: "http://127.0.0.1:8000", Parallel: 16, Start: 900, Context: 4096, MaxTokens: 256},
	}
}

// check gives every fault of a configuration.
func (c Config) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	oneOf := func(what, v string, all ...string) {
		if !slices.Contains(all, v) {
			fault("%s: %q is none of %s", what, v, strings.Join(all, ", "))
		}
	}
	if c.Base == "" {
		fault("base: is not given; it names the pretrained model")
	}
	oneOf("mode", c.Mode, FromBase, Continue, Merge)
	if c.Format != "" {
		oneOf("format", c.Format, Chat, PromptCompletion, Text)
	}
	oneOf("serve.kind", c.Serve.Kind, VLLM, SGLang, LlamaCpp, Ollama, Mistral, Hook, None)
	for what, v := range map[string]float64{
		"epochs": c.Epochs, "learning_rate": c.LearningRate, "train.timeout": c.Train.Timeout, "train.grace": c.Train.Grace,
		"train.max_cost": c.Train.MaxCost, "serve.start_timeout": c.Serve.Start,
	} {
		if !(v >= 0) || v > 1e8 || math.IsInf(v, 0) {
			fault("%s: %v is not within 0 to 100,000,000", what, v)
		}
	}
	for what, n := range map[string]int{
		"train.attempts": c.Train.Attempts, "train.parallel": c.Train.Parallel, "serve.parallel": c.Serve.Parallel,
		"serve.context": c.Serve.Context, "serve.max_tokens": c.Serve.MaxTokens,
	} {
		if n < 1 {
			fault("%s: %d is less than 1", what, n)
		}
	}
	faults = append(faults, c.checkCommands()...)
	if u, err := url.Parse(c.Serve.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		fault("serve.url: %q is not the address of a server, such as http://127.0.0.1:8000", c.Serve.URL)
	} else if strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1") {
		fault("serve.url: %s ends with /v1, which is added where a server wants it; leave it out", c.Serve.URL)
	}
	for _, key := range []string{"model", "messages", "seed", "n", "stream", "temperature", "max_tokens", "lora"} {
		if _, ok := c.Serve.Request[key]; ok {
			fault("serve.request.%s: is set for each request by this program; leave it out", key)
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

// checkCommands renders every command once with made-up values, so that a
// misspelt variable is found before anything is trained.
func (c Config) checkCommands() (faults []error) {
	commands := map[string][]string{}
	if len(c.Train.Command) == 0 {
		faults = append(faults, errors.New("train.cmd: is not given; write cmd: [python3, \"{{.Dir}}/train_sft.py\"]"))
	}
	if c.Serve.Kind == Hook && len(c.Serve.Load) == 0 {
		faults = append(faults, errors.New("serve.load: is not given; kind command needs the hook that prints the model's name"))
	}
	if c.Serve.Kind != Hook && len(c.Serve.Load) > 0 {
		faults = append(faults, fmt.Errorf("serve.load: is for kind command, and this is kind %s", c.Serve.Kind))
	}
	for what, argv := range map[string][]string{"train.cmd": c.Train.Command, "train.cancel": c.Train.Cancel, "serve.cmd": c.Serve.Command, "serve.load": c.Serve.Load} {
		if len(argv) > 0 {
			commands[what] = argv
		}
	}
	known := map[string]variables{"train.cmd": trainVariables{}.variables(), "train.cancel": cancelVariables("", ""), "serve.cmd": serveVariables{}.variables(), "serve.load": serveVariables{}.variables()}
	for what, argv := range commands {
		if _, err := known[what].argv(what, argv); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}
