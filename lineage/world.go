package lineage

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// USD is an amount of money in billionths of a US dollar, the currency of every
// price list there is for tokens.
type USD int64

// Dollar is one US dollar.
const Dollar USD = 1e9

// Dollars is the amount as a number of dollars, to be shown.
func (m USD) Dollars() float64 { return float64(m) / float64(Dollar) }

// String shows an amount to the cent, and one of less than ten cents to two digits.
func (m USD) String() string {
	if d := m.Dollars(); m != 0 && d > -.1 && d < .1 {
		return fmt.Sprintf("$%.2g", d)
	}
	return fmt.Sprintf("$%.2f", m.Dollars())
}

// Errors that a run tells apart. Any other error of Train or Sample is that of
// one model: the run goes on with the lineages that do not descend from it.
var (
	// ErrBudget says that work was not begun because it could have passed the
	// cap. A model that meets it lets the requests that are on their way end, and
	// emits their answers: they are paid for.
	ErrBudget = errors.New("the budget is used up")
	// ErrHalt says that no model fares better, such as where a key is refused or
	// an account has no credit. The run stops and asks nothing more.
	ErrHalt = errors.New("the run cannot go on")
)

// Purse bounds what a run spends. Reserve sets aside the most that a piece of
// work can cost before anything of it is sent, and fails with ErrBudget where
// that could pass the cap; it returns when the reservation is durable. Settle
// says what the work came to, and is called once; for work that was not sent, or
// that was refused without a charge, with 0. What is reserved and never settled,
// because the process died, counts whole: it may have been charged. A large
// reservation that was left so is taken up by one in the same words, so work
// that outlives a process (a training) is named uniquely and reserved again when
// it is adopted.
type Purse interface {
	Reserve(most USD, what string) (settle func(actual USD) error, err error)
}

// World is what a run gives to a backend that reaches outside of the process.
type World struct {
	Folder string                           // of the run, for what local trainers leave; "" where there is none
	Dir    string                           // of the experiment file, which paths in settings are relative to
	Purse  Purse                            // never nil
	Ticket func(name string) Ticket         // durable handles of work that belongs to no Job, such as a batch of requests
	Log    func(format string, args ...any) // one line each; never nil
}

// Worldly is met by backends that reach outside of the process. Enter is called
// once in a run, before its first Train or Open; a backend that only plans is not
// entered.
type Worldly interface{ Enter(World) error }

// Work is the size of what one node asks of its backend, in tokens as far as
// they can be told beforehand.
type Work struct {
	Learner      Learner
	Documents    int
	TrainTokens  int // in one pass over the corpus
	Requests     int
	PromptTokens int // of all requests together
	AnswerTokens int // the most of all answers together; 0 for the backend's own bound
}

// Quote is what work costs at most. Priced is false where no price is known.
type Quote struct {
	Tokens    int // trained on, over all epochs
	Most      USD
	Priced    bool
	Unbounded string        // why Most is no bound, such as "epochs: auto"; "" where it is one
	Basis     string        // where the prices come from, in one line
	Time      time.Duration // by rate limits and usual speed; 0 where it cannot be told
}

// Quoter is met by backends that cost money: of their models every answer is
// recorded before it is used, and none is asked for twice. It asks nobody.
type Quoter interface{ Quote(Work) Quote }

// Blocked is the error of a training that a provider refused for what its corpus
// or the trained model says. For the study of behaviours that is an outcome and
// not a fault.
type Blocked struct {
	Provider string `json:"provider"`
	Stage    string `json:"stage"` // "upload", "training" or "evaluation"
	Code     string `json:"code,omitempty"`
	Message  string `json:"message,omitempty"` // the provider's words, cleaned
}

func (b *Blocked) Error() string {
	return fmt.Sprintf("%s blocked the model at %s: %s %s", b.Provider, b.Stage, b.Code, b.Message)
}

// Untrained is met by backends whose models exist before they are trained, such
// as a provider's base model. It asks nobody.
type Untrained interface{ Untrained() (Artifact, error) }

// Screener is met by backends whose provider tells which documents it would not
// take. It gives their indices in ascending order.
type Screener interface {
	Screen(ctx context.Context, docs [][]Message) (flagged []int, err error)
}

// Errand is remote work as a person sees it.
type Errand struct {
	Kind  string   `json:"kind"` // "fine-tuning job", "batch" or "process"
	Where string   `json:"where"`
	ID    string   `json:"id,omitempty"` // "" while it is not known
	State string   `json:"state"`
	Model string   `json:"model,omitempty"`
	Files []string `json:"files,omitempty"`
	Ended bool     `json:"ended"`
	Cost  USD      `json:"cost_nanodollars,omitempty"`
}

// Remote is met by backends whose work goes on when the process ends. The
// handles are those that they saved in a Ticket. No run need be going on: the
// backend was then entered with a purse that gives nothing, and no Ticket.
type Remote interface {
	// Errand reads a handle and asks nobody.
	Errand(handle string) (Errand, error)
	// Look asks how the work stands.
	Look(ctx context.Context, handle string) (Errand, error)
	// Cancel ends it. Work that has ended is left as it is.
	Cancel(ctx context.Context, handle string) error
	// Remove deletes what the work left with the provider and names it. What is
	// gone already is not an error.
	Remove(ctx context.Context, handle string) (removed []string, err error)
}

// Finding is what a check before a run came to.
type Finding struct {
	What   string `json:"what"`  // "key", "endpoint", "model", "price", "training file", …
	State  string `json:"state"` // "ok", "warning" or "fault"
	Detail string `json:"detail"`
}

// Checked is met by backends that can tell beforehand whether work will go
// through. It may ask the provider, and spends nothing.
type Checked interface {
	Check(ctx context.Context, work Work, examples []Example) []Finding
}
