package tools

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// calculator computes with exact fractions: 0.1+0.2 is 0.3, and large numbers keep every digit.
func calculator() Tool {
	type args struct {
		Expression string `json:"expression"`
	}
	return builtin[args]{
		spec: core.ToolSpec{
			Name: "calculator",
			Description: "Calculate exactly. Operators + - * / ^ mod ! and percent (15% of 80; 200 + 10% is 220); functions sqrt, abs, round(x, digits), " +
				"floor, ceil, min, max, sum, avg, gcd, lcm, ln, log10, log2, log(x, base), exp, sin, cos, tan (radians); pi, e.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"expression":{"type":"string","minLength":1,"maxLength":4000,"description":"What to calculate, such as (12.5 + 7.5) * 3."}},` +
				`"required":["expression"],"additionalProperties":false}`),
			Effect: core.EffectReadOnly,
		},
		call: func(_ context.Context, _ core.ToolInvocation, a args) (string, error) {
			v, err := evaluate(a.Expression)
			if err != nil {
				return "", err
			}
			return v.text(), nil
		},
	}
}

// maxBits bounds numbers, so that no expression takes long: about 10,000 digits above the line and below.
const maxBits = 1 << 15

// number is a value; exact is false once a rounded function took part.
type number struct {
	r     *big.Rat
	exact bool
}

func exactly(r *big.Rat) number { return number{r, true} }

// text writes the value: whole where it is short, else 20 digits (15 of a rounded one).
func (v number) text() string {
	if !v.exact {
		return "about " + new(big.Float).SetPrec(256).SetRat(v.r).Text('g', 15)
	}
	if v.r.IsInt() {
		digits := v.r.Num().String()
		if len(digits) <= 1000 {
			return digits
		}
		count := len(strings.TrimPrefix(digits, "-"))
		return fmt.Sprintf("%s (rounded; it has %d digits)", new(big.Float).SetPrec(256).SetRat(v.r).Text('g', 50), count)
	}
	if places, finite := v.r.FloatPrec(); finite && places <= 50 {
		return v.r.FloatString(places)
	}
	rounded := new(big.Float).SetPrec(256).SetRat(v.r).Text('g', 20)
	if fraction := v.r.RatString(); len(fraction) <= 40 {
		return fmt.Sprintf("%s (rounded; exactly %s)", rounded, fraction)
	}
	return rounded + " (rounded)"
}

// bounded refuses a value that has grown too large to work with.
func bounded(v number) (number, error) {
	if v.r.Num().BitLen() > maxBits || v.r.Denom().BitLen() > maxBits {
		return v, core.Errorf(core.CodeInvalid, "the result has more than %d digits, which is too large to calculate", maxBits*3/10)
	}
	return v, nil
}

// add, subtract, multiply are exact if both sides are.
func combine(a, b number, op func(z, x, y *big.Rat) *big.Rat) (number, error) {
	return bounded(number{op(new(big.Rat), a.r, b.r), a.exact && b.exact})
}

func divide(a, b number) (number, error) {
	if b.r.Sign() == 0 {
		return a, core.Errorf(core.CodeInvalid, "division by zero")
	}
	return combine(a, b, (*big.Rat).Quo)
}

// modulo has the sign of b, as in spreadsheets.
func modulo(a, b number) (number, error) {
	q, err := divide(a, b)
	if err != nil {
		return a, err
	}
	whole := new(big.Rat).SetInt(floor(q.r))
	return combine(a, number{whole.Mul(whole, b.r), b.exact}, (*big.Rat).Sub)
}

// floor is the largest whole number not above r.
func floor(r *big.Rat) *big.Int { return new(big.Int).Div(r.Num(), r.Denom()) } // Div rounds down: Denom is positive

// power is exact for whole exponents.
func power(a, b number) (number, error) {
	if !b.r.IsInt() {
		return powerRoot(a, b)
	}
	if !b.r.Num().IsInt64() {
		return a, core.Errorf(core.CodeInvalid, "the exponent %s is too large", clip(b.r.RatString(), 30))
	}
	n := b.r.Num().Int64()
	if a.r.Sign() == 0 && n < 0 {
		return a, core.Errorf(core.CodeInvalid, "division by zero: 0 to a negative power")
	}
	size := max(a.r.Num().BitLen(), a.r.Denom().BitLen())
	abs := max(n, -n)
	if size > 1 && (abs < 0 || abs > maxBits || abs*int64(size-1) > maxBits) {
		return a, core.Errorf(core.CodeInvalid, "the result has more than %d digits, which is too large to calculate", maxBits*3/10)
	}
	if size <= 1 { // 0, 1 and -1: only whether the exponent is odd matters
		abs = 2 - abs%2
		if n == 0 {
			abs = 0
		}
	}
	e := big.NewInt(abs)
	num, den := new(big.Int).Exp(a.r.Num(), e, nil), new(big.Int).Exp(a.r.Denom(), e, nil)
	if n < 0 {
		num, den = den, num
	}
	return bounded(number{new(big.Rat).SetFrac(num, den), a.exact && b.exact})
}
