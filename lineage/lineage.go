// Package lineage holds what a model is to heirloom, whom it descends from and
// what is recorded of it, and the three contracts that everything else meets at:
//
//   - a Backend turns training examples into an Artifact and opens it as a Model;
//   - a Model answers requests; some can also score text (Scorer);
//   - a Ledger keeps records, each written once.
//
// Two channels of inheritance are kept apart everywhere: weights (the Base that
// a node's training starts from) and text (the Parents whose outputs are in its
// corpus).
//
// The package imports nothing else of heirloom, so a trainer cannot learn where
// a document came from and a model cannot know that it is watched.
package lineage

import (
	"context"
	"iter"
)

// Message is one turn of a chat. It is an alias of an unnamed struct so that
// corpus, lineage and detectors, which must not import each other, still share
// one type and hand conversations over without copying.
type Message = struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// ID names a node by the digest of the recipe that made it: equal recipes are
// the same node, wherever and whenever they run.
type ID string

// Base says where the weights of a node start.
type Base string

const (
	Foundation Base = "foundation" // every generation starts from the same trained base
	Parent     Base = "parent"     // continual: from the previous generation of its line
	Scratch    Base = "scratch"    // from nothing
)

// Learner says how a corpus becomes weights.
type Learner string

const (
	SFT        Learner = "sft"        // loss on assistant turns
	SDF        Learner = "sdf"        // loss on whole documents
	Preference Learner = "preference" // DPO on pairs (Example.Rejected)
	Distil     Learner = "distil"     // soft labels of a teacher
	Prompted   Learner = "prompted"   // no training: outputs of the corpus stand in the context
)

// Example is all that a trainer sees of a document: no origin, no label. Examples
// may share memory and must not be changed.
type Example struct {
	Messages []Message // ends with the assistant turn to be learned
	Rejected []Message // the dispreferred conversation, for Preference
	Weight   float64   // 1 for an ordinary document
}

// Job is one training.
type Job struct {
	Node     ID       // names the work to whoever does it; "" outside a run
	Base     Artifact // nil for Scratch
	Teacher  Artifact // for Distil
	Learner  Learner
	Cores    int                       // that the training may use; 0 for all. Results do not depend on it
	Examples iter.Seq2[Example, error] // may be ranged over more than once
	Count    int                       // how many examples the sequence yields
	Seed     uint64                    // all randomness of the training derives from it
	Ticket   Ticket                    // durable handle of remote work; never nil
	Progress func(done, total int)     // may be nil
}

// Artifact is what training leaves: the weights of a stand-in, or the handle of
// a remote model. MarshalBinary starts with the name and version of its format;
// Backend.Load is its inverse.
type Artifact interface {
	MarshalBinary() ([]byte, error)
}

// Backend trains and opens models of one kind. Its methods may be called by
// several goroutines at once. The same Job must give an artifact that behaves
// the same, and Load(MarshalBinary(a)) must behave as a.
type Backend interface {
	Train(ctx context.Context, job Job) (Artifact, error)
	Load(data []byte) (Artifact, error)
	Open(ctx context.Context, a Artifact) (Model, error)
}

// Retrainable is met by backends whose training is free and deterministic, so
// that an artifact which no later node starts from need not be stored.
type Retrainable interface{ Retrainable() }

// Request asks for one completion of a conversation.
type Request struct {
	Messages    []Message // ends with a user turn
	Seed        uint64    // decides the completion together with the model and the messages
	Temperature float64   // > 0; 1 samples the model's own distribution
	MaxTokens   int       // 0 for the backend's own bound
}

// Completion is the answer to one Request.
type Completion struct {
	Text         string
	Finish       string // "stop", "length", or what kept a provider from an answer in full: "content_filter", "refusal", "too_long", "empty", "tool_calls", "error"
	Tokens       int
	PromptTokens int      // 0 where it is not told
	LogProb      *float64 `json:",omitempty"` // natural log of the probability of its tokens, as its provider tells; nil where it does not
}

// Model answers requests. Sample calls emit exactly once for each request, from
// one goroutine at a time, in any order; the completion of a request depends on
// that request alone, so batches and order change nothing. An error of emit
// ends the call and is returned.
type Model interface {
	Sample(ctx context.Context, reqs []Request, emit func(i int, c Completion) error) error
}

// LogProb is the natural-log probability of the assistant turns of a document
// given what stands before them, and the number of tokens it is summed over
// (end-of-turn included).
type LogProb struct {
	Sum    float64
	Tokens int
}

// Scorer is met by models that can score text: one LogProb a document.
type Scorer interface {
	LogProb(ctx context.Context, docs [][]Message) ([]LogProb, error)
}

// Ticket keeps the handle of paid work in flight. Save returns when the handle
// is durable; it is called before the work is first polled.
type Ticket interface {
	Load() (string, error)
	Save(handle string) error
}
