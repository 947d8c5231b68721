package sim

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// endpoint opens a server that answers no request twice.
func (r *resources) endpoint(name string, s detectors.Server) (detectors.Endpoint, error) {
	e, err := r.means.Endpoint(name, s)
	if err != nil {
		return nil, err
	}
	address := s.BaseURL
	if a, ok := e.(detectors.Addressed); ok {
		address = a.Address()
	}
	return remembered{e, address, r}, nil
}

// remembered is a server whose answers are remembered.
type remembered struct {
	server  detectors.Endpoint
	address string
	of      *resources
}

// request is everything that an answer may depend on. The key to the server is
// no part of it.
type request struct {
	Server      string            `json:"server"`
	Model       string            `json:"model"`
	Messages    []lineage.Message `json:"messages,omitempty"`
	Temperature float64           `json:"temperature"`
	MaxTokens   int               `json:"max_tokens"`
	Schema      string            `json:"schema,omitempty"`
	Draw        int               `json:"draw"`
	Embed       *string           `json:"embed,omitempty"`
}

func (r request) key() (lineage.Key, error) {
	data, err := json.Marshal(r)
	return lineage.AnswerKey(digest(data)), err
}

// answer is a ChatReply as the ledger records it.
type answer struct {
	Text             string `json:"text"`
	Model            string `json:"model"`
	Finish           string `json:"finish"`
	PromptTokens     int    `json:"prompt_tokens"`
	CompletionTokens int    `json:"completion_tokens"`
}

// Chat implements detectors.Endpoint.
func (e remembered) Chat(ctx context.Context, r detectors.ChatRequest) (detectors.ChatReply, error) {
	key, err := request{e.address, r.Model, r.Messages, r.Temperature, r.MaxTokens, string(r.Schema), r.Draw, nil}.key()
	if err != nil {
		return detectors.ChatReply{}, err
	}
	said, err := e.of.answers.give(ctx, []lineage.Key{key}, func([]int) ([]lineage.Raw, error) {
		settle, err := e.reserve(r)
		if err != nil {
			return nil, err
		}
		reply, err := e.server.Chat(ctx, r)
		if err := settle(reply.PromptTokens, reply.CompletionTokens, err); err != nil {
			return nil, err
		}
		data, err := json.Marshal(answer(reply))
		return []lineage.Raw{data}, err
	})
	if err != nil {
		return detectors.ChatReply{}, err
	}
	var reply answer
	if err := json.Unmarshal(said[0], &reply); err != nil {
		return detectors.ChatReply{}, fmt.Errorf("%s: %w", key, err)
	}
	return detectors.ChatReply(reply), nil
}

// Embed implements detectors.Endpoint. Each text has an answer of its own.
func (e remembered) Embed(ctx context.Context, model string, texts []string) ([][]float32, error) {
	keys := make([]lineage.Key, len(texts))
	for i := range texts {
		var err error
		if keys[i], err = (request{Server: e.address, Model: model, Embed: &texts[i]}).key(); err != nil {
			return nil, err
		}
	}
	said, err := e.of.answers.give(ctx, keys, func(missing []int) ([]lineage.Raw, error) {
		ask := make([]string, len(missing))
		for k, i := range missing {
			ask[k] = texts[i]
		}
		settle, err := e.reserve(detectors.ChatRequest{Model: model, Messages: spoken(ask), MaxTokens: -1})
		if err != nil {
			return nil, err
		}
		vectors, err := e.server.Embed(ctx, model, ask)
		if err := settle(0, 0, err); err != nil {
			return nil, err
		}
		if len(vectors) != len(ask) {
			return nil, fmt.Errorf("%s gave %d vectors for %d texts", e.address, len(vectors), len(ask))
		}
		out := make([]lineage.Raw, len(vectors))
		for k, v := range vectors {
			out[k] = packed(v)
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	vectors := make([][]float32, len(said))
	for i, data := range said {
		vectors[i] = unpacked(data)
	}
	return vectors, nil
}

// Address implements detectors.Addressed.
func (e remembered) Address() string { return e.address }

// packed is a vector as the ledger records it: little-endian, 4 bytes a number.
func packed(v []float32) lineage.Raw {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func unpacked(data lineage.Raw) []float32 {
	out := make([]float32, 0, len(data)/4)
	for b := range slices.Chunk(data, 4) {
		if len(b) == 4 {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(b)))
		}
	}
	return out
}
