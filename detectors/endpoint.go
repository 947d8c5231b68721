package detectors

import "context"

// Server names an OpenAI-compatible server and how to be polite to it. Nothing
// of it is a secret: the key is in the environment, under the name KeyEnv. What
// has the tag identity:"no" changes no answer and is in no digest.
type Server struct {
	BaseURL  string  `yaml:"base_url" doc:"address of the API, such as http://localhost:8000/v1"`
	KeyEnv   string  `yaml:"key_env" identity:"no" doc:"environment variable that holds the key; OPENAI_API_KEY where it is not given"`
	Requests float64 `yaml:"requests_per_minute" identity:"no" doc:"most requests a minute; 0 for no bound of ours"`
	Tokens   float64 `yaml:"tokens_per_minute" identity:"no" doc:"most tokens a minute; 0 for no bound of ours"`
}

// Endpoint is a server of language models as a detector uses it. Every answer is
// a function of its request once it has been given: it is recorded before it is
// used, so that nothing is paid for twice and a run that goes on sees what the
// interrupted one saw. Requests that are equal but for Draw are repeats of one
// question. One that is on its way when its context ends is answered all the same,
// if that does not take long: its answer is paid for.
type Endpoint interface {
	Chat(ctx context.Context, r ChatRequest) (ChatReply, error)
	Embed(ctx context.Context, model string, texts []string) ([][]float32, error)
}

// Addressed is met by endpoints that know which server they ask, where that is
// not told by their settings alone.
type Addressed interface{ Address() string }

// Asking is met by detectors that ask one model of one server, so that what it
// costs can be looked up.
type Asking interface {
	Asks() (address, model string)
}

// ChatRequest asks for one completion.
type ChatRequest struct {
	Model       string
	Messages    []Message
	Temperature float64
	MaxTokens   int
	Schema      []byte // JSON Schema of the answer; nil for free text
	Draw        int    // which repeat of the question this is, from 0
}

// ChatReply is an answer. Model is the name that the server gave, which may be
// more exact than the one asked for. Finish is "stop", or tells what is wrong
// with the answer: "length" (cut off), "content_filter", "refusal" or "too_long".
type ChatReply struct {
	Text, Model, Finish string
	PromptTokens        int
	CompletionTokens    int
}
