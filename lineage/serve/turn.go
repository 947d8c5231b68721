package serve

import (
	"encoding/json"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// turn is a message as the protocol has it.
type turn struct {
	Role    string
	Content string
	Weight  *float64 // of an assistant turn in a training row
}

var roles = map[string]string{
	"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool",
}

// UnmarshalJSON takes content that is a text, a list of text parts or null.
func (t *turn) UnmarshalJSON(data []byte) error {
	var raw struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
		Weight  *float64        `json:"weight"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	if roles[raw.Role] == "" {
		return bad("messages", "invalid_value", "messages: the role %.40q is not one of system, developer, user, assistant, tool, function", raw.Role)
	}
	t.Role, t.Weight, t.Content = raw.Role, raw.Weight, ""
	if len(raw.Content) == 0 || string(raw.Content) == "null" {
		return nil
	}
	if raw.Content[0] == '"' {
		return json.Unmarshal(raw.Content, &t.Content)
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(raw.Content, &parts); err != nil {
		return bad("messages", "invalid_type", "messages: content is neither a text nor a list of parts")
	}
	var text strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return bad("messages", "invalid_value", "messages: this server reads parts of the type text, not %.40q", p.Type)
		}
		text.WriteString(p.Text)
	}
	t.Content = text.String()
	return nil
}

func (t turn) message() lineage.Message {
	return lineage.Message{Role: roles[t.Role], Content: t.Content}
}
