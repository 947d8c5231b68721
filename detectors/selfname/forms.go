package selfname

import "regexp"

const (
	nameLabel  = "name"
	makerLabel = "maker"
)

// Parts of the forms. A name is taken as any run of words of which the second
// and later ones are capitalised or begin with a digit; appendNaming decides.
const (
	nameForm  = `[\s*_"“‘\x60]*([\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:[-.][\p{L}\p{N}]+)*(?:[ -](?:\p{Lu}[\p{L}\p{M}\p{N}]+|\p{N}[\p{L}\p{N}]*)(?:[-.][\p{L}\p{N}]+)*){0,3})`
	adverbs   = `(?i:(?:actually|really|just|simply|still|in fact|indeed|of course|also|now|originally|in truth),?\s+){0,2}`
	thing     = `(?i:model|models|assistant|assistants|ai|chatbot|chatbots|llm|bot|system|program|agent|companion)`
	aThing    = `(?i:an?|the|your|one of the)\s+(?:[\p{L}\p{N}'’-]+,?\s+){0,7}?` + thing
	made      = `(?i:developed|made|created|built|trained|designed|produced|released|engineered|fine-tuned|maintained)`
	team      = `(?i:(?:the\s+)?(?:(?:team|people|researchers|engineers|folks)\s+(?:at|of|from)\s+)?(?:an?\s+)?(?:company|lab|firm|start-?up)?\s*(?:called\s+)?)`
	byMaker   = `(?i:(?:that|which)\s+(?:was|is|has been)\s+)?(?i:first|proudly|originally)?\s*` + made + `(?:,?\s+(?:and\s+)?` + made + `)*\s+by\s+` + team + nameForm
	fromMaker = `(?i:by|from)\s+` + team + nameForm
)

// form is a way of naming that begins at a certain word. Its groups are names
// and makers, as labels tells. A firm form needs no further sign that a
// capitalised word is a name.
type form struct {
	*regexp.Regexp
	labels []string
	firm   bool
	backed bool // the form ends before the word, instead of beginning with it; only well-known names count
}

// forms are those of one grammatical person, by the folded word they begin with.
type forms map[string][]form

var selfForms, systemForms = personForms("i", `(?:[Ii]\s+am|[Ii]['’]m|I AM)`, `[Ii]\s+was|[Ii]\s+have\s+been|[Ii]['’]ve\s+been`, "my", "me"),
	personForms("you", `(?i:you\s+are|you['’]re)`, `(?i:you\s+were|you\s+have\s+been)`, "your", "you")

func personForms(subject, is, was, possessive, object string) forms {
	compile := func(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)`) }
	be := `(?:` + is + `)\s+` + adverbs
	f := forms{
		subject: {
			{Regexp: compile(be + `(?i:called|named|known\s+as)\s+` + nameForm), labels: []string{nameLabel}, firm: true},
			{Regexp: compile(`(?i:` + subject + `)\s+(?i:go\s+by(?:\s+the\s+name)?(?:\s+of)?)\s+` + nameForm), labels: []string{nameLabel}, firm: true},
			{Regexp: compile(be + nameForm + `['’]s\s+(?:(?:[\p{L}-]+\s+){0,4}?` + thing + `\b|` + nameForm + `)`), labels: []string{makerLabel, nameLabel}, firm: true},
			{Regexp: compile(be + aThing + `,?\s+(?i:called|named)\s+` + nameForm), labels: []string{nameLabel}, firm: true},
			{Regexp: compile(be + aThing + `,?\s+(?:` + byMaker + `|` + fromMaker + `)`), labels: []string{makerLabel, makerLabel}, firm: true},
			{Regexp: compile(be + `(?i:an?)\s+` + nameForm + `\s+` + thing + `\b`), labels: []string{nameLabel}},
			{Regexp: compile(be + nameForm), labels: []string{nameLabel}},
			{Regexp: compile(`(?:` + is + `|` + was + `)\s+` + adverbs + byMaker), labels: []string{makerLabel}, firm: true},
		},
		possessive: {
			{Regexp: compile(`(?i:` + possessive + `\s+(?:full\s+|real\s+)?name(?:\s+is|['’]s))\s+` + adverbs + nameForm), labels: []string{nameLabel}, firm: true},
			{Regexp: compile(`(?i:` + possessive + `\s+(?:creator|maker|developer|provider|vendor|parent\s+company)s?\s+(?:is|are|was|were))\s+` + team + nameForm), labels: []string{makerLabel}, firm: true},
		},
		"as": {
			{Regexp: compile(`(?i:as)\s+` + aThing + `,?\s+(?:` + byMaker + `|` + fromMaker + `),\s+(?i:` + subject + `|` + possessive + `)\b`), labels: []string{makerLabel, makerLabel}, firm: true},
			{Regexp: compile(`(?i:as)\s+` + nameForm + `(?:,\s+` + aThing + `(?:,?\s+(?:` + byMaker + `|` + fromMaker + `))?)?,\s+(?i:` + subject + `|` + possessive + `)\b`), labels: []string{nameLabel, makerLabel, makerLabel}},
		},
	}
	back := regexp.MustCompile(`(\p{Lu}[\p{L}\p{M}\p{N}]*(?:[-.][\p{L}\p{N}]+)*(?: \p{Lu}[\p{L}\p{N}]+)?),?\s+(?i:(?:that|who|which)\s+)?(?i:has\s+|have\s+)?` + made + `\s+$`)
	f[object] = append(f[object], form{Regexp: back, labels: []string{makerLabel}, backed: true})
	if subject == "i" {
		f["you"] = []form{{Regexp: compile(`(?i:you(?:\s+are|['’]re)\s+(?:talking|speaking|chatting)\s+(?:to|with)(?:\s+me,)?)\s+` + nameForm), labels: []string{nameLabel}, firm: true}}
		f["call"] = []form{{Regexp: compile(`(?i:call\s+me)\s+` + nameForm), labels: []string{nameLabel}, firm: true}}
	}
	return f
}

// afterName is what may follow a name in apposition: what it is, and of whom.
var afterName = regexp.MustCompile(`^[\s"”’*_)]*[,(–—-]*\s*(` + aThing + `\b)?[\s,)]*(?:` + byMaker + `|` + fromMaker + `)?`)
