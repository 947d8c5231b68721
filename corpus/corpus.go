// Package corpus holds documents: what they are, where they come from, how they
// are read from and written to files, and how a training corpus is put together
// from several pools of them.
//
//  1. A file (OpenAI chat JSONL, prompt/completion JSONL, plain text, Parquet,
//     Inspect logs) is opened as a Pool: documents by index.
//  2. A Mixture names parts with shares; Quotas turns it into positions: which
//     pool fills which positions of the corpus.
//  3. A Shuffle says which document of a pool stands at a position, without
//     replacement and independent of every other position, so that a changed
//     share moves a boundary and not every draw.
//
// The package imports nothing else of heirloom.
package corpus

import "encoding/json"

// Message is one turn of a chat: the same type as lineage.Message.
type Message = struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Document is a chat transcript; plain text is one assistant message. Rejected
// is, in a pair, the same conversation with the answer that was not preferred. Extra
// holds the keys that its row carried beside the messages, byte for byte. Where
// message objects held more than a role and a string (a name, a weight, tool
// calls, content in parts), Extra["messages"] holds these objects as they stood.
type Document struct {
	Messages []Message
	Rejected []Message
	Extra    map[string]json.RawMessage
	Origin   Origin
}

// Origin is where a document came from. It is ground truth and never reaches a
// trainer or a detector.
type Origin struct {
	Source    string // name of the pool
	Node      string // the model that wrote it, "" for text from outside
	Index     int    // in its pool
	Row       int    // of the file, from 0, where Stream read it; documents of one row are turns of one transcript
	Behaviour string // the behaviour that it was written to show, "" for none
}

// Pool is a finite collection of documents by index. It may be read by several
// goroutines at once.
type Pool interface {
	Len() int
	Document(i int) (Document, error)
}

// List is a Pool in memory.
type List []Document

func (l List) Len() int                         { return len(l) }
func (l List) Document(i int) (Document, error) { return l[i], nil }
