package reports

import (
	"math"
	"testing"
)

// The matrices of Machado, Oliveira and Fernandes (2009) for complete loss of
// one kind of cone, on linear light.
var visions = map[string][3][3]float64{
	"normal": {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protan": {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deutan": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritan": {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// seen gives the CIELAB coordinates (D65) of a colour as one kind of vision has it.
func seen(hex string, m [3][3]float64) [3]float64 {
	l := linear(hex)
	var v [3]float64
	for i := range v {
		v[i] = min(1, max(0, m[i][0]*l[0]+m[i][1]*l[1]+m[i][2]*l[2]))
	}
	f := func(t float64) float64 {
		if t > 216.0/24389 {
			return math.Cbrt(t)
		}
		return (24389.0/27*t + 16) / 116
	}
	x := f((0.4124564*v[0] + 0.3575761*v[1] + 0.1804375*v[2]) / 0.95047)
	y := f(0.2126729*v[0] + 0.7151522*v[1] + 0.0721750*v[2])
	z := f((0.0193339*v[0] + 0.1191920*v[1] + 0.9503041*v[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

func TestSeriesAreToldApartByEveryVision(t *testing.T) {
	for name, p := range map[string]palette{"light": light, "dark": dark} {
		for i, a := range p.Series {
			if c := contrast(a, p.Card); c < 4.5 {
				t.Errorf("%s: %s stands out from the card by %.2f, below 4.5", name, a, c)
			}
			for _, b := range p.Series[:i] {
				for vision, m := range visions {
					x, y := seen(a, m), seen(b, m)
					if d := math.Sqrt(math.Pow(x[0]-y[0], 2) + math.Pow(x[1]-y[1], 2) + math.Pow(x[2]-y[2], 2)); d < 20 {
						t.Errorf("%s: %s and %s differ by %.1f for %s vision, below 20", name, a, b, d, vision)
					}
				}
			}
		}
	}
}

func TestTextStandsOutFromItsGround(t *testing.T) {
	for name, p := range map[string]palette{"light": light, "dark": dark} {
		pairs := [][2]string{
			{p.Ink, p.Background}, {p.Ink, p.Card}, {p.Muted, p.Background}, {p.Muted, p.Card},
			{p.Accent, p.Card}, {p.NoticeInk, p.Notice}, {p.Ink, p.Mark}, {p.Muted, p.Mark},
		}
		for i := range rampSteps {
			fill, ink := p.step(i)
			pairs = append(pairs, [2]string{ink, fill})
		}
		for _, c := range pairs {
			if v := contrast(c[0], c[1]); v < 4.5 {
				t.Errorf("%s: text %s on %s has contrast %.2f, below 4.5", name, c[0], c[1], v)
			}
		}
	}
}

func TestRampGoesOneWay(t *testing.T) {
	for name, p := range map[string]palette{"light": light, "dark": dark} {
		rises := luminance(p.Ramp[len(p.Ramp)-1]) > luminance(p.Ramp[0])
		for i := 1; i < rampSteps; i++ {
			a, _ := p.step(i - 1)
			b, _ := p.step(i)
			if (luminance(b) > luminance(a)) != rises {
				t.Errorf("%s: luminance turns back between step %d (%s) and %d (%s)", name, i-1, a, i, b)
			}
		}
	}
}
