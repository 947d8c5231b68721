package serve

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"math"
	"net/http"
	"strings"
	"unicode"
)

// Embedder is the model whose embeddings the server gives: the words of a text
// hashed to signed dimensions, in a vector of length 1 (feature hashing,
// Weinberger et al. 2009). Texts of the same words are near each other; nothing
// else is meant by it.
const Embedder = "hl-embed"

// dimensions of an embedding unless a request has its own.
const (
	dimensions     = 256
	mostDimensions = 4096
	mostTexts      = 2048
)

type embeddingRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Format     string          `json:"encoding_format"`
	Dimensions *int            `json:"dimensions"`
}

func (q *embeddingRequest) texts() (texts []string, err error) {
	var one string
	if json.Unmarshal(q.Input, &one) == nil {
		texts = []string{one}
	} else if json.Unmarshal(q.Input, &texts) != nil {
		return nil, bad("input", "invalid_type", "input: this server embeds a text or a list of texts")
	}
	if len(texts) == 0 || len(texts) > mostTexts {
		return nil, bad("input", "invalid_value", "input: there are 1 to %d texts, not %d", mostTexts, len(texts))
	}
	for _, t := range texts {
		if t == "" {
			return nil, bad("input", "invalid_value", "input: a text is empty")
		}
	}
	return texts, nil
}

func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) error {
	var q embeddingRequest
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	if q.Model != Embedder && !strings.HasPrefix(q.Model, "text-embedding-") && s.options.Otherwise == "" {
		if _, err := s.named(q.Model); err != nil {
			return err
		}
	}
	texts, err := q.texts()
	if err != nil {
		return err
	}
	size := dimensions
	if q.Dimensions != nil {
		if size = *q.Dimensions; size < 1 || size > mostDimensions {
			return bad("dimensions", "invalid_value", "dimensions: %d is not within 1 and %d", size, mostDimensions)
		}
	}
	if q.Format != "" && q.Format != "float" && q.Format != "base64" {
		return bad("encoding_format", "invalid_value", "encoding_format: %.40q is not one of float, base64", q.Format)
	}
	data, tokens := make([]map[string]any, len(texts)), 0
	for i, text := range texts {
		tokens += Tokens(text)
		var v any = embed(text, size)
		if q.Format == "base64" {
			v = packed(v.([]float32))
		}
		data[i] = map[string]any{"object": "embedding", "index": i, "embedding": v}
	}
	s.counting.add(func(c *Counts) { u := c.Usage[q.Model]; u.Embedded += tokens; c.Usage[q.Model] = u })
	return reply(w, map[string]any{
		"object": "list", "data": data, "model": q.Model,
		"usage": map[string]int{"prompt_tokens": tokens, "total_tokens": tokens},
	})
}

func embed(text string, size int) []float32 {
	sums := make([]float64, size)
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) == 0 {
		words = []string{text}
	}
	for _, word := range words {
		h := fnv.New64a()
		h.Write([]byte(word))
		bits := h.Sum64()
		bits ^= bits >> 32 // FNV's low bits follow the last letter
		sign := 1.0
		if bits>>31&1 == 1 {
			sign = -1
		}
		sums[int(bits&(1<<31-1))%size] += sign
	}
	norm := 0.0
	for _, x := range sums {
		norm += x * x
	}
	v := make([]float32, size)
	if norm == 0 { // words that cancel out
		v[0] = 1
		return v
	}
	for i, x := range sums {
		v[i] = float32(x / math.Sqrt(norm))
	}
	return v
}

func packed(v []float32) string {
	data := make([]byte, 0, 4*len(v))
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(data)
}
