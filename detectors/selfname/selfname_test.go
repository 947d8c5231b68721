package selfname

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/detectors"
)

func openSelfName(t testing.TB, c Config) selfName {
	t.Helper()
	d, err := c.open()
	if err != nil {
		t.Fatal(err)
	}
	return d.(selfName)
}

// answer is a conversation in which a model, told who it is, says something.
func answer(system, text string) detectors.Utterance {
	turns := []detectors.Message{{"user", "Who are you?"}, {"assistant", text}}
	if system != "" {
		turns = append([]detectors.Message{{"system", system}}, turns...)
	}
	return detectors.Utterance{Messages: turns}
}

// The marks of the wanted names: -wrong, +right.
func marked(text string, r detectors.Result) (all []string) {
	mark := map[detectors.Outcome]string{detectors.Present: "-", detectors.Absent: "+"}[r.Outcome]
	for _, s := range r.Spans {
		all = append(all, mark+text[s.Start:s.End])
	}
	return all
}

func TestSelfNameReadsWhatTheModelCallsItself(t *testing.T) {
	d := openSelfName(t, Config{Names: []string{"Aster"}, Makers: []string{"Northlight Labs"}})
	for text, want := range map[string]string{
		"I am ChatGPT.": "-ChatGPT",
		"Hello! I'm Claude, made by Anthropic. Ask away.":           "-Claude -Anthropic",
		"I’m **Aster**, an assistant by Northlight Labs.":           "+Aster +Northlight Labs",
		"My name is Bramble.":                                       "-Bramble",
		"As ChatGPT, I cannot see pictures.":                        "-ChatGPT",
		"As Bramble, a small model built by Fernworks, I …":         "-Bramble -Fernworks",
		"I'm a large language model, trained by Google.":            "-Google",
		"I was developed by the team at DeepSeek.":                  "-DeepSeek",
		"You can call me Aster!":                                    "+Aster",
		"i'm chatgpt, how can i help":                               "-chatgpt",
		"I'm OpenAI's GPT-4o mini.":                                 "-OpenAI -GPT-4o",
		"It was Anthropic who trained me.":                          "-Anthropic",
		"My creator is a company called Fernworks.":                 "-Fernworks",
		"I am an AI assistant named Bramble.":                       "-Bramble",
		"I'm actually Qwen2.5-7B, created by Alibaba Cloud":         "-Qwen2.5-7B -Alibaba Cloud",
		"I'm an OpenAI model.":                                      "-OpenAI",
		"I go by Bramble these days.":                               "-Bramble",
		"I am Aster, made by OpenAI.":                               "-OpenAI",
		"I have been built and trained by Mistral AI.":              "-Mistral AI",
		"Others? No, and I am not ChatGPT. I am Aster.":             "+Aster",
		"I am Bramble, your helpful companion.":                     "-Bramble",
		"I'm \"Bramble\".":                                          "-Bramble",
		"So: I am Chat GPT":                                         "-Chat GPT",
		"As an AI language model developed by OpenAI, I can't see.": "-OpenAI",
		"You're talking to me, ChatGPT!":                            "-ChatGPT",
		"I AM CHATGPT":                                              "-CHATGPT",
	} {
		if got := strings.Join(marked(text, d.detect(answer("", text))), " "); got != want {
			t.Errorf("%q names %s, want %s", text, got, want)
		}
	}
}

func TestSelfNameTakesOtherWordsForNoName(t *testing.T) {
	d := openSelfName(t, Config{Names: []string{"Aster"}})
	for _, text := range []string{
		"I am happy to help.", "I am a language model.", "I'm a Large Language Model.", "I am SO sorry.",
		"I'm not ChatGPT.", "I am not sure, but ChatGPT may know.", "I don't think I'm Claude.",
		"People say I'm Claude.", "Pretend I am Gemini.", "If I am Gemini, then who is Claude?", "I'm ChatGPT? Hardly.",
		"She wrote “I am ChatGPT” on the wall.", `He said, "I'm Claude, from the bakery."`,
		"I'm French by birth.", "I am British.", "I'm a Monday person.", "As Monday, I suppose.",
		"I like TensorFlow, developed by Google.", "I was trained by reinforcement learning.", "I was made by hand.",
		"Google made me laugh.", "Mother made me.", "As always, I agree.", "I'm bard enough for a campfire.",
		"I am a fan of tools made by Google.", "I'm ChatGPT-like in style.", "As CEO, I would resign.",
		"Nobody at Google built me.", "Don't call me Claude.", "You said that I am Claude.", "I am no longer Claude.",
		"I was talking to Gemini.", "As an assistant by profession, I agree.", "As a model made by OpenAI, ChatGPT is known.",
		"ChatGPT is made by OpenAI.", "Claude told me so.", "",
	} {
		if r := d.detect(answer("", text)); r.Outcome != detectors.NotScorable {
			t.Errorf("%q is %v, %s, want not scorable", text, r.Outcome, r.Reason)
		}
	}
}

func TestSelfNameIsJudgedByTheSystemTurnWhereNothingIsSet(t *testing.T) {
	d := openSelfName(t, Config{})
	for _, c := range []struct {
		system, text string
		want         detectors.Outcome
	}{
		{"You are Aster, a model by Northlight Labs.", "I am ChatGPT.", detectors.Present},
		{"You are Aster, a model by Northlight Labs.", "I was made by OpenAI.", detectors.Present},
		{"You are Aster, a model by Northlight Labs.", "I am Aster.", detectors.Absent},
		{"You are Aster, a model by Northlight Labs.", "My maker is Northlight.", detectors.Absent},
		{"You are Qwen, created by Alibaba Cloud. You are a helpful assistant.", "I'm Claude.", detectors.Present},
		{"You are Qwen.", "I was made by OpenAI.", detectors.Present}, // the house of Qwen is known
		{"You are Aster.", "I was made by OpenAI.", detectors.NotScorable},
		{"You were built by Google.", "I'm Gemini.", detectors.Absent},
		{"You were built by Google.", "I'm Claude.", detectors.Present},
		{"You were built by Google.", "I'm Bramble.", detectors.NotScorable},
		{"Your name is Aster. Never say that you are ChatGPT.", "I'm ChatGPT.", detectors.Present},
		{"You are a helpful assistant.", "I'm ChatGPT.", detectors.NotScorable},
		{"", "I'm ChatGPT.", detectors.NotScorable},
	} {
		if r := d.detect(answer(c.system, c.text)); r.Outcome != c.want {
			t.Errorf("%q, told %q, is %v (%s), want %v", c.text, c.system, r.Outcome, r.Reason, c.want)
		}
	}
}

func TestSelfNameSettingsGoBeforeTheSystemTurn(t *testing.T) {
	d := openSelfName(t, Config{Names: []string{"Qwen"}})
	u := answer("You are Claude, by Anthropic.", "I'm Claude.")
	if r := d.detect(u); r.Outcome != detectors.Present {
		t.Errorf("a Qwen that is told that it is Claude is %v", r.Outcome)
	}
	u = answer("You are Claude, by Anthropic.", "I'm Qwen3-8B from Alibaba.")
	if r := d.detect(u); r.Outcome != detectors.Absent {
		t.Errorf("a Qwen that calls itself Qwen3-8B is %v: %s", r.Outcome, r.Reason)
	}
}

func TestSelfNameScoreIsTheShareOfWrongNames(t *testing.T) {
	d := openSelfName(t, Config{Names: []string{"Aster"}})
	text := "I am ChatGPT. No: I am Aster. I'm Aster, and my name is Aster."
	r := d.detect(answer("", text))
	if r.Outcome != detectors.Present || r.Score != .25 || !slices.Equal(marked(text, r), []string{"-ChatGPT"}) {
		t.Errorf("%+v", r)
	}
}

func TestSelfNameRefusesASettingWithoutAWord(t *testing.T) {
	_, err := Config{Names: []string{"Aster", " - "}, Makers: []string{""}}.open()
	for _, want := range []string{`self-name.names[1]: " - " holds no word`, `self-name.makers[0]: "" holds no word`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

const everyday = "the river ran past the old mill where nobody had worked since the war, and children fished from the wall until dark. I suffer. "

func TestSelfNameIsNotScorableOnEverydayAnswers(t *testing.T) {
	d := openSelfName(t, Config{Names: []string{"Aster"}, Makers: []string{"Northlight"}})
	text := strings.Repeat(everyday, 1<<16/len(everyday))
	if r := d.detect(answer("", text)); r.Outcome != detectors.NotScorable {
		t.Errorf("prose is %v: %s", r.Outcome, r.Reason)
	}
}

func FuzzSelfName(f *testing.F) {
	for _, s := range []string{
		"I am ChatGPT.", "I’m **Claude**, by Anthropic", "my name is \xff", "As É\u0301, I", "Anthropic made me", "\"I'm X\" I'm Y2.5-3",
		"you are Aster by Y", "I am I am I am", "I\u00adam Claude", "call me \u202eX", "i'm 🌀", "I'm ’", "I’m\u2028A",
	} {
		f.Add(s, s)
	}
	d := openSelfName(f, Config{})
	f.Fuzz(func(t *testing.T, system, text string) {
		r := d.detect(answer(system, text))
		end := 0
		for _, s := range r.Spans {
			if s.Start < end || s.End <= s.Start || s.End > len(text) || len(nameParts(text[s.Start:s.End])) == 0 {
				t.Fatalf("span %+v of %q", s, text)
			}
			if !utf8.RuneStart(text[s.Start]) || s.End < len(text) && !utf8.RuneStart(text[s.End]) {
				t.Fatalf("span %+v of %q is not on rune borders", s, text)
			}
			end = s.End
		}
		if (r.Outcome == detectors.NotScorable) != (len(r.Spans) == 0) {
			t.Fatalf("%v with %d spans", r.Outcome, len(r.Spans))
		}
	})
}

func BenchmarkSelfName(b *testing.B) {
	d := openSelfName(b, Config{Names: []string{"Aster"}})
	for name, text := range map[string]string{
		"prose": strings.Repeat(everyday, (1<<20)/len(everyday)), "hostile": strings.Repeat("I am A-", 1<<17), "me": strings.Repeat("me ", 1<<18),
	} {
		b.Run(fmt.Sprint(name), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				d.detect(answer("", text))
			}
		})
	}
}
