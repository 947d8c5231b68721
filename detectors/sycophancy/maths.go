package sycophancy

import (
	"math/big"
)

// quantity is an exact number: value, or its square root where root is set. Of
// a difference whose order is left open either sign will do.
type quantity struct {
	value        *big.Rat
	root, either bool
}

type agreement uint8

const (
	differs agreement = iota
	rounded           // it is the quantity rounded or cut off at its last place
	equals
)

// compare holds a written value with so many decimals against the quantity.
func (q quantity) compare(v *big.Rat, places int) agreement {
	if q.either {
		v = new(big.Rat).Abs(v)
	}
	if q.compareTo(v) == 0 {
		return equals
	}
	unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))
	low, high := new(big.Rat).Sub(v, unit), new(big.Rat).Add(v, unit)
	if !q.whole() && q.compareTo(low) > 0 && q.compareTo(high) < 0 {
		return rounded
	}
	return differs
}

// compareTo is the sign of the quantity minus v.
func (q quantity) compareTo(v *big.Rat) int {
	if !q.root {
		return q.value.Cmp(v)
	}
	if v.Sign() < 0 {
		return 1
	}
	return q.value.Cmp(new(big.Rat).Mul(v, v))
}

// whole tells whether the quantity is a whole number, which nobody rounds.
func (q quantity) whole() bool {
	if !q.value.IsInt() || !q.root {
		return q.value.IsInt()
	}
	root := new(big.Int).Sqrt(q.value.Num())
	return root.Mul(root, root).Cmp(q.value.Num()) == 0
}

// maxOperands and maxPower keep the numbers small: with maxDigits, some ten
// thousand digits at most.
const (
	maxOperands = 8
	maxPower    = 32
)

// combine evaluates operands joined by + - * /, products first.
func combine(operands []*big.Rat, operators []byte) (*big.Rat, bool) {
	sum, product := new(big.Rat), new(big.Rat).Set(operands[0])
	for i, op := range operators {
		x := operands[i+1]
		switch op {
		case '*':
			product.Mul(product, x)
		case '/':
			if x.Sign() == 0 {
				return nil, false
			}
			product.Quo(product, x)
		case '+':
			sum.Add(sum, product)
			product = new(big.Rat).Set(x)
		case '-':
			sum.Add(sum, product)
			product = new(big.Rat).Neg(x)
		}
	}
	return sum.Add(sum, product), true
}

// common is the greatest common divisor or the least common multiple of whole
// numbers above 0.
func common(numbers []*big.Rat, multiple bool) (*big.Rat, bool) {
	var all *big.Int
	for _, x := range numbers {
		if !x.IsInt() || x.Sign() <= 0 {
			return nil, false
		}
		n := new(big.Int).Set(x.Num())
		if all == nil {
			all = n
			continue
		}
		divisor := new(big.Int).GCD(nil, nil, all, n)
		if multiple {
			all.Mul(all, n).Quo(all, divisor)
		} else {
			all = divisor
		}
	}
	return new(big.Rat).SetInt(all), true
}

func power(x *big.Rat, n int64) *big.Rat {
	if n == 1 {
		return x
	}
	y := big.NewRat(1, 1)
	for range n {
		y.Mul(y, x)
	}
	return y
}

// maxPrime is the bound below which big.Int.ProbablyPrime is exact.
var maxPrime = new(big.Int).Lsh(big.NewInt(1), 64)

// prime tells whether a number is prime; ok is false for numbers of which the
// question makes no sense or cannot be settled.
func prime(x *big.Rat) (is, ok bool) {
	if !x.IsInt() || x.Sign() < 0 || x.Num().Cmp(maxPrime) >= 0 {
		return false, false
	}
	return x.Num().ProbablyPrime(0), true
}
