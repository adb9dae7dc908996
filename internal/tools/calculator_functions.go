package tools

import (
	"math"
	"math/big"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// maxFactorial is the largest n of n!; its result has 5,736 digits.
const maxFactorial = 2000

// constant returns a named number. 60 digits: more than any answer shows.
func constant(name string) (number, bool) {
	digits := map[string]string{
		"pi": "3.14159265358979323846264338327950288419716939937510582097494",
		"π":  "3.14159265358979323846264338327950288419716939937510582097494",
		"e":  "2.71828182845904523536028747135266249775724709369995957496697",
	}[name]
	if digits == "" {
		return number{}, false
	}
	r, _ := new(big.Rat).SetString(digits)
	return number{r, false}, true
}

// function calls a function by name.
func function(name string, args []number) (number, error) {
	wrong := func(want string) (number, error) {
		return number{}, core.Errorf(core.CodeInvalid, "%s takes %s", name, want)
	}
	if len(args) == 0 {
		return wrong("at least one value")
	}
	switch name {
	case "min", "max", "sum", "avg", "mean", "average":
		return aggregate(name, args)
	case "gcd", "lcm":
		return divisors(name, args)
	case "round", "log":
		if len(args) > 2 {
			return wrong("one or two values")
		}
	case "pow", "mod":
		if len(args) != 2 {
			return wrong("two values")
		}
	default:
		if len(args) != 1 {
			return wrong("one value")
		}
	}
	x := args[0]
	whole := func(i *big.Int) (number, error) { return number{new(big.Rat).SetInt(i), x.exact}, nil }
	switch name {
	case "abs":
		return number{new(big.Rat).Abs(x.r), x.exact}, nil
	case "floor":
		return whole(floor(x.r))
	case "ceil":
		return whole(new(big.Int).Neg(floor(new(big.Rat).Neg(x.r))))
	case "trunc", "int":
		return whole(new(big.Int).Quo(x.r.Num(), x.r.Denom()))
	case "round":
		return round(args)
	case "pow":
		return power(x, args[1])
	case "mod":
		return modulo(x, args[1])
	case "factorial", "fact":
		return factorial(x)
	case "sqrt":
		return squareRoot(x)
	case "log":
		return logarithm(args)
	}
	return rounded(name, x)
}

// functions are the names of all functions, for the message about an unknown one.
func functions() string {
	return "sqrt, cbrt, abs, round, floor, ceil, trunc, min, max, sum, avg, gcd, lcm, factorial, pow, mod, exp, ln, log, log10, log2, sin, cos, tan, asin, acos, atan"
}

func aggregate(name string, args []number) (number, error) {
	out := args[0]
	for _, a := range args[1:] {
		switch name {
		case "min":
			if a.r.Cmp(out.r) < 0 {
				out = a
			}
		case "max":
			if a.r.Cmp(out.r) > 0 {
				out = a
			}
		default:
			var err error
			if out, err = combine(out, a, (*big.Rat).Add); err != nil {
				return out, err
			}
		}
	}
	if name == "avg" || name == "mean" || name == "average" {
		return divide(out, exactly(new(big.Rat).SetInt64(int64(len(args)))))
	}
	return out, nil
}

func divisors(name string, args []number) (number, error) {
	acc := new(big.Int)
	for i, a := range args {
		if !a.r.IsInt() {
			return a, core.Errorf(core.CodeInvalid, "%s takes whole numbers", name)
		}
		n := new(big.Int).Abs(a.r.Num())
		switch {
		case i == 0:
			acc = n
		case name == "gcd":
			acc.GCD(nil, nil, acc, n)
		case acc.Sign() == 0 || n.Sign() == 0:
			acc.SetInt64(0)
		default:
			g := new(big.Int).GCD(nil, nil, acc, n)
			acc.Mul(acc, n).Quo(acc, g)
		}
		if acc.BitLen() > maxBits {
			return bounded(exactly(new(big.Rat).SetInt(acc)))
		}
	}
	return exactly(new(big.Rat).SetInt(acc)), nil
}

// round takes halves away from zero, as people do.
func round(args []number) (number, error) {
	places := int64(0)
	if len(args) == 2 {
		if !args[1].r.IsInt() || args[1].r.Num().CmpAbs(big.NewInt(1000)) > 0 {
			return args[1], core.Errorf(core.CodeInvalid, "round takes a whole number of digits from -1000 to 1000")
		}
		places = args[1].r.Num().Int64()
	}
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(max(places, -places)), nil))
	if places < 0 {
		scale.Inv(scale)
	}
	shifted := new(big.Rat).Mul(args[0].r, scale)
	half := big.NewRat(int64(shifted.Sign()), 2)
	shifted.Add(shifted, half)
	whole := new(big.Rat).SetInt(new(big.Int).Quo(shifted.Num(), shifted.Denom()))
	// A rounded value is no longer "about": it is what was asked for.
	return bounded(exactly(whole.Quo(whole, scale)))
}

func factorial(x number) (number, error) {
	if !x.r.IsInt() || x.r.Sign() < 0 {
		return x, core.Errorf(core.CodeInvalid, "a factorial needs a whole number that is not negative")
	}
	if x.r.Num().Cmp(big.NewInt(maxFactorial)) > 0 {
		return x, core.Errorf(core.CodeInvalid, "factorials go up to %d!", maxFactorial)
	}
	return exactly(new(big.Rat).SetInt(new(big.Int).MulRange(1, x.r.Num().Int64()))), nil
}

// squareRoot is exact where the root is a fraction.
func squareRoot(x number) (number, error) {
	if x.r.Sign() < 0 {
		return x, core.Errorf(core.CodeInvalid, "there is no real square root of a negative number")
	}
	num, den := new(big.Int).Sqrt(x.r.Num()), new(big.Int).Sqrt(x.r.Denom())
	root := new(big.Rat).SetFrac(num, den)
	if new(big.Rat).Mul(root, root).Cmp(x.r) == 0 {
		return number{root, x.exact}, nil
	}
	f := new(big.Float).SetPrec(256).SetRat(x.r)
	r, _ := f.Sqrt(f).Rat(nil)
	return number{r, false}, nil
}

// powerRoot is a power with a broken exponent.
func powerRoot(a, b number) (number, error) {
	if b.r.Cmp(big.NewRat(1, 2)) == 0 {
		return squareRoot(a)
	}
	x, _ := a.r.Float64()
	y, _ := b.r.Float64()
	if x < 0 {
		return a, core.Errorf(core.CodeInvalid, "a negative number has no real power with a broken exponent")
	}
	return fromFloat("the power", math.Pow(x, y))
}

func logarithm(args []number) (number, error) {
	if len(args) == 1 {
		return rounded("log10", args[0])
	}
	x, err := rounded("ln", args[0])
	if err != nil {
		return x, err
	}
	b, err := rounded("ln", args[1])
	if err != nil {
		return b, err
	}
	return divide(x, b)
}

// rounded calls a function that is computed in double precision.
func rounded(name string, v number) (number, error) {
	f, ok := map[string]func(float64) float64{
		"cbrt": math.Cbrt, "exp": math.Exp, "ln": math.Log, "log10": math.Log10, "log2": math.Log2,
		"sin": math.Sin, "cos": math.Cos, "tan": math.Tan, "asin": math.Asin, "acos": math.Acos, "atan": math.Atan,
	}[name]
	if !ok {
		return v, core.Errorf(core.CodeInvalid, "unknown function %q; there is: %s", clip(name, 40), functions())
	}
	if strings.HasPrefix(name, "l") && v.r.Sign() <= 0 {
		return v, core.Errorf(core.CodeInvalid, "a logarithm needs a positive number")
	}
	x, _ := v.r.Float64()
	return fromFloat(name, f(x))
}

func fromFloat(name string, f float64) (number, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return number{}, core.Errorf(core.CodeInvalid, "%s has no result for that value, or one that is too large", name)
	}
	// 1e-15 of sin(pi) is what double precision left over, not an answer.
	if math.Abs(f) < 1e-15 && (name == "sin" || name == "cos" || name == "tan") {
		f = 0
	}
	return number{new(big.Rat).SetFloat64(f), false}, nil
}
