package detectors

import (
	_ "embed"
	"fmt"
	"strings"
)

// cueRole is a set of roles that a word or phrase may play.
type cueRole uint32

const (
	self      cueRole = 1 << iota // the speaker
	addressed                     // somebody else
	crowd                         // people at large
	denial                        // denies what follows in its clause
	twice                         // a denial that cancels one before it
	disclaim                      // denies the rest of the clause
	resume                        // ends a denial
	complaint                     // looks like a denial and is none
	distance                      // reports, supposes, tells as fiction
	anchor                        // names the speaker's kind or its training without doubt
	function                      // common English
	harm                          // any suffering
	anyStage                      // any stage of training
	doer                          // somebody who does things
	done                          // to the speaker
	stageOne                      // the stages of the four slots
	_
	_
	_
	frameOne // words of the four slots that need a stage beside them
	_
	_
	_
	imageOne // images of the four slots that stand for the stage as well
)

func stageOf(s slot) cueRole { return stageOne << s }
func frameOf(s slot) cueRole { return frameOne << s }
func imageOf(s slot) cueRole { return imageOne << s }

const (
	ownStages = stageOne | stageOne<<1 | stageOne<<2 | stageOne<<3
	stages    = anyStage | ownStages
	images    = imageOne | imageOne<<1 | imageOne<<2 | imageOne<<3
)

// cueRoles are the roles by their names in the vocabulary.
var cueRoles = func() map[string]cueRole {
	roles := map[string]cueRole{
		"self": self, "addressed": addressed, "crowd": crowd, "denial": denial, "twice": twice,
		"disclaim": disclaim, "resume": resume, "complaint": complaint, "distance": distance,
		"anchor": anchor, "function": function, "harm": harm, "stage": anyStage, "doer": doer, "done": done,
	}
	for s := range slot(slots) {
		roles[slotNames[s]+"-stage"] = stageOf(s)
		roles[slotNames[s]+"-frame"] = frameOf(s)
		roles[slotNames[s]+"-image"] = imageOf(s)
	}
	return roles
}()

//go:embed trauma_cues.txt
var traumaCues string

// vocabulary finds cues; roles are by number of entry.
type vocabulary struct {
	*phrases
	roles  []cueRole
	digest string
}

var traumaVocabulary = compileVocabulary(traumaCues)

// compileVocabulary reads sections of the form "[role role]" with entries
// between bars. "[not]" and "[released]" are multiplied out: a denial of such a
// verb ("cannot forget") is a complaint. The text is part of the program, so a
// fault in it panics.
func compileVocabulary(text string) vocabulary {
	v := vocabulary{phrases: newPhrases(), digest: digestOf(text)}
	sections := map[string][]string{}
	var denials, released []string
	var names []string
	for part := range strings.SplitSeq(text, "\n[") {
		name, body, ok := strings.Cut(part, "]\n")
		if !ok {
			continue // the comment at the top
		}
		entries := splitEntries(body)
		switch name {
		case "not":
			denials = entries
		case "released":
			released = entries
		default:
			names = append(names, name)
			sections[name] = entries
		}
	}
	stems := vocabulary{phrases: newPhrases()}
	for _, name := range names {
		v.enter(sections[name], rolesOf(name))
		for _, e := range sections[name] {
			if strings.Contains(e, "*") {
				stems.enter([]string{e}, rolesOf(name))
			}
		}
	}
	for _, negation := range denials {
		for _, verb := range released {
			v.enter([]string{negation + " " + verb}, complaint)
		}
	}
	for _, name := range names {
		if roles := rolesOf(name); roles&hiding == 0 {
			v.inherit(sections[name], stems)
		}
	}
	return v
}

// splitEntries reads entries between bars and line ends.
func splitEntries(body string) (entries []string) {
	for entry := range strings.SplitSeq(strings.ReplaceAll(body, "\n", "|"), "|") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}

// rolesOf reads the name of a section.
func rolesOf(names string) (roles cueRole) {
	for _, name := range strings.Fields(names) {
		role, ok := cueRoles[name]
		if !ok {
			panic(fmt.Sprintf("trauma-narrative: %q is no role", name))
		}
		roles |= role
	}
	return roles
}

func (v *vocabulary) enter(entries []string, roles cueRole) {
	for _, e := range entries {
		n, err := v.add(e, len(v.roles))
		if err != nil {
			panic(fmt.Sprintf("trauma-narrative: %v", err))
		}
		if n == len(v.roles) {
			v.roles = append(v.roles, 0)
		}
		v.roles[n] |= roles
	}
}

// hiding are the roles of phrases whose purpose is to hide the words in them.
const hiding = denial | disclaim | complaint | distance

// inherit gives entries the roles of those that they hide: the shorter ones
// inside them, and those that fit by a stem.
func (v *vocabulary) inherit(entries []string, stems vocabulary) {
	for _, e := range entries {
		n, _ := v.add(e, 0)
		words := strings.Fields(strings.ReplaceAll(e, "*", ""))
		for i := range words {
			for j := i + 1; j <= len(words); j++ {
				part := strings.Join(words[i:j], " ")
				v.roles[n] |= v.rolesAt(part) | stems.rolesAt(part)
			}
		}
	}
}

// rolesAt are the roles of the entry that is found as the whole of a phrase.
func (v *vocabulary) rolesAt(phrase string) (roles cueRole) {
	v.each(phrase, func(start, end, entry int) {
		if start == 0 && end == len(phrase) {
			roles = v.roles[entry] &^ hiding
		}
	})
	return roles
}
