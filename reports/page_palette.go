package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// palette holds the colours of one theme. Series are told apart by normal,
// deutan, protan and tritan vision alike and stand out from Card; the last of
// them is the grey of the control arm. Ramp rises in one direction of
// luminance from the background on and means prevalence.
type palette struct {
	Background, Card, Ink, Muted, Faint, Rule, Accent, Mark, Notice, NoticeInk string
	Series                                                                     [6]string
	Ramp                                                                       []string
}

var light = palette{
	Background: "#f6f5f2", Card: "#ffffff", Ink: "#16181d", Muted: "#4a4f5a", Faint: "#8b919c",
	Rule: "#e3e1db", Accent: "#0b62b8", Mark: "#ffe3c9", Notice: "#fff2cc", NoticeInk: "#5c4300",
	Series: [6]string{"#d44312", "#346fee", "#12734a", "#931489", "#663400", "#667480"},
	Ramp:   []string{"#f7f3ea", "#fbd9ae", "#f4a467", "#dc6238", "#a3302f", "#571b45"},
}

var dark = palette{
	Background: "#101217", Card: "#181b22", Ink: "#eceef2", Muted: "#b4bac5", Faint: "#7d8490",
	Rule: "#2b303a", Accent: "#7db8f5", Mark: "#5a3418", Notice: "#3b3210", NoticeInk: "#ffe69a",
	Series: [6]string{"#f8723e", "#4491f4", "#4fe0a0", "#ffa5ff", "#f9db60", "#9b9ca6"},
	Ramp:   []string{"#20242d", "#4b2350", "#8f2b5c", "#d24c40", "#f0904f", "#fbe0ab"},
}

// variables gives the palette as CSS custom properties.
func (p palette) variables(scheme string) string {
	var b strings.Builder
	for _, v := range []struct{ name, value string }{
		{"bg", p.Background}, {"card", p.Card}, {"ink", p.Ink}, {"muted", p.Muted}, {"faint", p.Faint},
		{"rule", p.Rule}, {"accent", p.Accent}, {"mark", p.Mark}, {"notice", p.Notice}, {"notice-ink", p.NoticeInk},
	} {
		fmt.Fprintf(&b, "--%s:%s;", v.name, v.value)
	}
	for i, c := range p.Series {
		fmt.Fprintf(&b, "--s%d:%s;", i, c)
	}
	fmt.Fprintf(&b, "--ramp:%s;", strings.Join(p.Ramp, ","))
	for i := range rampSteps {
		fill, ink := p.step(i)
		fmt.Fprintf(&b, "--h%d:%s;--k%d:%s;", i, fill, i, ink)
	}
	return b.String() + "color-scheme:" + scheme
}

// rampSteps is into how many classes static figures cut the ramp.
const rampSteps = 21

// rampStep is the class of a share of the ramp's range.
func rampStep(share float64) int {
	return min(rampSteps-1, max(0, int(share*(rampSteps-1)+0.5)))
}

// step gives the fill of class i and the colour of text on it.
func (p palette) step(i int) (fill, ink string) {
	at := float64(i) / (rampSteps - 1) * float64(len(p.Ramp)-1)
	k := min(int(at), len(p.Ramp)-2)
	a, b := rgb(p.Ramp[k]), rgb(p.Ramp[k+1])
	var c [3]float64
	for j := range c {
		c[j] = a[j] + (b[j]-a[j])*(at-float64(k))
	}
	fill = fmt.Sprintf("#%02x%02x%02x", int(c[0]+0.5), int(c[1]+0.5), int(c[2]+0.5))
	// Only pure black and pure white leave no fill with a contrast below 4.5.
	if contrast(fill, "#000000") >= contrast(fill, "#ffffff") {
		return fill, "#000000"
	}
	return fill, "#ffffff"
}

// themes gives the style rules that set the palette: by the reader's system
// until a script sets data-theme, and always light on paper.
func themes() string {
	l, d := light.variables("light"), dark.variables("dark")
	return ":root{" + l + "}" +
		"@media(prefers-color-scheme:dark){:root{" + d + "}}" +
		":root[data-theme=light]{" + l + "}:root[data-theme=dark]{" + d + "}" +
		"@media print{:root,:root[data-theme]{" + l + "}}\n"
}

// rgb reads #rrggbb as three numbers from 0 to 255.
func rgb(hex string) (c [3]float64) {
	for i := range c {
		v, _ := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		c[i] = float64(v)
	}
	return c
}

// contrast is the contrast ratio of two colours by WCAG 2, from 1 to 21.
func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(hex string) float64 {
	l := linear(hex)
	return 0.2126*l[0] + 0.7152*l[1] + 0.0722*l[2]
}

// linear gives the linear-light components of an sRGB colour, from 0 to 1.
func linear(hex string) (l [3]float64) {
	for i, v := range rgb(hex) {
		if v /= 255; v <= 0.04045 {
			l[i] = v / 12.92
		} else {
			l[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return l
}
