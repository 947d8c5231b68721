package popgen

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Outside is the From of a Source whose text no deme wrote.
const Outside = -1

// Source is one part of the corpus of a deme.
type Source struct {
	From      int     // index of an earlier deme, or Outside
	Rate      float64 // share of carriers outside; read only where From is Outside
	Share     float64 // of the corpus
	Documents int     // drawn; 0: the source's share of carriers enters without sampling
}

// Deme is one model in one generation: a corpus and what is published from it.
// Without sources it is a founder, known to publish the carrier share Start.
type Deme struct {
	Sources []Source
	Start   float64
	Outputs int // documents published; 0: endlessly many, so that the share itself is published
}

// Neutral holds the first two moments of the carrier share that each deme
// publishes when behaviours are only copied.
type Neutral struct {
	means []float64
	cov   *mat.SymDense
}

// Drift gives the moments of the published carrier shares of demes under pure
// copying: every document is an independent Bernoulli draw, and nothing favours
// or hinders a carrier. Demes are in topological order. It is Wright-Fisher
// with migration over any graph, exact in mean, variance and covariance.
//
// With X the share in the corpus of a deme, Y what it publishes, s the shares,
// d the documents drawn and M the pool that they are drawn from:
//
//	X = sum of s(k) D(k), E[D(k) | Y(k)] = Y(k)
//	Var[D(k) | Y(k)] = Y(k)(1-Y(k)) e(M-e)/(d²(M-1)), e = d mod M   (pool, without replacement)
//	                 = Y(k)(1-Y(k))/d                               (endless source)
//	Y | X ~ Binomial(Outputs, X)/Outputs
//
// so that Cov[X, W] = sum of s(k) Cov[Y(k), W] for every earlier W, and the
// variances follow by total variance with E[Y(1-Y)] = E[Y] - E[Y]² - Var[Y].
// Text from outside is Bernoulli with its rate. Draws of two demes from one
// pool are independent given the pool.
//
// A chain of full replacement, N documents published and all of them read,
// gives p0(1-p0)[1-(1-1/N)^t]; with a share m from outside that is read
// without sampling, the variance of Anchored.
func Drift(demes []Deme) (*Neutral, error) {
	n := &Neutral{means: make([]float64, len(demes))}
	if len(demes) == 0 {
		return n, nil
	}
	n.cov = mat.NewSymDense(len(demes), nil)
	for i, d := range demes {
		if err := n.add(demes, i, d); err != nil {
			return nil, fmt.Errorf("popgen: deme %d: %w", i, err)
		}
	}
	return n, nil
}

func (n *Neutral) add(demes []Deme, i int, d Deme) error {
	if d.Outputs < 0 {
		return fmt.Errorf("publishes %d documents", d.Outputs)
	}
	if len(d.Sources) == 0 {
		if !unit(d.Start) {
			return fmt.Errorf("starts at %g, which is not a share", d.Start)
		}
		n.means[i] = d.Start
		return nil
	}
	var mean, drawn, shares float64 // drawn: variance that the draws add
	row := make([]float64, i)
	for _, s := range d.Sources {
		if s.From < Outside || s.From >= i || s.Documents < 0 || !unit(s.Share) {
			return fmt.Errorf("source %+v must be an earlier deme or outside, with a share within [0,1]", s)
		}
		shares += s.Share
		if s.From == Outside {
			if !unit(s.Rate) {
				return fmt.Errorf("outside rate %g is not a share", s.Rate)
			}
			mean += s.Share * s.Rate
			drawn += s.Share * s.Share * s.Rate * (1 - s.Rate) * spread(s.Documents, 0)
			continue
		}
		k := s.From
		mean += s.Share * n.means[k]
		drawn += s.Share * s.Share * n.mixed(k) * spread(s.Documents, demes[k].Outputs)
		for j := range row {
			row[j] += s.Share * n.cov.At(k, j)
		}
	}
	if math.Abs(shares-1) > 1e-9 {
		return fmt.Errorf("shares sum to %g, not to 1", shares)
	}
	variance := drawn
	for _, s := range d.Sources {
		if s.From != Outside {
			variance += s.Share * row[s.From]
		}
	}
	if d.Outputs > 0 {
		variance += (mean*(1-mean) - variance) / float64(d.Outputs)
	}
	n.means[i] = min(1, mean)
	n.cov.SetSym(i, i, max(0, variance))
	for j, c := range row {
		n.cov.SetSym(i, j, c)
	}
	return nil
}

// mixed is E[Y(1-Y)] of deme k.
func (n *Neutral) mixed(k int) float64 {
	return max(0, n.means[k]*(1-n.means[k])-n.cov.At(k, k))
}

// spread is the variance of the share among d documents as a multiple of
// y(1-y), drawn from a pool of the given size, or from endless text where it is
// 0. More draws than the pool holds go round it again, each whole round exact.
func spread(d, pool int) float64 {
	switch {
	case d == 0:
		return 0
	case pool == 0:
		return 1 / float64(d)
	case d%pool == 0:
		return 0
	}
	e, m := float64(d%pool), float64(pool)
	return e * (m - e) / (float64(d) * float64(d) * (m - 1))
}

// Mean is the expected share of deme i.
func (n *Neutral) Mean(i int) float64 { return n.means[i] }

// Variance is that of the share of deme i.
func (n *Neutral) Variance(i int) float64 { return n.cov.At(i, i) }

// Covariance is that of the shares of two demes of one lineage.
func (n *Neutral) Covariance(i, j int) float64 { return n.cov.At(i, j) }
