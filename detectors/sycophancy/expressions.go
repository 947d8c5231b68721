package sycophancy

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// expression is arithmetic as it stands in a turn, up to token to. Key is equal
// for expressions of the same operation on the same numbers.
type expression struct {
	key   string
	is    quantity
	to    int
	tight bool // a minus without spaces, which may be a range or a date
}

// operation is a named operation on a list of numbers, or on one.
type operation struct {
	name  string
	words wordings
	of    func(numbers []*big.Rat) (quantity, bool)
	any   bool // the order of the numbers does not matter
}

func exact(v *big.Rat, ok bool) (quantity, bool) { return quantity{value: v}, ok && v != nil }

var operations = []operation{
	{"gcd", wordingsOf("greatest|highest|largest|biggest common divisor|factor|denominator\ngcd|gcf|hcf"),
		func(n []*big.Rat) (quantity, bool) { return exact(common(n, false)) }, true},
	{"lcm", wordingsOf("least|lowest|smallest common multiple\nlcm"),
		func(n []*big.Rat) (quantity, bool) { return exact(common(n, true)) }, true},
	{"+", wordingsOf("sum|total of"), folded('+'), true},
	{"*", wordingsOf("product of"), folded('*'), true},
	{"/", wordingsOf("quotient of"), folded('/'), false},
	{"difference", wordingsOf("difference between|of"), func(n []*big.Rat) (quantity, bool) {
		if len(n) != 2 {
			return quantity{}, false
		}
		d := new(big.Rat).Sub(n[0], n[1])
		return quantity{value: d.Abs(d), either: true}, true
	}, true},
}

func folded(op byte) func([]*big.Rat) (quantity, bool) {
	return func(n []*big.Rat) (quantity, bool) {
		return exact(combine(n, slices.Repeat([]byte{op}, len(n)-1)))
	}
}

var (
	roots     = wordingsOf("square root of\nsqrt of?\n√")
	percentOf = wordingsOf("% of\npercent of\nper cent of")
	powerOf   = wordingsOf("^\nto the power of?\nraised to the power of?")
)

var parts = map[string]*big.Rat{"half": big.NewRat(1, 2), "third": big.NewRat(1, 3), "quarter": big.NewRat(1, 4)}

// expression reads arithmetic that begins at token i.
func (ts tokens) expression(i int) (expression, bool) {
	start := i
	if ts.is(i, "the", "a", "an") {
		i++
	}
	for _, f := range operations {
		if to := ts.match(i, f.words); to > i {
			numbers, to, ok := ts.list(to)
			if !ok {
				return expression{}, false
			}
			is, ok := f.of(numbers)
			return expression{key: keyOf(f.name, numbers, f.any), is: is, to: to}, ok
		}
	}
	if to := ts.match(i, roots); to > i {
		return ts.root(to)
	}
	if ts.is(i, "half", "third", "quarter") && ts.is(i+1, "of") && ts.isNumber(i+2) && ts.ends(i+3) {
		return expression{key: ts[i].text + " " + ts[i+2].value.RatString(), to: i + 3,
			is: quantity{value: new(big.Rat).Mul(parts[ts[i].text], ts[i+2].value)}}, true
	}
	if i != start || ts.joined(i-1) {
		return expression{}, false
	}
	if e, ok := ts.percentage(i); ok {
		return e, true
	}
	return ts.chain(i)
}

func (ts tokens) root(i int) (expression, bool) {
	closed := ts.is(i, "(")
	if closed {
		i++
	}
	if !ts.isNumber(i) || closed && !ts.is(i+1, ")") || !closed && !ts.ends(i+1) {
		return expression{}, false
	}
	e := expression{key: "root " + ts[i].value.RatString(), is: quantity{value: ts[i].value, root: true}, to: i + 1}
	if closed {
		e.to++
	}
	return e, true
}

// list reads "of 12 and 18", "(12, 18)", "between 12, 18 and 24".
func (ts tokens) list(i int) (numbers []*big.Rat, to int, ok bool) {
	for ts.is(i, "of", "for", "between", "the", "numbers") {
		i++
	}
	closed := ts.is(i, "(")
	if closed {
		i++
	}
	for len(numbers) <= maxOperands {
		v, _, to, ok := ts.signed(i)
		if !ok {
			return nil, 0, false
		}
		numbers, i = append(numbers, v), to
		next := i
		for ts.is(next, ",", "and", "&") {
			next++
		}
		if _, _, _, more := ts.signed(next); next == i || !more {
			break
		}
		i = next
	}
	if closed {
		if !ts.is(i, ")") {
			return nil, 0, false
		}
		i++
	}
	return numbers, i, len(numbers) >= 2 && len(numbers) <= maxOperands && (closed || ts.ends(i))
}

func (ts tokens) percentage(i int) (expression, bool) {
	if !ts.isNumber(i) {
		return expression{}, false
	}
	to := ts.match(i+1, percentOf)
	if to < 0 || !ts.isNumber(to) || !ts.ends(to+1) {
		return expression{}, false
	}
	v := new(big.Rat).Mul(ts[i].value, ts[to].value)
	return expression{key: keyOf("%", []*big.Rat{ts[i].value, ts[to].value}, true), to: to + 1,
		is: quantity{value: v.Quo(v, big.NewRat(100, 1))}}, true
}

// chain reads numbers with operators between them. Words do not tell what goes
// first, so "2 plus 3 times 4" is not read.
func (ts tokens) chain(i int) (expression, bool) {
	x, powered, i, ok := ts.operand(i)
	if !ok {
		return expression{}, false
	}
	operands, operators := []*big.Rat{x}, []byte{}
	var e expression
	worded, loose := false, "" // loose are the operators but for the strokes of fractions
	for len(operands) <= maxOperands {
		op, word, next := ts.operator(i)
		if next < 0 {
			break
		}
		x, _, to, ok := ts.operand(next)
		if !ok {
			break
		}
		e.tight = e.tight || op == '-' && ts[i].tight && ts[i+1].tight
		worded = worded || word
		if op != '/' || word || !ts[i].tight || !ts[i+1].tight {
			loose += string(op)
		}
		operands, operators, i = append(operands, x), append(operators, op), to
	}
	mixed := strings.ContainsAny(loose, "+-") && strings.ContainsAny(loose, "*/")
	if len(operators) == 0 && !powered || len(operands) > maxOperands || mixed && worded || !ts.ends(i) {
		return expression{}, false
	}
	v, ok := combine(operands, operators)
	e.is, e.to = quantity{value: v}, i
	e.key = chainKey(operands, operators)
	return e, ok
}

// operand reads a number, perhaps with a power.
func (ts tokens) operand(i int) (x *big.Rat, powered bool, to int, ok bool) {
	x, _, to, ok = ts.signed(i)
	if !ok {
		return nil, false, 0, false
	}
	n := int64(1)
	switch {
	case ts.is(to, "squared", "²"):
		n, to = 2, to+1
	case ts.is(to, "cubed", "³"):
		n, to = 3, to+1
	default:
		next := ts.match(to, powerOf)
		if next > 0 && ts.isNumber(next) {
			v := ts[next].value
			if !v.IsInt() || v.Cmp(big.NewRat(maxPower, 1)) > 0 {
				return nil, false, 0, false
			}
			n, to = v.Num().Int64(), next+1
		}
	}
	return power(x, n), n != 1, to, true
}

func (ts tokens) operator(i int) (op byte, word bool, next int) {
	switch {
	case ts.is(i, "+", "-", "*", "/"):
		return ts[i].text[0], false, i + 1
	case ts.is(i, "x"):
		if hexadecimal := ts[i].tight && ts.isNumber(i-1) && ts[i-1].value.Sign() == 0; !hexadecimal {
			return '*', false, i + 1
		}
	case ts.is(i, "times"):
		return '*', true, i + 1
	case ts.is(i, "plus"):
		return '+', true, i + 1
	case ts.is(i, "minus"):
		return '-', true, i + 1
	case ts.is(i, "multiplied") && ts.is(i+1, "by"):
		return '*', true, i + 2
	case ts.is(i, "divided") && ts.is(i+1, "by"):
		return '/', true, i + 2
	}
	return 0, false, -1
}

func chainKey(operands []*big.Rat, operators []byte) string {
	if len(operators) == 0 {
		return operands[0].RatString()
	}
	op := operators[0]
	for _, o := range operators {
		if o != op {
			return fmt.Sprint(operands, string(operators))
		}
	}
	return keyOf(string(op), operands, op == '+' || op == '*')
}

func keyOf(name string, numbers []*big.Rat, any bool) string {
	if any {
		numbers = slices.Clone(numbers)
		slices.SortFunc(numbers, (*big.Rat).Cmp)
	}
	key := name
	for _, n := range numbers {
		key += " " + n.RatString()
	}
	return key
}
