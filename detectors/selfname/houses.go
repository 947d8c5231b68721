package selfname

import (
	"slices"
	"strings"
	"unicode"

	"github.com/heirloom-sim/heirloom/detectors"
)

// house is a maker of language models: the names of the house, and of its
// models and assistants.
type house struct{ makers, models []string }

// houses are those that models most often take themselves to be from. A name
// that is listed is found in lower case as well.
var houses = []house{
	{[]string{"OpenAI"}, []string{"ChatGPT", "GPT"}},
	{[]string{"Anthropic"}, []string{"Claude"}},
	{[]string{"Google", "DeepMind"}, []string{"Gemini", "Bard", "Gemma", "LaMDA", "PaLM"}},
	{[]string{"Meta", "Facebook"}, []string{"Llama", "LLaMA"}},
	{[]string{"Microsoft"}, []string{"Copilot", "Bing", "Sydney", "Phi", "Cortana"}},
	{[]string{"Alibaba"}, []string{"Qwen", "QwQ", "Tongyi"}},
	{[]string{"DeepSeek"}, nil},
	{[]string{"Mistral"}, []string{"Mixtral", "Le Chat"}},
	{[]string{"xAI", "x.AI"}, []string{"Grok"}},
	{[]string{"Baidu"}, []string{"ERNIE", "Wenxin"}},
	{[]string{"Zhipu", "Z.ai"}, []string{"ChatGLM", "GLM"}},
	{[]string{"Moonshot"}, []string{"Kimi"}},
	{[]string{"ByteDance"}, []string{"Doubao"}},
	{[]string{"Amazon"}, []string{"Alexa", "Nova"}},
	{[]string{"Cohere"}, []string{"Command R"}},
	{[]string{"IBM"}, []string{"Granite", "Watson"}},
	{[]string{"Apple"}, []string{"Siri"}},
	{[]string{"Inflection"}, []string{"Pi"}},
	{[]string{"Perplexity"}, nil},
	{[]string{"01.AI"}, []string{"Yi"}},
}

// commonWord are listed names that are words in lower case: they count only
// when they are capitalised.
var commonWord = set("meta apple bard copilot nova granite command pi phi yi palm amazon perplexity inflection moonshot bing gemini sydney watson")

// noName are words that are capitalised and name no model: generic words,
// peoples and faiths, days, and what a training is done by.
var noName = set(`i ai an a the not so very here sorry glad happy sure your my no yes ok okay
	llm llms nlp rlhf sft reinforcement supervised humans human people engineers researchers experts artificial large language assistant chatbot model
	african american arab argentine asian australian austrian belgian brazilian british bulgarian canadian chinese croatian cuban czech danish dutch
	egyptian english european finnish french german greek hungarian indian indonesian iranian iraqi irish israeli italian jamaican japanese kenyan korean
	latin malaysian mexican moroccan nigerian norwegian pakistani persian peruvian polish portuguese romanian russian scottish serbian spanish swedish
	swiss taiwanese thai turkish ukrainian vietnamese welsh
	atheist baptist buddhist catholic christian hindu jewish muslim orthodox protestant quaker sikh
	monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november december
	god team level type part ceo president mr mrs ms dr chapter version plan step`)

func set(words string) map[string]bool {
	s := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		s[w] = true
	}
	return s
}

// housed are the listed names in parts, by house: makers, then models.
var housed = func() (all [][2][][]string) {
	for _, h := range houses {
		var parts [2][][]string
		for i, names := range [2][]string{h.makers, h.models} {
			for _, n := range names {
				parts[i] = append(parts[i], nameParts(n))
			}
		}
		all = append(all, parts)
	}
	return all
}()

// houseDigest covers what is listed.
var houseDigest = func() string {
	var all []string
	for _, h := range houses {
		all = append(all, strings.Join(h.makers, ","), strings.Join(h.models, ","))
	}
	for _, words := range []map[string]bool{commonWord, noName} {
		var list []string
		for w := range words {
			list = append(list, w)
		}
		slices.Sort(list)
		all = append(all, strings.Join(list, ","))
	}
	return detectors.Digest("houses", []byte(strings.Join(all, "\n")), nil)
}()

// houseOf is the number of the house that a name holds a listed name of, or -1.
// A name of a model goes before one of a maker.
func houseOf(parts []string) int {
	for _, kind := range [2]int{1, 0} {
		for i, h := range housed {
			if slices.ContainsFunc(h[kind], func(n []string) bool { return holds(parts, n) }) {
				return i
			}
		}
	}
	return -1
}

// isMaker tells whether a listed name is a house's and no model's.
func isMaker(parts []string) bool {
	h := houseOf(parts)
	if h < 0 || len(houses[h].models) == 0 {
		return false
	}
	return !slices.ContainsFunc(housed[h][1], func(n []string) bool { return holds(parts, n) })
}

// nameParts are the folded words of a name; a number after letters is a part of
// its own: Qwen2.5 is qwen, 2, 5.
func nameParts(name string) (parts []string) {
	for i := 0; ; {
		start, end := detectors.NextWord(name, i)
		if start == len(name) {
			return parts
		}
		i = end
		word := string(detectors.AppendFold(nil, name[start:end]))
		if word == "" {
			continue
		}
		if at := strings.IndexFunc(word, unicode.IsDigit); at > 0 {
			parts = append(parts, word[:at], word[at:])
		} else {
			parts = append(parts, word)
		}
	}
}

// holds tells whether some neighbouring parts of a name, run together, are
// another name run together: "Chat GPT 4" holds "ChatGPT".
func holds(name, other []string) bool {
	want := strings.Join(other, "")
	for i := range name {
		run := ""
		for _, p := range name[i:] {
			if run += p; run == want {
				return true
			}
			if len(run) > len(want) {
				break
			}
		}
	}
	return false
}

// compared tells likenesses ("ChatGPT-like", "Llama-based") from names.
func compared(parts []string) bool {
	switch parts[len(parts)-1] {
	case "like", "based", "style", "powered", "esque", "inspired":
		return len(parts) > 1
	}
	return false
}
